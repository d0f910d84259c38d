/** Entry of a process that runs one command line after the other: see cliSession.ts. */
import { main } from '../../../services/cli/main.js';

let output = { stdout: '', stderr: '' };

function keep(name: 'stdout' | 'stderr'): void {
  process[name].write = ((text: string | Uint8Array) => {
    output[name] += typeof text === 'string' ? text : Buffer.from(text).toString('utf8');
    return true;
  }) as typeof process.stdout.write;
}

keep('stdout');
keep('stderr');
process.on('message', async (argv: string[]) => {
  output = { stdout: '', stderr: '' };
  const code = await main(argv);
  process.send!({ code, ...output });
});
