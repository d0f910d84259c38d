/** A real Triton Inference Server: the one inside the nvidia-pytriton wheel, in the set-up's cache. */
import { copyFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { runProgram, tail } from '../../../../services/setup/subprocess.mjs';
import { cached } from '../../tools/cached.js';

/** Triton 2.51 (24.10) with its Python backend as the only one. Runs on glibc 2.34 and newer. */
const PIN = {
  project: 'nvidia-pytriton',
  version: '0.7.0',
  sha256: '21f063ff93bb426d0c06b7a55e7eb9efcfe62c0dddd9a908e9877e18710128df',
};
const RELEASE = `${PIN.project} ${PIN.version}`;
/** The wheel has stubs for 3.8 to 3.13; the NumPy that they work with (1.26) is there for these. */
const PYTHONS = ['3.9', '3.10', '3.11', '3.12'];

export interface TritonInstall {
  readonly program: string;
  /** For --backend-directory. */
  readonly backends: string;
  /** Where the backend's stub finds libpython, for LD_LIBRARY_PATH. */
  readonly libraries: string;
}

interface Python {
  readonly version: string;
  readonly libraries: string;
}

/** Installs it where it's missing. Throws with the reason where it can't run on this machine. */
export async function ensureTriton(): Promise<TritonInstall> {
  const python = await thisPython();
  if (!PYTHONS.includes(python.version)) {
    const wanted = PYTHONS.join(', ');
    throw new Error(
      `Triton (${RELEASE}) can't run: python3 is ${python.version}, its models run on ${wanted}`,
    );
  }
  const name = `${PIN.project}-${PIN.version}-${PIN.sha256.slice(0, 12)}-py${python.version}`;
  const folder = await cached(name, async (target, scratch) => {
    await installWheel(target, scratch);
    const server = join(target, 'pytriton', 'tritonserver');
    // The backend starts the stub that lies beside its library: the one for this Python.
    await copyFile(
      join(server, 'python_backend_stubs', python.version, 'triton_python_backend_stub'),
      join(server, 'backends', 'python', 'triton_python_backend_stub'),
    );
  });
  const server = join(folder, 'pytriton', 'tritonserver');
  const install = {
    program: join(server, 'bin', 'tritonserver'),
    backends: join(server, 'backends'),
    libraries: python.libraries,
  };
  const stub = join(install.backends, 'python', 'triton_python_backend_stub');
  for (const file of [install.program, stub]) await assertLinks(file, install.libraries);
  return install;
}

/** The wheel alone: what it requires is for PyTriton's own Python, which isn't used. */
async function installWheel(target: string, scratch: string): Promise<void> {
  const requirements = join(scratch, 'requirements.txt');
  await writeFile(requirements, `${PIN.project}==${PIN.version} --hash=sha256:${PIN.sha256}\n`);
  const flags = ['--quiet', '--no-deps', '--no-compile', '--target', target];
  const { code, output } = await runProgram(
    'python3',
    ['-m', 'pip', 'install', ...flags, '--requirement', requirements],
    { env: { ...process.env, TMPDIR: scratch } },
  );
  if (code !== 0) throw new Error(`pip could not install ${RELEASE}:\n${tail(output)}`);
}

/** A library that is missing (libpython of a statically built Python, a newer glibc) is named here. */
async function assertLinks(file: string, libraries: string): Promise<void> {
  const env = { ...process.env, LD_LIBRARY_PATH: libraries };
  const { output } = await runProgram('ldd', [file], { env });
  const missing = output.split('\n').filter((line) => line.includes('not found'));
  if (missing.length === 0) return;
  const lines = missing.map((line) => line.trim()).join('; ');
  throw new Error(`Triton (${RELEASE}) can't run, this machine lacks what it links with: ${lines}`);
}

async function thisPython(): Promise<Python> {
  const program =
    'import sys, sysconfig, json; print(json.dumps({"version": "%d.%d" % sys.version_info[:2], "libraries": sysconfig.get_config_var("LIBDIR")}))';
  const { code, output } = await runProgram('python3', ['-c', program]);
  if (code !== 0) throw new Error(`python3 does not run:\n${output}`);
  return JSON.parse(output) as Python;
}
