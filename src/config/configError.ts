/** One error that reports everything that is wrong with a config. */

export interface ConfigFault {
  /** key.path; '' for the whole file. */
  readonly key: string;
  /** The file, where the config has several. */
  readonly file?: string;
  /** Line in the file, from 1; null if the value isn't from a file. */
  readonly line: number | null;
  /** The override that the value came from, as given; null if there is none. */
  readonly override: string | null;
  /** What was given and what was wanted. */
  readonly message: string;
}

export type FaultPlace = Pick<ConfigFault, 'file' | 'line' | 'override'>;

/** The config can't be used. Exit code 2. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError';
  readonly faults: readonly ConfigFault[];

  constructor(fileName: string, faults: readonly ConfigFault[]) {
    const many = faults.length === 1 ? '1 fault' : `${faults.length} faults`;
    super([`${fileName}: ${many}`, ...faults.map((fault) => `  ${faultText(fault)}`)].join('\n'));
    this.faults = faults;
  }
}

function faultText(fault: ConfigFault): string {
  return `${placeText(fault)}${fault.key === '' ? '' : `${fault.key}: `}${fault.message}`;
}

function placeText({ override, file, line }: FaultPlace): string {
  if (override !== null) return `--set ${override}: `;
  const words = [...(file === undefined ? [] : [file]), ...(line === null ? [] : [`line ${line}`])];
  return words.length === 0 ? '' : `${words.join(' ')}: `;
}
