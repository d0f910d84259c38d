/**
 * Why a connection didn't come about, from what grpc-js says of it: text alone, around Node's and
 * OpenSSL's own words. Some reasons last until somebody changes a file.
 */

export interface ConnectionFault {
  /** In words of ours where they are known, else grpc-js' without its frame. */
  readonly reason: string;
  /** Another try doesn't change it: the peer can't be trusted, or speaks no TLS. */
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

/** What a peer that hangs up may have against us. */
const GUESS = 'does it want TLS, or another client certificate?';

/** Of a call that got no answer; undefined where `details` doesn't tell of its connection. */
export function connectionFault(details: string): ConnectionFault | undefined {
  // So end calls to a server on Node.js with a certificate that another authority of the same name
  // has signed: OpenSSL's error from the handshake is found when the connection is read.
  if (details === 'Connection dropped') {
    return { reason: `it dropped the connection: ${GUESS}`, lasting: false };
  }
  const framed = /^No connection established\. Last error: (.*?)\. Resolution note: /s.exec(
    // OpenSSL ends its words with a new line.
    details.replaceAll('\n', ''),
  );
  if (framed === null) return undefined;
  const said = framed[1]!.replace(/ \(\d{4}-\d\d-\d\dT[\d:.]+Z\)$/, '').replace(/^Error: /, '');
  for (const [pattern, words] of LASTING) {
    const match = pattern.exec(said);
    if (match !== null) return { reason: words(match), lasting: true };
  }
  // grpc-js' words for a peer that took the connection and closed it before HTTP/2 began.
  if (said !== 'Failed to connect') return { reason: said, lasting: false };
  return { reason: `it closed the connection before a word of HTTP/2: ${GUESS}`, lasting: false };
}
