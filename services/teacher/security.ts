/** Opens the server's certificates and tokens, and reports their changes to metrics and log. */
import type { TeacherConfig } from '../../src/config/teacher.js';
import { openServerSecurity, type ServerSecurity } from '../../src/rpc/security/serverSecurity.js';
import type { Logger } from '../../src/telemetry/log.js';
import type { TeacherMetrics } from '../../src/telemetry/teacherMetrics.js';
import { refusalLog } from './refusalLog.js';

/** Rejects with SecurityFileError. */
export function openSecurity(
  { tls, tokenFile }: TeacherConfig['listen'],
  { setCertificateExpiry }: TeacherMetrics,
  log: Logger,
): Promise<ServerSecurity> {
  const { certificate, key, clientCa } = tls;
  const named = (name: string, path: string) => ({ key: `listen.${name}`, path });
  return openServerSecurity({
    tls:
      // The config's checks refuse one without the other.
      certificate === null || key === null
        ? null
        : {
            certificate: named('tls.certificate', certificate),
            key: named('tls.key', key),
            clientCa: clientCa === null ? null : named('tls.clientCa', clientCa),
          },
    tokens: tokenFile === null ? null : named('tokenFile', tokenFile),
    onCertificate: setCertificateExpiry,
    onReloaded: (keys) => log.info({ keys }, 'security files reloaded'),
    onProblem: ({ message }) => log.error({ reason: message }, 'changed security files not used'),
    onRefused: refusalLog(log),
    onExposed: (reason) => log.warn({ reason }, 'a secret is readable by every user'),
  });
}
