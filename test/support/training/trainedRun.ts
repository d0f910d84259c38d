/** What a student's run left in its folder. */
import { existsSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { type NamedTensor, parseSafetensors } from '../../../src/wire/safetensors.js';

export interface StepEvent {
  readonly kind: string;
  readonly step: number;
  readonly samples: readonly string[];
  readonly terms: Readonly<Record<string, number>>;
}

export class TrainedRun {
  readonly path: string;

  constructor(directory: string, id: string) {
    this.path = join(directory, id);
  }

  get exists(): boolean {
    return existsSync(this.path);
  }

  /** Steps of the checkpoints, oldest first. Throws where a half-written one lies about. */
  checkpoints(): number[] {
    const folder = join(this.path, 'checkpoints');
    const names = existsSync(folder) ? readdirSync(folder) : [];
    return names
      .filter((name) => name !== 'best.json')
      .map((name) => {
        const step = /^step-(\d{8})$/.exec(name)?.[1];
        if (step === undefined) throw new Error(`${folder}: ${name} was left there`);
        return Number(step);
      })
      .sort((a, b) => a - b);
  }

  /** As if the run had been killed before it saved those. */
  dropCheckpointsAfter(step: number): void {
    for (const each of this.checkpoints()) {
      if (each > step) rmSync(this.checkpointFile(each, ''), { recursive: true });
    }
  }

  checkpointFile(step: number, name: string): string {
    return join(this.path, 'checkpoints', `step-${String(step).padStart(8, '0')}`, name);
  }

  /** Bytes of every tensor after `step` updates, by file and name. */
  state(step: number): Map<string, string> {
    const state = new Map<string, string>();
    for (const [name, { data }] of this.#tensors(step)) {
      state.set(name, Buffer.from(data).toString('base64'));
    }
    return state;
  }

  /** Every byte of the state's files after `step` updates, by name in order. */
  files(step: number): Map<string, string> {
    const names = readdirSync(this.checkpointFile(step, ''))
      .filter((name) => name.endsWith('.safetensors'))
      .sort();
    const bytes = (name: string) =>
      readFileSync(this.checkpointFile(step, name)).toString('base64');
    return new Map(names.map((name) => [name, bytes(name)]));
  }

  /** Names of the tensors of a checkpoint that hold a NaN or an infinity. */
  nonFinite(step: number): string[] {
    return [...this.#tensors(step)].flatMap(([name, { dtype, data }]) => {
      // A copy: the file's bytes are at any offset.
      const whole = () => new Float32Array(new Uint8Array(data).buffer).every(Number.isFinite);
      return dtype !== 'F32' || whole() ? [] : [name];
    });
  }

  steps(): StepEvent[] {
    return this.events().filter((event): event is StepEvent => event.kind === 'step');
  }

  events(): { readonly kind: string }[] {
    const text = readFileSync(join(this.path, 'events.jsonl'), 'utf8').trimEnd();
    return text.split('\n').map((line) => JSON.parse(line) as { kind: string });
  }

  /** The events of a kind, without their time. */
  timeless(wanted: string): Readonly<Record<string, unknown>>[] {
    return this.events()
      .filter(({ kind }) => kind === wanted)
      .map(({ time: _, ...event }: Readonly<Record<string, unknown>>) => event);
  }

  #tensors(step: number): Map<string, NamedTensor> {
    const files = readdirSync(this.checkpointFile(step, ''));
    return new Map(
      files
        .filter((file) => file.endsWith('.safetensors'))
        .flatMap((file) => {
          const { tensors } = parseSafetensors(readFileSync(this.checkpointFile(step, file)));
          return [...tensors].map(([name, tensor]) => [`${file}: ${name}`, tensor] as const);
        }),
    );
  }
}
