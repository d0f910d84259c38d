/** From data to pixels: the range of an axis and where its ticks stand. */

export interface Tick {
  readonly value: number;
  readonly label: string;
}

export interface Scale {
  readonly low: number;
  readonly high: number;
  readonly ticks: readonly Tick[];
  /** Share of the axis, 0 at `low`, 1 at `high`. */
  position(value: number): number;
}

/** Round steps (1, 2, 2.5, 5 times a power of ten); the axis ends at the data, ticks lie inside. */
export function linearScale(values: readonly number[], wantedTicks: number, pad: number): Scale {
  let [low, high] = extent(values);
  if (low === high) {
    const room = low === 0 ? 1 : Math.abs(low) / 2;
    low -= room;
    high += room;
  }
  const margin = (high - low) * pad;
  // Losses and shares start at 0: padding must not suggest values below.
  low = low >= 0 && low - margin < 0 ? 0 : low - margin;
  high += margin;
  const position = (value: number) => (value - low) / (high - low);
  return { low, high, ticks: linearTicks(low, high, wantedTicks), position };
}

function linearTicks(low: number, high: number, wanted: number): Tick[] {
  const step = roundStep((high - low) / wanted);
  const ticks: Tick[] = [];
  for (let i = Math.ceil(low / step - 1e-9); i * step <= high + step * 1e-9; i++) {
    ticks.push({ value: i * step, label: numberLabel(i * step, step) });
  }
  return ticks;
}

/** Values that span less than this factor get round steps instead of powers of ten. */
const NARROW = 4;

/** Powers of ten, with 2 and 5 between where there are few; values must be above 0. */
export function logScale(values: readonly number[]): Scale {
  let [low, high] = extent(values.filter((value) => value > 0));
  if (low <= 0) [low, high] = [0.1, 1];
  if (high / low < 2) [low, high] = [low / 1.5, high * 1.5];
  const decades = Math.log10(high / low);
  const mantissas = decades < 3 ? [1, 2, 5] : [1];
  const every = Math.ceil(decades / 8);
  const ticks: Tick[] = [];
  const first = Math.floor(Math.log10(low));
  for (let exponent = first; exponent <= Math.log10(high); exponent++) {
    if ((exponent - first) % Math.max(every, 1) !== 0) continue;
    for (const mantissa of mantissas) {
      const value = mantissa * 10 ** exponent;
      if (value >= low && value <= high) ticks.push({ value, label: numberLabel(value, value) });
    }
  }
  const position = (value: number) => Math.log10(value / low) / Math.log10(high / low);
  if (high / low < NARROW) return { low, high, ticks: linearTicks(low, high, 4), position };
  return { low, high, ticks, position };
}

function extent(values: readonly number[]): [number, number] {
  let low = Number.POSITIVE_INFINITY;
  let high = Number.NEGATIVE_INFINITY;
  for (const value of values) {
    if (!Number.isFinite(value)) continue;
    low = Math.min(low, value);
    high = Math.max(high, value);
  }
  return low <= high ? [low, high] : [0, 1];
}

function roundStep(rough: number): number {
  const power = 10 ** Math.floor(Math.log10(rough));
  const mantissa = [1, 2, 2.5, 5, 10].find((m) => m * power >= rough * (1 - 1e-9)) ?? 10;
  return mantissa * power;
}

/** As many decimals as the step needs; powers where numbers get long. */
function numberLabel(value: number, step: number): string {
  if (value === 0) return '0';
  const size = Math.abs(value);
  if (size >= 1e6 || size < 1e-4)
    return value.toExponential(1).replace('.0e', 'e').replace('e+', 'e');
  const decimals = Math.max(0, Math.ceil(-Math.log10(Math.abs(step)) - 1e-9));
  const fine = Math.abs(step * 10 ** decimals - Math.round(step * 10 ** decimals)) > 1e-6;
  return value.toFixed(Math.min(decimals + (fine ? 1 : 0), 8));
}
