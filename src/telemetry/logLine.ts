/** Formats a JSON log line for people: "12:34:56.789 INFO student: message key=value". */

interface LogRecord {
  readonly time?: string;
  readonly level?: string;
  readonly service?: string;
  readonly msg?: string;
  readonly [key: string]: unknown;
}

/** Takes and returns one line with its newline. Text that isn't a log record is returned unchanged. */
export function formatLogLine(json: string): string {
  let record: LogRecord;
  try {
    record = JSON.parse(json) as LogRecord;
  } catch {
    return json;
  }
  const { time, level, service, msg, ...fields } = record;
  const clock = time?.slice(11, 23) ?? '';
  const pairs: string[] = [];
  const stacks: string[] = [];
  for (const [key, value] of Object.entries(fields)) {
    const error = asError(value);
    pairs.push(`${key}=${fieldText(error === null ? value : `${error.type}: ${error.message}`)}`);
    if (error?.stack !== undefined && (level === 'error' || level === 'fatal')) {
      stacks.push(`\n${frames(error.stack)}`);
    }
  }
  const head = `${clock} ${(level ?? '').toUpperCase().padEnd(5)} ${service ?? ''}:`;
  const line = [head, visible(msg ?? ''), ...pairs].filter((part) => part !== '').join(' ');
  return `${line}${stacks.join('')}\n`;
}

/** Escapes control characters and indents further lines, so that none looks like a record. */
function visible(text: string): string {
  return text
    .replaceAll('\n', '\n    ')
    .replace(/[\p{Cc}]/gu, (c) => (c === '\n' ? c : JSON.stringify(c).slice(1, -1)));
}

function fieldText(value: unknown): string {
  if (typeof value === 'string' && /^[\p{L}\p{N}\p{P}\p{S}]+$/u.test(value)) return value;
  return JSON.stringify(value) ?? 'undefined';
}

function asError(value: unknown): { type: string; message: string; stack?: string } | null {
  if (value === null || typeof value !== 'object') return null;
  const { type, message, stack } = value as Record<string, unknown>;
  if (typeof type !== 'string' || typeof message !== 'string') return null;
  return typeof stack === 'string' ? { type, message, stack } : { type, message };
}

/** The frames of a stack trace without its first lines, which repeat the message. */
function frames(stack: string): string {
  return stack
    .split('\n')
    .filter((line) => /^\s+at /.test(line))
    .map(visible)
    .join('\n');
}
