/** The config files inside the rendered ConfigMaps, loaded by the services' own schemas. */
import assert from 'node:assert/strict';
import { loadConfig } from '../../../src/config/load.js';
import { type StudentConfig, studentSchema } from '../../../src/config/student.js';
import { type TeacherConfig, teacherSchema } from '../../../src/config/teacher.js';
import type { KubeObject } from './kube.js';

export function teacherConfig(objects: readonly KubeObject[]): TeacherConfig {
  const text = configText(objects, 'teacher');
  return loadConfig(teacherSchema, { text, fileName: 'teacher.yaml' });
}

/** Of the teacher in the student's pod. */
export function sidecarConfig(objects: readonly KubeObject[]): TeacherConfig {
  const text = configText(objects, 'sidecar');
  return loadConfig(teacherSchema, { text, fileName: 'sidecar.yaml' });
}

export function studentConfig(objects: readonly KubeObject[]): StudentConfig {
  const text = configText(objects, 'student');
  return loadConfig(studentSchema, { text, fileName: 'student.yaml' });
}

export function configText(
  objects: readonly KubeObject[],
  part: 'teacher' | 'sidecar' | 'student',
): string {
  const found = objects.filter(({ kind, data }) => kind === 'ConfigMap' && data![`${part}.yaml`]);
  assert.equal(found.length, 1, `${found.length} configs of a ${part}`);
  return found[0]!.data![`${part}.yaml`]!;
}
