/** The result of one of doctor's checks. */
export interface Check {
  readonly name: string;
  /** `missing`: cirkd can't run without it. `note`: it can, but the user may want to know. */
  readonly status: 'ok' | 'missing' | 'note';
  readonly detail: string;
  /** The remedy, if something is wrong. */
  readonly mend?: string;
  /** Figures behind `detail`, for `--json`. */
  readonly data?: Readonly<Record<string, unknown>>;
}
