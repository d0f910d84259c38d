/**
 * Why a connection failed, read from grpc-js' error text, the only source: it wraps the messages of
 * Node and OpenSSL. Some reasons last until a file is changed.
 */

export interface ConnectionFault {
  /** Our wording for known faults, else the text that grpc-js wraps. */
  readonly reason: string;
  /** Whether a retry can't help: the peer isn't trusted, or doesn't speak TLS. */
  readonly lasting: boolean;
}

const LASTING: readonly (readonly [RegExp, (match: RegExpExecArray) => string])[] = [
  [
    /self-signed certificate|unable to (get|verify)[\w ]*(issuer|certificate)|invalid CA certificate|certificate signature failure/,
    ([message]) => `TLS: its certificate is not signed by a trusted authority (${message})`,
  ],
  [/certificate has expired/, () => 'TLS: its certificate has expired'],
  [/certificate is not yet valid/, () => 'TLS: its certificate is not yet valid'],
  [/does not match certificate's altnames: (.*)/, ([, names]) => `TLS: wrong name: ${names}`],
  [
    /wrong version number|packet length too long|http request/,
    () => 'TLS: its port does not accept TLS',
  ],
  [/unsupported protocol|alert protocol version/, () => 'TLS: no protocol version in common'],
  [
    /alert ((?:bad |unknown |unsupported )?(?:certificate|ca)\b[ a-z]*)/,
    ([, alert]) => `TLS: it rejected this client's certificate (${alert!.trim()})`,
  ],
];

/** The likely reasons of a peer that hangs up. */
const LIKELY_CAUSE = 'does it require TLS, or another client certificate?';

/** The fault behind a call that got no answer; undefined if `details` isn't about the connection. */
export function connectionFault(details: string): ConnectionFault | undefined {
  // This is how calls to a Node.js server end when its certificate was signed by another authority of
  // the same name: OpenSSL's handshake error shows only when the connection is read.
  if (details === 'Connection dropped') {
    return { reason: `it dropped the connection: ${LIKELY_CAUSE}`, lasting: false };
  }
  const framed = /^No connection established\. Last error: (.*?)\. Resolution note: /s.exec(
    // OpenSSL ends its messages with a newline.
    details.replaceAll('\n', ''),
  );
  if (framed === null) return undefined;
  const cause = framed[1]!.replace(/ \(\d{4}-\d\d-\d\dT[\d:.]+Z\)$/, '').replace(/^Error: /, '');
  for (const [pattern, describe] of LASTING) {
    const match = pattern.exec(cause);
    if (match !== null) return { reason: describe(match), lasting: true };
  }
  // grpc-js' text for a peer that accepted the connection and closed it before HTTP/2 began.
  if (cause !== 'Failed to connect') return { reason: cause, lasting: false };
  return {
    reason: `it closed the connection before HTTP/2 began: ${LIKELY_CAUSE}`,
    lasting: false,
  };
}
