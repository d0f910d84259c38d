/** The rendered configs and commands run: teacher and student as the chart of values/try.yaml has them. */
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { Authority } from '../support/certificates/authority.js';
import type { CirkdProcess } from '../support/commands/cirkdProcess.js';
import { NAMESPACE, only, RELEASE, render, VARIANTS } from '../support/deploy/chart.js';
import type { KubeObject } from '../support/deploy/kube.js';
import { startContainer } from '../support/deploy/renderedContainer.js';
import { DnsServer } from '../support/connections/dnsServer.js';
import { eventually } from '../support/eventually.js';
import { healthOf } from '../support/connections/grpcProbes.js';

const STEPS = 3;

const folder = mkdtempSync(join(tmpdir(), 'cirkd-chart-run-'));
const processes: CirkdProcess[] = [];
after(() => {
  for (const one of processes) one.kill();
  rmSync(folder, { recursive: true, force: true });
});

function start(...given: Parameters<typeof startContainer>): CirkdProcess {
  const started = startContainer(...given);
  processes.push(started);
  return started;
}

async function startTeacher(objects: readonly KubeObject[], mounted: string) {
  const ports = ['listen.port=0', 'listen.healthPort=0', 'metrics.port=0'];
  const teacher = start(objects, 'teacher', mounted, ports);
  const [, port, health] = await teacher.says(/"grpc":"[^"]*:(\d+)".*"health":"[^"]*:(\d+)"/);
  await eventually(() => teacher.stdout !== '' || teacher.exitCode !== undefined);
  assert.equal(await healthOf(Number(health), ''), 'SERVING');
  return { teacher, port };
}

/** What a pod finds by its volumes and by DNS; without an address, as rendered. */
function settings(runs: string, address?: string): string[] {
  const addresses = address === undefined ? [] : [`teacher.addresses=["${address}"]`];
  return [
    ...[`run.directory=${runs}`, ...addresses, 'metrics.port=0'],
    ...['metrics.lingerMs=0', `train.steps=${STEPS}`, 'evaluate.pictures=0'],
  ];
}

test('teacher and student train as rendered; the same command again goes on with the run', async () => {
  const objects = await render(...VARIANTS.try);
  const mounted = join(folder, 'plain');
  const { teacher, port } = await startTeacher(objects, mounted);
  const given = settings(mounted, `127.0.0.1:${port}`);
  const student = start(objects, 'student', mounted, given);
  assert.equal(await student.exit(), 0, student.stderr);
  const run = join(mounted, RELEASE);
  assert.equal(JSON.parse(readFileSync(join(run, 'summary.json'), 'utf8')).steps, STEPS);

  const again = start(objects, 'student', mounted, given);
  assert.equal(await again.exit(), 0, again.stderr);
  assert.match(again.stderr, new RegExp(`"firstStep":${STEPS}`));

  teacher.signal('SIGTERM');
  assert.equal(await teacher.exit(), 0);
});

/** The container of the sidecar, as the kubelet starts it: ready when its probe says SERVING. */
async function startSidecar(objects: readonly KubeObject[], mounted: string) {
  const ports = ['listen.healthPort=0', 'metrics.port=0'];
  const teacher = start(objects, 'sidecar', mounted, ports);
  const [, health] = await teacher.says(/"health":"[^"]*:(\d+)"/);
  await eventually(async () => (await healthOf(Number(health), '')) === 'SERVING');
  return teacher;
}

test('the teacher as a sidecar: over the socket, killed with -9 and started again in the same volume', async () => {
  const sidecar = 'teacher.enabled=false,teacher.sidecar.enabled=true';
  const objects = await render(...VARIANTS.try, '--set', sidecar);
  const mounted = join(folder, 'sidecar');
  const first = await startSidecar(objects, mounted);
  const student = start(objects, 'student', mounted, [
    ...settings(mounted),
    ...['train.steps=12', 'run.logEverySteps=1'],
  ]);
  await student.says(/step 2\/12 /);
  first.kill();
  assert.equal(await first.exit(), null);
  const second = await startSidecar(objects, mounted);
  assert.equal(await student.exit(), 0, student.stderr);
  const run = join(mounted, RELEASE);
  assert.equal(JSON.parse(readFileSync(join(run, 'summary.json'), 'utf8')).steps, 12);
  assert.match(second.stderr, /"stream opened"/);
  // Native sidecars are told to end when the student has.
  second.signal('SIGTERM');
  assert.equal(await second.exit(), 0);
});

test("with mutual TLS and a token: Secrets as mounted, the headless service's name", async () => {
  const security = 'tls.enabled=true,tls.issuer.name=made-here,token.secret=made-here';
  const objects = await render(...VARIANTS.try, '--set', security);
  const authority = new Authority();
  const mountedOf = Object.fromEntries(
    (['teacher', 'student'] as const).map((part) => {
      const mounted = join(folder, `secured-${part}`);
      // As cert-manager would, and as docs/deploy.md has the token made.
      const { dnsNames } = only(objects, 'Certificate', `${RELEASE}-${part}`).spec;
      const { certificate, key } = authority.issue({ names: [...dnsNames] });
      const files = {
        tls: { 'tls.crt': certificate, 'tls.key': key, 'ca.crt': authority.certificate },
        token: { [part === 'teacher' ? 'tokens' : 'token']: 'the-token-of-this-test' },
      };
      for (const [secret, entries] of Object.entries(files)) {
        mkdirSync(join(mounted, secret), { recursive: true });
        for (const [name, text] of Object.entries(entries)) {
          writeFileSync(join(mounted, secret, name), text);
        }
      }
      return [part, mounted];
    }),
  ) as Record<'teacher' | 'student', string>;

  const { port } = await startTeacher(objects, mountedOf.teacher);
  const host = `${RELEASE}-teacher-headless.${NAMESPACE}.svc`;
  const dns = await DnsServer.start({ [host]: ['127.0.0.1'] });
  try {
    const given = settings(mountedOf.student, `dns://${dns.address}/${host}:${port}`);
    const student = start(objects, 'student', mountedOf.student, given);
    assert.equal(await student.exit(), 0, student.stderr);
  } finally {
    dns.close();
  }
  const run = join(mountedOf.student, RELEASE);
  assert.equal(JSON.parse(readFileSync(join(run, 'summary.json'), 'utf8')).steps, STEPS);
});
