/** Strict validation of Kubernetes objects, with real schemas: see objectSchemas.py. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { ensurePython } from '../../../bench/support/pythonPackages.js';
import { runProgram } from '../../../services/setup/subprocess.mjs';
import { goModuleFolder } from '../tools/goProgram.js';
import type { KubeObject } from './kube.js';

const PROGRAM = fileURLToPath(new URL('objectSchemas.py', import.meta.url));
/** It carries the core objects' schemas, 1.12 to 1.37. */
const KUBERNETES_VALIDATE = '1.37.0';

/** The operators' own modules hold their CRDs. */
const CRD_MODULES = [
  {
    path: 'github.com/kedacore/keda/v2',
    version: 'v2.21.0',
    crds: ['config/crd/bases/keda.sh_scaledobjects.yaml'],
  },
  {
    path: 'github.com/prometheus-operator/prometheus-operator',
    version: 'v0.85.0',
    crds: ['podmonitors', 'prometheusrules'].map(
      (name) => `example/prometheus-operator-crd/monitoring.coreos.com_${name}.yaml`,
    ),
  },
  {
    path: 'github.com/cert-manager/cert-manager',
    version: 'v1.21.2',
    crds: ['deploy/crds/cert-manager.io_certificates.yaml'],
  },
  {
    path: 'github.com/kserve/kserve',
    version: 'v0.17.0',
    crds: ['clusterservingruntimes', 'inferenceservices'].map(
      (name) => `config/crd/full/serving.kserve.io_${name}.yaml`,
    ),
  },
  {
    path: 'github.com/kubeflow/training-operator',
    version: 'v1.9.3',
    crds: ['manifests/base/crds/kubeflow.org_tfjobs.yaml'],
  },
] as const;

export interface Validity {
  /** How many checks each kind went through. */
  readonly checked: Readonly<Record<string, number>>;
  /** `kind/name: where: what`. */
  readonly faults: readonly string[];
}

/** Core objects against each version of Kubernetes, custom ones against their CRD. */
export async function validate(
  objects: readonly KubeObject[],
  kubeVersions: readonly string[],
): Promise<Validity> {
  const { PYTHONPATH, crds } = await ensureObjectSchemas();
  const folder = mkdtempSync(join(tmpdir(), 'cirkd-objects-'));
  try {
    const file = join(folder, 'objects.json');
    writeFileSync(file, JSON.stringify(objects));
    const args = [PROGRAM, file, kubeVersions.join(','), ...crds];
    const { code, output } = await runProgram('python3', args, {
      env: { ...process.env, PYTHONPATH, PYTHONDONTWRITEBYTECODE: '1' },
    });
    assert.equal(code, 0, output);
    return JSON.parse(output) as Validity;
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** The validator's packages and the files of the CRDs; installs them where they're missing. */
export async function ensureObjectSchemas(): Promise<{ PYTHONPATH: string; crds: string[] }> {
  const wanted = { 'kubernetes-validate': KUBERNETES_VALIDATE };
  const PYTHONPATH = await ensurePython(wanted, (line) => process.stderr.write(`${line}\n`));
  return { PYTHONPATH, crds: (await Promise.all(CRD_MODULES.map(crdFiles))).flat() };
}

async function crdFiles({ path, version, crds }: (typeof CRD_MODULES)[number]): Promise<string[]> {
  const folder = await goModuleFolder(path, version);
  return crds.map((file) => join(folder, file));
}
