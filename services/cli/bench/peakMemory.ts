/** Resident memory of this process, KiB. */
import { readFileSync, writeFileSync } from 'node:fs';

/**
 * Resets the peak, after a garbage collection if Node runs with --expose-gc. If the kernel can't reset
 * it, the peak stays that of the whole process.
 */
export function startPeak(): void {
  globalThis.gc?.();
  try {
    writeFileSync('/proc/self/clear_refs', '5');
  } catch {}
}

/** VmHWM: the peak since startPeak or, without /proc, since the start of the process. */
export function peakKiB(): number {
  return statusKiB('VmHWM') ?? process.resourceUsage().maxRSS;
}

/** VmRSS: the current value. */
export function residentKiB(): number {
  return statusKiB('VmRSS') ?? Math.round(process.memoryUsage().rss / 1024);
}

function statusKiB(key: string): number | null {
  try {
    const status = readFileSync('/proc/self/status', 'utf8');
    const line = status.split('\n').find((text) => text.startsWith(`${key}:`));
    return line === undefined ? null : Number.parseInt(line.slice(key.length + 1), 10);
  } catch {
    return null;
  }
}
