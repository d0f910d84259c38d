/** One logger per service: JSON lines for machines, plain lines for people. */
import { pino } from 'pino';
import type { Logger } from 'pino';
import { formatLogLine } from './logLine.js';
import { type LineSink, safeWriter } from './safeWriter.js';

export type { Logger };

export interface LogOptions {
  readonly service: string;
  readonly level: 'trace' | 'debug' | 'info' | 'warn' | 'error' | 'silent';
  /** auto: text if the sink is a terminal, otherwise json. */
  readonly format: 'auto' | 'json' | 'text';
  readonly sink: LineSink;
  /** Fields that are added to every line. */
  readonly fields?: Readonly<Record<string, string>>;
}

/**
 * Each line has time, level, service and msg, plus the fields of the call. Logging never throws: once
 * the sink breaks, lines are lost.
 */
export function createLogger(options: LogOptions): Logger {
  const { service, level, format, sink, fields } = options;
  const asText = format === 'text' || (format === 'auto' && sink.isTTY === true);
  const put = safeWriter(sink);
  return pino(
    {
      level,
      base: { service, ...fields },
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
      serializers: { err: pino.stdSerializers.err, error: pino.stdSerializers.err },
    },
    { write: (line: string) => put(asText ? formatLogLine(line) : line) },
  );
}
