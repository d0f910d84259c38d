/**
 * Writes a case's teacher as a model file and its weights for the peer, in a process of its own: TensorFlow's allocator keeps
 * what it was once asked for, and a served teacher never had its weights twice. Arguments: a SideTask, the model file's path.
 */
import { writeTeacherFile } from '../../services/cli/bench/teacherWork.js';
import type { SideTask } from './protocol.js';
import { NETWORK, writeWeights } from './weightFiles.js';

const task = JSON.parse(process.argv[2]!) as SideTask;
writeWeights(task, NETWORK, writeTeacherFile(task.case.workload, process.argv[3]!));
