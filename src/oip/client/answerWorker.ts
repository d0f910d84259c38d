/** The answer thread's module. */
import { serveCalls } from '../../threads/serveCalls.js';
import { answerService } from './answerService.js';
import { replyOf } from './answerTensors.js';

serveCalls(answerService, { reply: replyOf });
