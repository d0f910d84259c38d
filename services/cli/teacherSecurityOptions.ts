/** The options by which a command authenticates to running teachers, and verifies them. */
import { type ClientSecurity, openClientSecurity } from '../../src/rpc/security/clientSecurity.js';
import { UsageError } from './command.js';

/** For node:util's parseArgs. */
export const TEACHER_SECURITY_OPTIONS = {
  'teacher-ca': { type: 'string' },
  'teacher-certificate': { type: 'string' },
  'teacher-key': { type: 'string' },
  'teacher-token-file': { type: 'string' },
  'teacher-name': { type: 'string' },
} as const;

export const TEACHER_SECURITY_USAGE = `  --teacher-ca FILE
                  TLS: the certificate authorities of the teachers (PEM)
  --teacher-certificate FILE, --teacher-key FILE
                  mutual TLS: the client certificate and its key (PEM)
  --teacher-token-file FILE
                  a bearer token for the teachers
  --teacher-name NAME
                  the name in their certificates, if it differs from the host of the address`;

export type TeacherSecurityValues = {
  readonly [Name in keyof typeof TEACHER_SECURITY_OPTIONS]?: string | undefined;
};

/** Plaintext without --teacher-ca. Throws UsageError if an option requires another, SecurityFileError. */
export async function openTeacherSecurity(values: TeacherSecurityValues): Promise<ClientSecurity> {
  const ca = named(values, 'teacher-ca');
  const certificate = named(values, 'teacher-certificate');
  const key = named(values, 'teacher-key');
  if ((certificate === null) !== (key === null)) {
    throw new UsageError('--teacher-certificate, --teacher-key: one given, wanted both or none');
  }
  const without = Object.keys(values).filter(
    (name) => name in TEACHER_SECURITY_OPTIONS && values[name as keyof TeacherSecurityValues],
  );
  if (ca === null && without.length > 0) {
    throw new UsageError(`--teacher-ca: none given, wanted one: --${without[0]} is for TLS`);
  }
  const identity = certificate === null || key === null ? null : { certificate, key };
  const token = named(values, 'teacher-token-file');
  return openClientSecurity({ tls: ca === null ? null : { ca, identity }, token });
}

function named(values: TeacherSecurityValues, name: keyof TeacherSecurityValues) {
  const path = values[name];
  return path === undefined ? null : { key: `--${name}`, path };
}
