/** A folder of PEM files and tokens, for the length of a test file. */
import { mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { NamedFile } from '../../../src/rpc/security/watchedFiles.js';
import type { Pem } from './authority.js';

export class SecurityFolder {
  readonly path = mkdtempSync(join(tmpdir(), 'cirkd-security-'));

  /** In one piece: nobody reads half of it. The key of the file is its name. */
  write(name: string, text: string): NamedFile {
    const path = join(this.path, name);
    writeFileSync(`${path}.new`, text, { mode: 0o600 });
    renameSync(`${path}.new`, path);
    return { key: name, path };
  }

  /** NAME.crt and NAME.key */
  writePair(name: string, pem: Pem): { certificate: NamedFile; key: NamedFile } {
    return {
      certificate: this.write(`${name}.crt`, pem.certificate),
      key: this.write(`${name}.key`, pem.key),
    };
  }

  remove(): void {
    rmSync(this.path, { recursive: true });
  }
}
