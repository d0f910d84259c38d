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
    ([words]) => `TLS: its certificate is of no authority trusted here (${words})`,
  ],
  [/certificate has expired/, () => 'TLS: its certificate has expired'],
  [/certificate is not yet valid/, () => 'TLS: its certificate is not yet valid'],
  [/does not match certificate's altnames: (.*)/, ([, names]) => `TLS: wrong name: ${names}`],
  [
    /wrong version number|packet length too long|http request/,
    () => 'TLS: it speaks no TLS on this port',
  ],
  [/unsupported protocol|alert protocol version/, () => 'TLS: no version in common'],
  [
    /alert ((?:bad |unknown |unsupported )?(?:certificate|ca)\b[ a-z]*)/,
    ([, words]) => `TLS: it refused the certificate of this side (${words!.trim()})`,
  ],
];

/** The likely reasons of a peer that hangs up. */
const GUESS = 'does it want TLS, or another client certificate?';

/** The fault behind a call that got no answer; undefined if `details` isn't about the connection. */
export function connectionFault(details: string): ConnectionFault | undefined {
  // This is how calls to a Node.js server end when its certificate was signed by another authority of
  // the same name: OpenSSL's handshake error shows only when the connection is read.
  if (details === 'Connection dropped') {
    return { reason: `it dropped the connection: ${GUESS}`, lasting: false };
  }
  const framed = /^No connection established\. Last error: (.*?)\. Resolution note: /s.exec(
    // OpenSSL ends its messages with a newline.
    details.replaceAll('\n', ''),
  );
  if (framed === null) return undefined;
  const said = framed[1]!.replace(/ \(\d{4}-\d\d-\d\dT[\d:.]+Z\)$/, '').replace(/^Error: /, '');
  for (const [pattern, words] of LASTING) {
    const match = pattern.exec(said);
    if (match !== null) return { reason: words(match), lasting: true };
  }
  // grpc-js' text for a peer that accepted the connection and closed it before HTTP/2 began.
  if (said !== 'Failed to connect') return { reason: said, lasting: false };
  return { reason: `it closed the connection before a word of HTTP/2: ${GUESS}`, lasting: false };
}
