// Writes the TypeScript types of the messages in proto/ to the generated/ folders of src/.
// The options must be those of src/rpc/loadProto.ts: the types describe what it decodes to.
import { execFileSync } from 'node:child_process';
import { rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('../../..', import.meta.url));
const loader = dirname(createRequire(import.meta.url).resolve('@grpc/proto-loader/package.json'));
/** @type {ReadonlyArray<readonly [proto: string, outDir: string]>} */
const FOLDERS = [
  ['cirkd/teacher/v1/teacher.proto', 'src/stream/generated'],
  ['inference/grpc_service.proto', 'src/oip/generated'],
];

for (const [proto, outDir] of FOLDERS) {
  rmSync(join(root, outDir), { recursive: true, force: true });
  execFileSync(
    process.execPath,
    [
      join(loader, 'build/bin/proto-loader-gen-types.js'),
      '--longs=Number',
      '--enums=String',
      '--defaults',
      '--oneofs',
      '--grpcLib=@grpc/grpc-js',
      '--importFileExtension=.js',
      '--inputTemplate=%sInput',
      '--outputTemplate=%s',
      '--includeDirs=proto',
      `--outDir=${outDir}`,
      proto,
    ],
    { cwd: root, stdio: 'inherit' },
  );
}
