/** What `helm install` prints at the end. helm shows it with a cluster only, so here a template does. */
import assert from 'node:assert/strict';
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { parse } from 'yaml';
import { CHART, helm, KUBE_VERSIONS, only, render, VARIANTS } from '../support/deploy/chart.js';

const folder = mkdtempSync(join(tmpdir(), 'cirkd-notes-'));
after(() => rmSync(folder, { recursive: true }));

async function notes(...given: readonly string[]): Promise<string> {
  const chart = join(folder, 'cirkd');
  cpSync(CHART, chart, { recursive: true });
  const file = join(chart, 'templates/NOTES.txt');
  const text = readFileSync(file, 'utf8');
  writeFileSync(join(chart, 'templates/_notes.tpl'), `{{- define "notes" }}${text}{{ end }}`);
  writeFileSync(join(chart, 'templates/notes.yaml'), 'notes: {{ include "notes" . | toJson }}\n');
  const where = ['--namespace', 'ml', '--kube-version', KUBE_VERSIONS[0]];
  const shown = ['--show-only', 'templates/notes.yaml'];
  const { code, output } = await helm('template', 'dist', chart, ...where, ...shown, ...given);
  assert.equal(code, 0, output);
  return parse(output).notes;
}

test('notes name objects that there are, and what is open', async () => {
  const text = await notes(...VARIANTS.try);
  const objects = await render(...VARIANTS.try);
  const [, deployment] = /deployment\/(\S+)/.exec(text) ?? [];
  const [, job] = /logs --follow job\/(\S+)/.exec(text) ?? [];
  only(objects, 'Deployment', deployment);
  only(objects, 'Job', job);
  assert.match(text, /Teachers: dist-teacher-headless\.ml\.svc:50051\n/);
  assert.match(text, /Run "dist":\n/);
  assert.match(text, /made up/);
  assert.match(text, /plaintext/);
});

test('notes of a secured run, and of one without teachers of its own', async () => {
  assert.doesNotMatch(await notes(...VARIANTS.secured), /plaintext|made up/);
  assert.match(await notes(...VARIANTS.secured), /Run "camvid-1":\n/);
  assert.doesNotMatch(await notes(...VARIANTS.run), /Teachers:|deployment/);
  assert.doesNotMatch(await notes(...VARIANTS.fleet), /Run|job/);
  const sidecar = await notes(...VARIANTS.sidecar);
  assert.match(sidecar, /logs --follow job\/dist-student -c teacher\n/);
  // Their socket is nobody else's.
  assert.doesNotMatch(sidecar, /Teachers:|deployment|plaintext/);
  const group = await notes(...VARIANTS.group);
  assert.match(group, /--selector batch\.kubernetes\.io\/job-name=dist-student,\S+-index=0\n/);
  assert.doesNotMatch(group, /authentication|logs --follow job/);
  const open = await notes(...VARIANTS.group, '--set', 'networkPolicy.enabled=false');
  assert.match(open, /Its 4 ranks exchange gradients without authentication/);
  assert.match(await notes(...VARIANTS.kserve), /KServe's runtime: cirkd /);
});
