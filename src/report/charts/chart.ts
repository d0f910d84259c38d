/** What a chart shows. How it is drawn: options.ts. */

export interface ChartSeries {
  readonly name: string;
  /** [x, y], x ascending; a y that isn't finite leaves a gap. */
  readonly points: readonly (readonly [number, number])[];
  /** #rrggbb or a name; the one of its place in the palette where it is left out. */
  readonly color?: string;
}

export interface LineChart {
  readonly kind?: 'lines';
  readonly title: string;
  readonly xLabel: string;
  readonly yLabel: string;
  readonly series: readonly ChartSeries[];
  /** Logarithmic axes; values of 0 and below leave gaps. */
  readonly logX?: boolean;
  readonly logY?: boolean;
  /** Draws the running mean over so many points, and the points themselves faintly behind. */
  readonly smoothing?: number;
}

export interface BarSeries {
  readonly name: string;
  /** One per category, 0 and more; null: no bar. */
  readonly values: readonly (number | null)[];
  readonly color?: string;
}

/** Bars in groups: a group per category, a bar per series. */
export interface BarChart {
  readonly kind: 'bars';
  readonly title: string;
  readonly yLabel: string;
  readonly categories: readonly string[];
  readonly series: readonly BarSeries[];
}

export interface ShareRow {
  readonly name: string;
  /** One per part, 0 and more, in any unit. */
  readonly values: readonly number[];
  /** What the whole comes to, in words, at the right. */
  readonly note: string;
}

/** What makes up a whole: a lying bar per row, each as long as the others, cut into parts. */
export interface ShareChart {
  readonly kind: 'shares';
  readonly title: string;
  readonly parts: readonly string[];
  readonly rows: readonly ShareRow[];
}

export type Chart = LineChart | BarChart | ShareChart;

/** Pixels. */
export interface ChartSize {
  readonly width: number;
  readonly height: number;
}
