/** A small wheel with the members that the set-up takes, made with Python's own zipfile. */
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

export const VERSION = '2.21.0';

const SCRIPT = `
import sys, zipfile
info = "tensorflow_cpu-${VERSION}.dist-info/"
with zipfile.ZipFile(sys.argv[1], "w") as z:
    z.writestr("tensorflow/libtensorflow_cc.so.2", "c" * 5000)
    z.writestr("tensorflow/libtensorflow_framework.so.2", "f" * 3000)
    z.writestr("tensorflow/include/tensorflow/c/c_api.h", "// c")
    z.writestr("tensorflow/include/tsl/a.h", "// tsl")
    z.writestr("tensorflow/python/not_wanted.py", "pass")
    z.writestr(info + "METADATA", "Metadata-Version: 2.1\\nName: tensorflow-cpu\\nVersion: ${VERSION}\\n")
    z.writestr(info + "WHEEL", "Wheel-Version: 1.0\\nRoot-Is-Purelib: false\\nTag: cp312-cp312-manylinux_2_27_x86_64\\n")
    z.writestr(info + "RECORD", "")
`;

/**
 * @param damaged one byte of the largest member is changed, so that its checksum is wrong
 * @returns the pin that fits the file
 */
export function makeWheel(folder: string, damaged = false) {
  mkdirSync(folder, { recursive: true });
  const path = join(folder, `tensorflow_cpu-${VERSION}-cp312-cp312-manylinux_2_27_x86_64.whl`);
  execFileSync('python3', ['-c', SCRIPT, path]);
  const bytes = readFileSync(path);
  if (damaged) {
    bytes[bytes.indexOf('ccccc') + 100] = 0;
    writeFileSync(path, bytes);
  }
  const sha256 = createHash('sha256').update(bytes).digest('hex');
  return { project: 'tensorflow-cpu', version: VERSION, sha256, megabytes: 1 };
}
