/** The chart, rendered by real helm with the values files that the project ships. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseAllDocuments } from 'yaml';
import { runProgram } from '../../../services/setup/subprocess.mjs';
import { HELM } from '../tools/goModules.js';
import { goPrograms } from '../tools/goProgram.js';
import type { KubeObject, PodTemplate } from './kube.js';

export const ROOT = fileURLToPath(new URL('../../..', import.meta.url));
export const CHART = join(ROOT, 'deploy/helm/cirkd');
export const RELEASE = 'dist';
export const NAMESPACE = 'ml';

/** The oldest that Chart.yaml takes, and the newest with schemas at hand. */
export const KUBE_VERSIONS = ['1.31', '1.37'] as const;

const values = (name: string) => ['--values', join(ROOT, 'deploy/helm/values', `${name}.yaml`)];

/** What helm is given, by name. */
export const VARIANTS = {
  default: [],
  try: values('try'),
  fleet: values('fleet'),
  gpu: [
    ...values('gpu'),
    ...['--set-file', `student.recipe=${join(ROOT, 'recipes/cirkd-cityscapes.yaml')}`],
  ],
  secured: values('secured'),
  run: values('run'),
  sidecar: [
    ...values('sidecar'),
    ...['--set-file', `student.recipe=${join(ROOT, 'recipes/cirkd-cityscapes.yaml')}`],
  ],
  cached: values('cached'),
  group: values('group'),
  kserve: ['--set', 'teacher.enabled=false,kserve.enabled=true'],
} as const;

export type Variant = keyof typeof VARIANTS;
export const VARIANT_NAMES = Object.keys(VARIANTS) as Variant[];

export async function helm(...args: string[]): Promise<{ code: number | null; output: string }> {
  const folder = await goPrograms(HELM);
  return runProgram(join(folder, 'helm'), args);
}

/** `helm template` of a release with values; the outcome may be a refusal. */
export function template(
  given: readonly string[],
  kubeVersion: string = KUBE_VERSIONS[0],
): Promise<{ code: number | null; output: string }> {
  const where = ['--namespace', NAMESPACE, '--kube-version', kubeVersion];
  return helm('template', RELEASE, CHART, ...where, ...given);
}

/** Every object of a release, tests included. */
export async function render(...given: readonly string[]): Promise<KubeObject[]> {
  const { code, output } = await template(given);
  assert.equal(code, 0, output);
  return parseAllDocuments(output)
    .map((document) => {
      assert.deepEqual(document.errors, []);
      return document.toJS() as KubeObject | null;
    })
    .filter((object) => object !== null);
}

/** The one object of that kind and, where there are several, name. */
export function only(objects: readonly KubeObject[], kind: string, name?: string): KubeObject {
  const found = objects.filter(
    (object) => object.kind === kind && (name === undefined || object.metadata.name === name),
  );
  assert.equal(found.length, 1, `${found.length} objects of kind ${kind} ${name ?? ''}`);
  return found[0]!;
}

/** The pods that a release makes, by the name of their first container. */
export function pods(objects: readonly KubeObject[]): Map<string, PodTemplate> {
  const templates = objects.flatMap((object) => {
    if (object.kind === 'Pod') return [object as unknown as PodTemplate];
    return ['Deployment', 'Job'].includes(object.kind) ? [object.spec.template] : [];
  });
  return new Map(templates.map((pod) => [pod.spec.containers[0]!.name, pod]));
}
