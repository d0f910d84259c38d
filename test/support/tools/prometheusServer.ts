/** A Prometheus server of a test's own: real scrapes, rules and queries, data in a temporary folder. */
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { stringify } from 'yaml';
import { eventually } from '../eventually.js';
import { PROMETHEUS } from './goModules.js';
import { goPrograms } from './goProgram.js';

export interface ScrapeJob {
  readonly name: string;
  /** host:port of /metrics */
  readonly targets: readonly string[];
}

export interface Series {
  readonly metric: Readonly<Record<string, string>>;
  readonly value: number;
}

export interface RangeSeries {
  readonly metric: Readonly<Record<string, string>>;
  /** Unix seconds and value. */
  readonly values: readonly (readonly [time: number, value: number])[];
}

export class PrometheusServer {
  readonly #child: ChildProcess;
  readonly #folder: string;
  #output = '';
  #url = '';

  private constructor(program: string, folder: string) {
    this.#folder = folder;
    const flags = {
      'config.file': join(folder, 'prometheus.yaml'),
      'storage.tsdb.path': join(folder, 'data'),
      'web.listen-address': '127.0.0.1:0',
    };
    const args = Object.entries(flags).map(([name, value]) => `--${name}=${value}`);
    this.#child = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'] });
    for (const stream of [this.#child.stdout, this.#child.stderr]) {
      stream?.on('data', (text) => {
        this.#output += text;
      });
    }
  }

  /** Scrapes and evaluates every second. Every series gets the label `namespace`: "test". */
  static async start(jobs: readonly ScrapeJob[], rules: string): Promise<PrometheusServer> {
    const program = join(await goPrograms(PROMETHEUS), 'prometheus');
    const folder = mkdtempSync(join(tmpdir(), 'cirkd-prometheus-'));
    writeFileSync(join(folder, 'rules.yaml'), rules);
    const config = {
      global: { scrape_interval: '1s', scrape_timeout: '1s', evaluation_interval: '1s' },
      rule_files: ['rules.yaml'],
      scrape_configs: jobs.map(({ name, targets }) => ({
        job_name: name,
        static_configs: [{ targets, labels: { namespace: 'test' } }],
      })),
    };
    writeFileSync(join(folder, 'prometheus.yaml'), stringify(config));
    const server = new PrometheusServer(program, folder);
    try {
      await server.#ready();
    } catch (error) {
      await server.close();
      throw error;
    }
    return server;
  }

  /** An instant query; what isn't a number is NaN, `Infinity` as in PromQL. */
  async query(expr: string): Promise<Series[]> {
    const data = await this.#get('query', { query: expr });
    const result = data as { metric: Series['metric']; value: [number, string] }[];
    return result.map(({ metric, value }) => ({ metric, value: toNumber(value[1]) }));
  }

  /** From `seconds` ago until now, a value a second. */
  async range(expr: string, seconds: number): Promise<RangeSeries[]> {
    const end = Date.now() / 1000;
    const span = { start: String(end - seconds), end: String(end), step: '1' };
    const data = await this.#get('query_range', { query: expr, ...span });
    const result = data as { metric: Series['metric']; values: [number, string][] }[];
    return result.map(({ metric, values }) => ({
      metric,
      values: values.map(([time, value]) => [time, toNumber(value)] as const),
    }));
  }

  /** Of every rule, the error of its last evaluation; '' where there was none. */
  async ruleErrors(): Promise<string[]> {
    const response = await fetch(`${this.#url}/api/v1/rules`);
    const { data } = (await response.json()) as {
      data: { groups: { rules: { lastError?: string }[] }[] };
    };
    return data.groups.flatMap(({ rules }) => rules.map(({ lastError = '' }) => lastError));
  }

  async close(): Promise<void> {
    const ended = new Promise((resolve) => this.#child.once('close', resolve));
    this.#child.kill('SIGTERM');
    if (this.#child.exitCode === null) await ended;
    rmSync(this.#folder, { recursive: true, force: true });
  }

  async #ready(): Promise<void> {
    const address = /msg="Listening on" .*address=(\S+)/;
    await eventually(() => {
      if (this.#child.exitCode !== null) throw new Error(`Prometheus ended:\n${this.#output}`);
      return address.test(this.#output);
    });
    this.#url = `http://${address.exec(this.#output)![1]}`;
    await eventually(async () => (await fetch(`${this.#url}/-/ready`)).ok);
  }

  async #get(path: string, parameters: Record<string, string>): Promise<unknown> {
    const query = new URLSearchParams(parameters);
    const response = await fetch(`${this.#url}/api/v1/${path}?${query}`);
    const answer = (await response.json()) as { data?: { result: unknown }; error?: string };
    if (answer.data === undefined) throw new Error(`${parameters['query']}: ${answer.error}`);
    return answer.data.result;
  }
}

function toNumber(text: string): number {
  return Number(text.replace('Inf', 'Infinity'));
}
