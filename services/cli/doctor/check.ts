/** What doctor finds out about one thing. */
export interface Check {
  readonly name: string;
  /** `missing`: cirkd can't run without it. `note`: it can, but somebody may want to know. */
  readonly status: 'ok' | 'missing' | 'note';
  readonly detail: string;
  /** What to do, where something is wrong. */
  readonly mend?: string;
  /** Figures behind `detail`, for `--json`. */
  readonly data?: Readonly<Record<string, unknown>>;
}
