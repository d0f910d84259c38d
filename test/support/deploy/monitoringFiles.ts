/** The rules, the dashboard and the scaler's query as tests read them. */
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { parse } from 'yaml';

const FILES = new URL('../../../deploy/helm/cirkd/files/', import.meta.url);

export const RULES_FILE = fileURLToPath(new URL('rules.yaml', FILES));

export interface Rule {
  readonly expr: string;
  readonly record?: string;
  readonly alert?: string;
  readonly annotations?: Readonly<Record<string, string>>;
}

export interface Panel {
  readonly title: string;
  readonly type: string;
  readonly targets?: readonly { readonly expr: string; readonly legendFormat: string }[];
}

const text = (name: string) => readFileSync(new URL(name, FILES), 'utf8');

export function rules(): Rule[] {
  const { groups } = parse(text('rules.yaml')) as { groups: { rules: Rule[] }[] };
  return groups.flatMap((group) => group.rules);
}

export interface Dashboard {
  readonly panels: readonly Panel[];
  readonly templating: { readonly list: readonly { readonly name: string; query: unknown }[] };
}

export function dashboard(): Dashboard {
  return JSON.parse(text('dashboard.json')) as Dashboard;
}

export interface PanelQuery {
  readonly panel: string;
  readonly expr: string;
  readonly legend: string;
}

/** As Grafana would send them with every variable at All. */
export function panelQueries(rateInterval: string): PanelQuery[] {
  return dashboard().panels.flatMap(({ title, targets = [] }) =>
    targets.map(({ expr, legendFormat }) => ({
      panel: title,
      legend: legendFormat,
      expr: expr.replaceAll(/\$(job|run)\b/g, '.*').replaceAll('$__rate_interval', rateInterval),
    })),
  );
}

export interface Scaler {
  readonly query: string;
  readonly threshold: string;
}

/** For a fleet in `namespace`. */
export function scaler(namespace: string): Scaler {
  const { query, threshold } = parse(text('scaler.yaml')) as Scaler;
  return { query: query.replaceAll('NAMESPACE', namespace), threshold };
}

/** The rules with windows and interval of other lengths; the names stay. */
export function rulesText({ window }: { readonly window: string }): string {
  return text('rules.yaml').replaceAll('[2m]', `[${window}]`);
}

/** Every series that a query names: of the code (`cirkd_x`) or recorded (`cirkd:x`). */
export function namesIn(expr: string): string[] {
  return expr.match(/\b(?:cirkd[_:][\w:]+|nodejs_\w+|process_\w+)/g) ?? [];
}

/** What it selects, with its matchers: what must be there for a comparison to be one. */
export function selectorsIn(expr: string): string[] {
  return expr.match(/\bcirkd[_:][\w:]+(?:\{[^}]*\})?/g) ?? [];
}
