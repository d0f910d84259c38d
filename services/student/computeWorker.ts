/** Entry of the student's computing thread: network, losses, banks, optimizer. */
import { serveCalls } from '../../src/threads/serveCalls.js';
import { COMPUTE } from './computeProtocol.js';
import { ComputeSession } from './computeSession.js';

serveCalls(COMPUTE, new ComputeSession());
