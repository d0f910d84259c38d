/** The service of proto/cirkd/teacher/v1 as both sides use it. */
import type { PackageDefinition } from '@grpc/proto-loader';
import { loadProto } from '../../rpc/loadProto.js';
import type { ProtoGrpcType } from '../generated/teacher.js';

export const PROTOCOL_VERSION = 1;
export const TEACHER_SERVICE_NAME = 'cirkd.teacher.v1.TeacherService';

const proto = loadProto<ProtoGrpcType>('cirkd/teacher/v1/teacher.proto');

/** For reflection. */
export const teacherPackageDefinition: PackageDefinition = proto.packageDefinition;

/** Client constructor and plain definition. */
export const TeacherService = proto.tree.cirkd.teacher.v1.TeacherService;
