/**
 * The package's public entry: a teacher and a student driven from a program. docs/library.md has the
 * way in; examples/api two programs.
 *
 * Everything else in this package is its own business and may change with any version.
 */
export type { StudentConfig, StudentConfigInput } from '../src/config/student.js';
export type { TeacherConfig, TeacherConfigInput } from '../src/config/teacher.js';
export { RankLostError } from '../src/collectives/collective.js';
export { ConfigError, type ConfigFault } from '../src/config/configError.js';
export { DataError } from '../src/data/types.js';
export {
  ContractMismatchError,
  NonFiniteReplyError,
  TeacherUnavailableError,
} from '../src/contract/teacher.js';
export type { TeacherInfo } from '../src/contract/teacherInfo.js';
export { ProviderError } from '../src/graphs/providerError.js';
export { BindError } from '../src/rpc/bindError.js';
export { SecurityFileError } from '../src/rpc/security/watchedFiles.js';
export { RunFolderError } from '../src/run/runFolder.js';
export { ImageRefusedError } from '../src/stream/client/errors.js';
export { ListenError } from '../src/telemetry/metricsServer.js';
export type { ProgressStream } from '../src/telemetry/progress.js';
export type { LineSink } from '../src/telemetry/safeWriter.js';
export { NonFiniteLossError, type TermValues } from '../src/train/outcome.js';
export { CheckpointError } from '../src/wire/checkpointError.js';
export {
  readStudentConfig,
  readTeacherConfig,
  studentConfig,
  teacherConfig,
} from './library/configs.js';
export { exitCodeOf } from './library/errors.js';
export { RankMismatchError } from './student/group/greeting.js';
export { runStudent, type StudentOptions } from './library/student.js';
export { startTeacher, type TeacherOptions } from './library/teacher.js';
export type { StudentEnd } from './student/main.js';
export type { RunningTeacher } from './teacher/service.js';
