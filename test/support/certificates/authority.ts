/**
 * An authority that makes certificates for a test (RFC 5280, keys on P-256): any name, any time,
 * nothing committed and no program needed. Not for anything but tests.
 */
import { generateKeyPairSync, type KeyObject, randomBytes, sign } from 'node:crypto';
import { isIPv4 } from 'node:net';
import {
  bitString,
  boolean,
  der,
  explicit,
  integer,
  objectIdentifier,
  octetString,
  sequence,
  time,
  utf8String,
} from './der.js';

export interface Pem {
  /** The certificate, and those between it and the authority. */
  readonly certificate: string;
  readonly key: string;
}

export interface IssueOptions {
  /** Host names and IPv4 addresses; the first is the common name. */
  readonly names?: readonly string[];
  readonly notBefore?: Date;
  readonly notAfter?: Date;
}

const HOUR_MS = 3_600_000;

export class Authority {
  /** PEM */
  readonly certificate: string;
  readonly #name: string;
  readonly #key: KeyObject;

  constructor(name = 'test authority') {
    const { privateKey, publicKey } = keyPair();
    this.#name = name;
    this.#key = privateKey;
    this.certificate = this.#issue(name, publicKey, {}, [
      extension('2.5.29.19', sequence(boolean(true)), true),
    ]);
  }

  /** A new key and its certificate; by default for localhost and valid for an hour either way. */
  issue(options: IssueOptions = {}): Pem {
    const { names = ['localhost', '127.0.0.1'] } = options;
    const { privateKey, publicKey } = keyPair();
    const alternatives = sequence(...names.map(generalName));
    return {
      certificate: this.#issue(names[0]!, publicKey, options, [
        extension('2.5.29.17', alternatives, false),
      ]),
      key: privateKey.export({ type: 'pkcs8', format: 'pem' }) as string,
    };
  }

  #issue(
    name: string,
    publicKey: KeyObject,
    { notBefore, notAfter }: IssueOptions,
    extensions: readonly Buffer[],
  ): string {
    const algorithm = sequence(objectIdentifier('1.2.840.10045.4.3.2')); // ecdsa-with-SHA256
    const serial = randomBytes(16);
    serial[0]! &= 0x7f;
    serial[0]! |= 0x40;
    const content = sequence(
      explicit(0, integer(2)),
      integer(serial),
      algorithm,
      commonName(this.#name),
      sequence(
        time(notBefore ?? new Date(Date.now() - HOUR_MS)),
        time(notAfter ?? new Date(Date.now() + HOUR_MS)),
      ),
      commonName(name),
      publicKey.export({ type: 'spki', format: 'der' }),
      explicit(3, sequence(...extensions)),
    );
    const signature = sign('sha256', content, this.#key);
    return pem(sequence(content, algorithm, bitString(signature)));
  }
}

function keyPair() {
  return generateKeyPairSync('ec', { namedCurve: 'P-256' });
}

function commonName(name: string): Buffer {
  return sequence(der(0x31, sequence(objectIdentifier('2.5.4.3'), utf8String(name))));
}

/** iPAddress or dNSName. */
function generalName(name: string): Buffer {
  if (isIPv4(name)) return der(0x87, Buffer.from(name.split('.').map(Number)));
  return der(0x82, Buffer.from(name));
}

function extension(identifier: string, value: Buffer, critical: boolean): Buffer {
  const flag = critical ? [boolean(true)] : [];
  return sequence(objectIdentifier(identifier), ...flag, octetString(value));
}

function pem(bytes: Buffer): string {
  const lines = bytes.toString('base64').match(/.{1,64}/g)!;
  return ['-----BEGIN CERTIFICATE-----', ...lines, '-----END CERTIFICATE-----', ''].join('\n');
}
