/** Rules, dashboard and scaler against the code: no name that nobody serves, no figure unseen. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import type { Registry } from 'prom-client';
import { parse } from 'yaml';
import { createStudentMetrics } from '../../src/telemetry/studentMetrics.js';
import { createTeacherMetrics } from '../../src/telemetry/teacherMetrics.js';
import {
  dashboard,
  namesIn,
  panelQueries,
  rules,
  scaler,
} from '../support/deploy/monitoringFiles.js';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const read = (path: string) => readFileSync(`${ROOT}/${path}`, 'utf8');

/** Series of a registry: a histogram has three. */
function seriesOf(registry: Registry): string[] {
  return registry.getMetricsAsArray().flatMap((metric) => {
    const { name, type } = metric as unknown as { name: string; type: string };
    const parts = type === 'histogram' ? ['_bucket', '_sum', '_count'] : [''];
    return parts.map((part) => `${name}${part}`);
  });
}

const served = [createTeacherMetrics(), createStudentMetrics()].flatMap(({ registry }) =>
  seriesOf(registry),
);
const recorded = rules().flatMap(({ record }) => (record === undefined ? [] : [record]));
const queries = [
  ...rules().map(({ expr }) => expr),
  ...panelQueries('1m').map(({ expr }) => expr),
  scaler('x').query,
];
const named = new Set(queries.flatMap(namesIn));

test('every series that a panel, a rule or the scaler names is served or recorded', () => {
  assert.ok(named.size > 30, [...named].join());
  const known = new Set([...served, ...recorded]);
  assert.deepEqual(
    [...named].filter((name) => !known.has(name)),
    [],
  );
  const variables = JSON.stringify(dashboard().templating);
  assert.deepEqual(
    namesIn(variables).filter((name) => !known.has(name)),
    [],
  );
});

test('every metric of the code is in a panel or a rule, every recorded one in use', () => {
  const base = (name: string) => name.replace(/_(bucket|sum|count)$/, '');
  const used = new Set([...named].map(base));
  const ours = served.filter((name) => name.startsWith('cirkd_')).map(base);
  assert.ok(ours.length > 20, ours.join());
  assert.deepEqual(
    [...new Set(ours)].filter((name) => !used.has(name)),
    [],
  );
  assert.deepEqual(
    recorded.filter((name) => !named.has(name)),
    [],
  );
});

test('metric names are found in queries', () => {
  const expr = 'rate(cirkd_a_total{x="cirkd"}[1m]) / cirkd:b:c2m + nodejs_lag';
  assert.deepEqual(namesIn(expr), ['cirkd_a_total', 'cirkd:b:c2m', 'nodejs_lag']);
});

test('every alert has a section of the runbook, a test that fires and one that does not', () => {
  const alerts = rules().filter(({ alert }) => alert !== undefined);
  const headings = [...read('docs/runbook.md').matchAll(/^## (.+)$/gm)].map(([, title]) => title!);
  assert.deepEqual(alerts.map(({ alert }) => alert!).sort(), headings.sort());
  for (const { alert, annotations } of alerts) {
    assert.equal(annotations?.['runbook_url'], `docs/runbook.md#${alert!.toLowerCase()}`);
  }
  const { tests } = parse(read('test/deploy/rules.promtool.yaml')) as {
    tests: { alert_rule_test?: { alertname: string; exp_alerts: unknown[] }[] }[];
  };
  const cases = tests.flatMap(({ alert_rule_test = [] }) => alert_rule_test);
  for (const { alert } of alerts) {
    const firing = cases.filter(({ alertname }) => alertname === alert);
    assert.ok(
      firing.some(({ exp_alerts }) => exp_alerts.length > 0),
      `${alert} never fires`,
    );
    assert.ok(
      firing.some(({ exp_alerts }) => exp_alerts.length === 0),
      `${alert} always fires`,
    );
  }
});

test('the dashboard: unique ids, a query in every panel but rows, and its variables', () => {
  const { panels, templating } = dashboard();
  const ids = panels.map((panel) => (panel as unknown as { id: number }).id);
  assert.equal(new Set(ids).size, panels.length);
  for (const { title, type, targets = [] } of panels) {
    assert.equal(targets.length > 0, type !== 'row', title);
  }
  assert.deepEqual(
    templating.list.map(({ name }) => name),
    ['datasource', 'job', 'run'],
  );
});
