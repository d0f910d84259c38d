/** Authentication of both services: TLS and bearer tokens. */
import type { CrossFault } from '../fields.js';
import { field, section, text } from '../fields.js';

const file = (doc: string) =>
  field(text().nullable().default(null), doc, {
    wanted: 'the path of a file, or null',
    isPath: true,
  });

/** Keys of the teacher's `listen`. */
export const listenTls = section('TLS; the files are read again every 3 s (docs/security.md).', {
  certificate: file('PEM: the certificate with its intermediate certificates; null: no TLS.'),
  key: file('PEM: the private key of the certificate.'),
  clientCa: file(
    "PEM: authorities, one of which must have signed a student's certificate; null: none is needed.",
  ),
});

export const listenTokenFile = file(
  'Bearer tokens, one per line; every call must carry one of them. null: no token is needed.',
);

/** Keys of the student's `teacher`. */
export const teacherTls = section('TLS; the files are read again every 3 s (docs/security.md).', {
  ca: file(
    "PEM: authorities, one of which must have signed a teacher's certificate; null: no TLS.",
  ),
  certificate: file("PEM: the student's own certificate, with its chain; null: none."),
  key: file('PEM: the private key of the certificate.'),
  serverName: field(
    text().nullable().default(null),
    "Host name that the teachers' certificates must have; null: the host in teacher.addresses.",
    { wanted: 'a host name, or null' },
  ),
});

export const teacherTokenFile = file('Bearer token that is sent to teachers; null: none.');

interface Tls {
  readonly certificate: string | null;
  readonly key: string | null;
}

/** Faults of `listen` that involve several keys. */
export function listenFaults(listen: {
  readonly port: number | null;
  readonly socket: string | null;
  readonly tls: Tls & { readonly clientCa: string | null };
  readonly tokenFile: string | null;
}): CrossFault[] {
  const { tls, tokenFile } = listen;
  const faults = pairFaults('listen.tls', tls);
  if (listen.port === null && listen.socket === null) {
    const message = 'got null, wanted a port: there is no listen.socket either';
    faults.push({ keys: ['listen.port', 'listen.socket'], message });
  }
  if (tls.clientCa !== null && tls.certificate === null) {
    faults.push(missing('listen.tls.certificate', 'listen.tls.clientCa', 'is TLS'));
  }
  if (tokenFile !== null && tls.certificate === null) {
    faults.push(missing('listen.tls.certificate', 'listen.tokenFile', 'does not go in plain text'));
  }
  return faults;
}

/** Faults of `teacher` that involve several keys. */
export function teacherFaults(teacher: {
  readonly tls: Tls & { readonly ca: string | null; readonly serverName: string | null };
  readonly tokenFile: string | null;
}): CrossFault[] {
  const { tls, tokenFile } = teacher;
  const faults = pairFaults('teacher.tls', tls);
  if (tls.ca !== null) return faults;
  for (const key of ['certificate', 'serverName'] as const) {
    if (tls[key] !== null) faults.push(missing('teacher.tls.ca', `teacher.tls.${key}`, 'is TLS'));
  }
  if (tokenFile !== null) {
    faults.push(missing('teacher.tls.ca', 'teacher.tokenFile', 'does not go in plain text'));
  }
  return faults;
}

function pairFaults(prefix: string, { certificate, key }: Tls): CrossFault[] {
  if ((certificate === null) === (key === null)) return [];
  const [absent, given] = key === null ? ['key', 'certificate'] : ['certificate', 'key'];
  return [missing(`${prefix}.${absent}`, `${prefix}.${given}`, 'is half of a pair')];
}

function missing(key: string, because: string, why: string): CrossFault {
  return { keys: [key, because], message: `got null, wanted a file: ${because} ${why}` };
}
