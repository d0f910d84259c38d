/** Node.js and what the set-up needs: npm packages, Python with pip, a C++ compiler. */
import { missingPackages } from '../../setup/npmPackages.mjs';
import { runProgram } from '../../setup/subprocess.mjs';
import type { Check } from './check.js';

export function checkNode(): Check {
  const version = process.versions.node;
  const [major = 0, minor = 0] = version.split('.').map(Number);
  const name = 'Node.js';
  if (major > 20 || (major === 20 && minor >= 11)) return { name, status: 'ok', detail: version };
  return {
    name,
    status: 'missing',
    detail: `${version} is too old`,
    mend: 'install Node.js 20.11 or newer',
  };
}

export function checkPackages(root: string): Check {
  const name = 'npm packages';
  const missing = missingPackages(root).map((path) => path.replace(/^.*node_modules\//, ''));
  if (missing.length === 0) return { name, status: 'ok', detail: 'as package-lock.json says' };
  const few = missing.slice(0, 5).join(', ');
  return {
    name,
    status: 'missing',
    detail: `${missing.length} missing or of another version: ${few}${missing.length > 5 ? ' …' : ''}`,
    mend: 'npm run setup',
    data: { missing },
  };
}

/** pip and the compiler matter to the set-up only: once it is done, they are not needed. */
export async function checkPip(needed: boolean): Promise<Check> {
  const name = 'Python and pip';
  const { code, output } = await runProgram('python3', ['-m', 'pip', '--version']);
  const [pip, , , python] =
    /pip (\S+)( from (\S+))?.*\((python \S+)\)/.exec(output)?.slice(1) ?? [];
  if (code === 0) return { name, status: 'ok', detail: `${python ?? 'python'}, pip ${pip ?? '?'}` };
  return {
    name,
    status: needed ? 'missing' : 'note',
    detail: 'python3 -m pip does not run; the set-up brings libtensorflow through it',
    mend: 'install them, e.g. apt-get install python3 python3-pip',
  };
}

export async function checkCompiler(needed: boolean): Promise<Check> {
  const name = 'C++ compiler';
  for (const compiler of process.env.CXX ? [process.env.CXX] : ['g++', 'c++', 'clang++']) {
    const { code, output } = await runProgram(compiler, ['--version']);
    if (code === 0) return { name, status: 'ok', detail: output.split('\n')[0] ?? compiler };
  }
  return {
    name,
    status: needed ? 'missing' : 'note',
    detail: 'none of g++, c++, clang++ runs; the set-up builds the addon with it',
    mend: 'install one, e.g. apt-get install g++; CXX names another',
  };
}
