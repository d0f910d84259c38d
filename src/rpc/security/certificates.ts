/** Reads PEM files for TLS and checks them early, so that a fault doesn't first show in a handshake. */
import { createPrivateKey, type KeyObject, X509Certificate } from 'node:crypto';
import { createSecureContext } from 'node:tls';
import { type NamedFile, SecurityFileError } from './watchedFiles.js';

/** A certificate with its chain, and its key. */
export interface Identity {
  /** PEM */
  readonly certificate: Buffer;
  /** PEM */
  readonly privateKey: Buffer;
  /** When the first certificate of the chain expires. */
  readonly expires: Date;
}

const CERTIFICATE = /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g;

/**
 * Throws SecurityFileError if a file has the wrong content, the key belongs to another certificate,
 * or the certificate isn't valid at this time.
 */
export function readIdentity(
  files: { readonly certificate: NamedFile; readonly key: NamedFile },
  [certificate, privateKey]: readonly Buffer[],
): Identity {
  const chain = readChain(files.certificate, certificate!);
  const own = chain[0]!;
  if (!own.checkPrivateKey(readKey(files.key, privateKey!))) {
    throw new SecurityFileError(files.key, `not the key of ${files.certificate.path}`);
  }
  try {
    // Only TLS itself refuses small keys and old digests.
    createSecureContext({ cert: certificate!, key: privateKey! });
  } catch (cause) {
    const reason = `TLS refuses it (${(cause as NodeJS.ErrnoException).code})`;
    throw new SecurityFileError(files.certificate, reason, { cause });
  }
  for (const { validFrom, validTo } of chain) {
    if (Date.parse(validTo) <= Date.now()) {
      throw new SecurityFileError(files.certificate, `expired on ${iso(validTo)}`);
    }
    if (Date.parse(validFrom) > Date.now()) {
      throw new SecurityFileError(files.certificate, `not valid before ${iso(validFrom)}`);
    }
  }
  const expires = new Date(Math.min(...chain.map(({ validTo }) => Date.parse(validTo))));
  return { certificate: certificate!, privateKey: privateKey!, expires };
}

/** Checks the authorities' certificates and returns them unchanged. Throws SecurityFileError. */
export function readAuthorities(file: NamedFile, content: Buffer): Buffer {
  readChain(file, content);
  return content;
}

function readChain(file: NamedFile, content: Buffer): X509Certificate[] {
  const blocks = content.toString('latin1').match(CERTIFICATE);
  if (blocks === null) throw new SecurityFileError(file, 'contains no PEM certificate');
  return blocks.map((block, i) => {
    try {
      return new X509Certificate(block);
    } catch (cause) {
      throw new SecurityFileError(file, `certificate ${i + 1} can't be read`, { cause });
    }
  });
}

function readKey(file: NamedFile, content: Buffer): KeyObject {
  try {
    return createPrivateKey(content);
  } catch (cause) {
    const wanted = 'wanted a PEM private key without a passphrase';
    throw new SecurityFileError(file, `contains no private key, ${wanted}`, { cause });
  }
}

function iso(time: string): string {
  return new Date(time).toISOString();
}
