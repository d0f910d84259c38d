/** What the student shows to teachers and wants of them, from the config's files to metrics and log. */
import type { StudentConfig } from '../../src/config/student.js';
import { type ClientSecurity, openClientSecurity } from '../../src/rpc/clientSecurity.js';
import type { Reporting } from './reporting.js';

/** Rejects with SecurityFileError. */
export function openSecurity(
  { tls, tokenFile }: StudentConfig['teacher'],
  { metrics, log }: Pick<Reporting, 'metrics' | 'log'>,
): Promise<ClientSecurity> {
  const { ca, certificate, key } = tls;
  const named = (name: string, path: string) => ({ key: `teacher.${name}`, path });
  const identity =
    // One without the other is a fault of the config.
    certificate === null || key === null
      ? null
      : {
          certificate: named('tls.certificate', certificate),
          key: named('tls.key', key),
        };
  return openClientSecurity({
    tls: ca === null ? null : { ca: named('tls.ca', ca), identity },
    token: tokenFile === null ? null : named('tokenFile', tokenFile),
    onCertificate: metrics.setCertificateExpiry,
    onReloaded: (keys) => log.info({ keys }, 'security files read again'),
    onExposed: (reason) => log.warn({ reason }, 'a secret that others may read'),
    onProblem: ({ message }) => log.error({ reason: message }, 'security files not taken over'),
  });
}
