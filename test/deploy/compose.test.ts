import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { parse } from 'yaml';
import { runProgram } from '../../services/setup/subprocess.mjs';
import { loadConfig } from '../../src/config/load.js';
import { studentSchema } from '../../src/config/student.js';
import { teacherSchema } from '../../src/config/teacher.js';
import { wheelProgram } from '../support/tools/wheelProgram.js';

const FOLDER = fileURLToPath(new URL('../../deploy/compose', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'cirkd-compose-'));

interface Mount {
  readonly type: string;
  readonly source: string;
  readonly target: string;
  readonly read_only?: boolean;
}

interface Service {
  readonly image: string;
  readonly build?: {
    readonly context: string;
    readonly dockerfile: string;
    readonly target: string;
  };
  readonly volumes?: readonly Mount[];
  readonly read_only?: boolean;
  readonly cap_drop?: readonly string[];
  readonly healthcheck?: { readonly test: readonly string[] };
  readonly deploy?: { readonly replicas?: number };
  readonly ports?: readonly { readonly host_ip?: string }[];
}

let services: Readonly<Record<string, Service>>;

/** As `docker compose config` resolves it; that checks it by Compose's own schema. */
async function resolved(...files: string[]): Promise<Readonly<Record<string, Service>>> {
  const { code, output } = await compose(...files);
  assert.equal(code, 0, output);
  return (JSON.parse(output) as { services: Record<string, Service> }).services;
}

async function compose(...files: string[]) {
  const chosen = files.flatMap((file) => ['-f', file]);
  return runProgram(await wheelProgram('docker-compose'), [...chosen, 'config', '--format=json']);
}

function text(name: string): string {
  return readFileSync(join(FOLDER, name), 'utf8');
}

function teacherConfig() {
  return loadConfig(teacherSchema, { text: text('teacher.yaml'), fileName: 'teacher.yaml' });
}

function studentConfig() {
  return loadConfig(studentSchema, { text: text('student.yaml'), fileName: 'student.yaml' });
}

function targets(service: string): string[] {
  return (services[service]?.volumes ?? []).map(({ target }) => target);
}

before(async () => {
  services = await resolved(join(FOLDER, 'compose.yaml'));
});
after(() => rmSync(folder, { recursive: true }));

test('Compose takes both files, and refuses what it does not know', async () => {
  assert.deepEqual(Object.keys(services), ['grafana', 'prometheus', 'student', 'teacher']);
  assert.equal(services['teacher']?.deploy?.replicas, 2);
  await resolved(join(FOLDER, 'compose.yaml'), join(FOLDER, 'compose.gpu.yaml'));
  const bad = join(folder, 'compose.yaml');
  writeFileSync(bad, 'services: {teacher: {image: none, heathcheck: {}}}\n');
  const { code, output } = await compose(bad);
  assert.notEqual(code, 0);
  assert.match(output, /heathcheck/);
});

test('every file that is mounted is there, and mounted read-only', () => {
  const mounts = Object.values(services).flatMap(({ volumes = [] }) => volumes);
  const bound = mounts.filter(({ type }) => type === 'bind');
  assert.ok(bound.length >= 9, `${bound.length} files`);
  for (const { source, read_only } of bound) {
    assert.ok(statSync(source).isFile(), source);
    assert.equal(read_only, true, source);
  }
});

test('images are built from the Dockerfile, run contained, and open no port to other machines', () => {
  for (const name of ['teacher', 'student']) {
    const { build, read_only, cap_drop } = services[name]!;
    assert.equal(build?.target, name);
    assert.ok(statSync(join(build.context, build.dockerfile)).isFile());
    assert.equal(dirname(dirname(FOLDER)), build.context);
    assert.equal(read_only, true);
    assert.deepEqual(cap_drop, ['ALL']);
  }
  for (const { ports = [], image } of Object.values(services)) {
    assert.match(image, /:v?\d+\.\d+\.\d+$/, 'a whole version');
    for (const { host_ip } of ports) assert.equal(host_ip, '127.0.0.1');
  }
});

test('the configs are the services’ own, and agree with each other and with what is mounted', () => {
  const [teacher, student] = [teacherConfig(), studentConfig()];
  assert.ok(targets('teacher').includes('/etc/cirkd/teacher.yaml'));
  assert.ok(targets('student').includes('/etc/cirkd/student.yaml'));
  assert.ok(targets('teacher').includes(String(teacher.checkpoint)));
  assert.ok(targets('student').includes(String(student.student.weights)));
  assert.ok(targets('student').includes(student.run.directory));
  assert.notEqual(student.run.id, null, '--resume wants it');
  assert.deepEqual(student.teacher.addresses, [`dns:///teacher:${teacher.listen.port}`]);
  assert.equal(
    services['teacher']?.healthcheck?.test.at(-1),
    `127.0.0.1:${teacher.listen.healthPort}`,
  );
  for (const { host } of [teacher.listen, teacher.metrics, student.metrics]) {
    assert.equal(host, '0.0.0.0');
  }
});

test('Prometheus scrapes both services, and Grafana reads Prometheus', () => {
  interface Prometheus {
    readonly rule_files: readonly string[];
    readonly scrape_configs: readonly {
      readonly dns_sd_configs: readonly {
        readonly names: readonly string[];
        readonly port: number;
      }[];
    }[];
  }
  const { scrape_configs, rule_files } = parse(text('prometheus.yaml')) as Prometheus;
  const scraped = scrape_configs
    .flatMap(({ dns_sd_configs }) => dns_sd_configs)
    .map(({ names, port }) => [...names, port]);
  assert.deepEqual(scraped, [
    ['teacher', teacherConfig().metrics.port],
    ['student', studentConfig().metrics.port],
  ]);
  for (const file of rule_files)
    assert.ok(targets('prometheus').includes(`/etc/prometheus/${file}`));
  interface Grafana {
    readonly datasources: readonly { readonly url: string }[];
    readonly providers: readonly { readonly options: { readonly path: string } }[];
  }
  const { datasources } = parse(text('grafana/datasources.yaml')) as Grafana;
  assert.deepEqual(
    datasources.map(({ url }) => url),
    ['http://prometheus:9090'],
  );
  const { providers } = parse(text('grafana/dashboards.yaml')) as Grafana;
  const dashboard = targets('grafana').find((target) => target.endsWith('.json'));
  assert.deepEqual(
    providers.map(({ options }) => options.path),
    [dirname(String(dashboard))],
  );
});
