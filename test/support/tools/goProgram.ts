/** Programs of other projects, built from their Go modules with `go install`. */
import { runProgram, tail } from '../../../services/setup/subprocess.mjs';
import { cached } from './cached.js';
import { goCommand } from './goToolchain.js';

export interface GoModule {
  readonly path: string;
  readonly version: string;
  /** Folders in the module with a `main` package: '.' or './cmd/name'. */
  readonly commands: readonly string[];
  readonly tags?: readonly string[];
}

/** The folder with the commands, which are built where it's missing. */
export function goPrograms(module: GoModule): Promise<string> {
  const { path, version, commands, tags = [] } = module;
  // A path may end in the major version: helm.sh/helm/v3.
  const called = path.split('/').findLast((part) => !/^v\d+$/.test(part));
  const name = ['go', called, version, ...tags].join('-');
  return cached(name, async (target) => {
    const cwd = await goModuleFolder(path, version);
    const build = ['install', '-trimpath', '-ldflags=-s -w', `-tags=${tags.join(',')}`];
    await runGo([...build, ...commands], { GOBIN: target, CGO_ENABLED: '0' }, cwd);
  });
}

/**
 * The module's source in Go's own cache, read-only. Commands are built there, as `go install
 * PATH@VERSION` refuses a module with a replace directive; so its go.sum holds as well.
 */
export async function goModuleFolder(path: string, version: string): Promise<string> {
  const output = await runGo(['mod', 'download', '-json', `${path}@${version}`]);
  const { Dir } = JSON.parse(output.slice(output.indexOf('{'))) as { Dir: string };
  return Dir;
}

async function runGo(args: string[], env: NodeJS.ProcessEnv = {}, cwd?: string): Promise<string> {
  const result = await runProgram(await goCommand(), args, {
    env: {
      ...process.env,
      GOTOOLCHAIN: 'local',
      GOWORK: 'off',
      GOFLAGS: '-buildvcs=false',
      ...env,
    },
    ...(cwd === undefined ? {} : { cwd }),
  });
  if (result.code !== 0) throw new Error(`go ${args.join(' ')} failed:\n${tail(result.output)}`);
  return result.output;
}
