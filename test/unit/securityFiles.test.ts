/** Certificates and tokens in files: what is refused at the start, and what a change does. */
import assert from 'node:assert/strict';
import { appendFileSync, chmodSync, mkdirSync, renameSync, rmSync, symlinkSync } from 'node:fs';
import { after, test } from 'node:test';
import { isAccepted, readTokens } from '../../src/rpc/security/bearerTokens.js';
import {
  type Identity,
  readAuthorities,
  readIdentity,
} from '../../src/rpc/security/certificates.js';
import { exposedFiles } from '../../src/rpc/security/exposedFiles.js';
import { SecurityFileError, WatchedFiles } from '../../src/rpc/security/watchedFiles.js';
import { Authority } from '../support/certificates/authority.js';
import { SecurityFolder } from '../support/certificates/folder.js';
import { eventually } from '../support/eventually.js';

const folder = new SecurityFolder();
const authority = new Authority();
const MINUTE_MS = 60_000;
after(() => folder.remove());

function watch(name: string) {
  const files = {
    certificate: { key: `${name}.crt`, path: `${folder.path}/${name}.crt` },
    key: { key: `${name}.key`, path: `${folder.path}/${name}.key` },
  };
  const problems: string[] = [];
  const changes: Identity[] = [];
  const opened = WatchedFiles.open({
    files: [files.certificate, files.key],
    parse: (contents) => readIdentity(files, contents),
    onChange: (identity) => changes.push(identity),
    onProblem: ({ message }) => problems.push(message),
    everyMs: 5,
  });
  return { opened, problems, changes };
}

test('a pair is read with the earliest expiry of its chain', () => {
  const soon = new Date(Math.ceil(Date.now() / 1000) * 1000 + MINUTE_MS);
  const late = authority.issue();
  const chain = late.certificate + authority.issue({ notAfter: soon }).certificate;
  const files = folder.writePair('chain', { ...late, certificate: chain });
  const identity = readIdentity(files, [Buffer.from(chain), Buffer.from(late.key)]);
  assert.deepEqual(identity.expires, soon);
});

test('an unusable pair is refused, naming the file but not its content', async () => {
  const good = authority.issue();
  const other = authority.issue();
  const past = new Date(Date.now() - MINUTE_MS);
  const future = new Date(Date.now() + MINUTE_MS);
  const block = '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n';
  const wrong: [string, typeof good, RegExp][] = [
    ['empty', { ...good, certificate: '' }, /^empty\.crt: .*contains no PEM certificate$/],
    ['rubbish', { ...good, certificate: block }, /^rubbish\.crt: .*certificate 1 can't be read$/],
    ['nokey', { ...good, key: 'secret' }, /^nokey\.key: .*contains no private key, wanted .* PEM/],
    ['other', { ...good, key: other.key }, /^other\.key: .*not the key of .*other\.crt$/],
    ['past', authority.issue({ notAfter: past }), /^past\.crt: .*expired on 20\d\d-/],
    ['future', authority.issue({ notBefore: future }), /^future\.crt: .*not valid before 20/],
  ];
  for (const [name, pem, message] of wrong) {
    folder.writePair(name, pem);
    await assert.rejects(watch(name).opened, (error: Error) => {
      assert.ok(error instanceof SecurityFileError, String(error));
      assert.match(error.message, message);
      assert.doesNotMatch(error.message, /secret|BEGIN/);
      return true;
    });
  }
  await assert.rejects(watch('absent').opened, /^SecurityFileError: absent\.\w+: .*\(ENOENT\)$/);
  assert.throws(
    () => readAuthorities({ key: 'ca', path: 'x' }, Buffer.from('no')),
    /^.*ca: x: contains no PEM certificate$/,
  );
});

test('a new pair is taken over; a mismatched, a missing and an expired one are each reported once', async () => {
  const first = authority.issue();
  folder.writePair('live', first);
  const { opened, problems, changes } = watch('live');
  const watched = await opened;
  const second = authority.issue();
  folder.write('live.crt', second.certificate);
  await eventually(() => problems.length === 1);
  assert.match(problems[0]!, /live\.key: .*not the key of/);
  assert.equal(String(watched.current.certificate), first.certificate);
  folder.write('live.key', second.key);
  await eventually(() => changes.length === 1);
  assert.equal(String(watched.current.privateKey), second.key);
  rmSync(`${folder.path}/live.key`);
  await eventually(() => problems.length === 2);
  const expired = authority.issue({ notAfter: new Date(Date.now() - MINUTE_MS) });
  folder.writePair('live', expired);
  await eventually(() => problems.some((problem) => /expired on/.test(problem)));
  assert.equal(String(watched.current.certificate), second.certificate);
  folder.writePair('live', second);
  await new Promise((resolve) => setTimeout(resolve, 50));
  assert.equal(changes.length, 1);
  assert.equal(new Set(problems).size, problems.length, problems.join('\n'));
  watched.close();
});

test('a folder swapped by a symbolic link, as in Kubernetes, is taken over as a whole', async () => {
  const pairs = [authority.issue(), authority.issue()];
  for (const [i, pem] of pairs.entries()) {
    mkdirSync(`${folder.path}/..${i}`);
    folder.writePair(`..${i}/linked`, pem);
  }
  const link = (i: number) => {
    symlinkSync(`..${i}`, `${folder.path}/..new`);
    renameSync(`${folder.path}/..new`, `${folder.path}/..data`);
  };
  link(0);
  for (const name of ['linked.crt', 'linked.key']) {
    symlinkSync(`..data/${name}`, `${folder.path}/${name}`);
  }
  const { opened, problems, changes } = watch('linked');
  const watched = await opened;
  link(1);
  await eventually(() => changes.length === 1);
  assert.equal(String(watched.current.certificate), pairs[1]!.certificate);
  assert.deepEqual(problems, []);
  watched.close();
});

test('a file that is being written is not used until it is complete', async () => {
  const file = folder.write('growing', '.');
  const taken: number[] = [];
  const watched = await WatchedFiles.open({
    files: [file],
    parse: ([content]) => content!.length,
    onChange: (length) => taken.push(length),
    everyMs: 60,
  });
  // Between two looks something comes at least once, for timers go off in their order.
  for (let i = 0; i < 200; i++) {
    appendFileSync(file.path, '.');
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
  await eventually(() => taken.length > 0);
  assert.deepEqual(taken, [201]);
  watched.close();
});

test('a key readable by every user is reported with key, path and mode', async () => {
  const { key } = folder.writePair('open', authority.issue());
  assert.deepEqual(await exposedFiles([key]), []);
  chmodSync(key.path, 0o644);
  const [warning] = await exposedFiles([key]);
  assert.equal(
    warning,
    `open.key: ${key.path}: readable by every user (mode 644), wanted 640 or stricter`,
  );
});

test('a closed watch stops reading', async () => {
  folder.writePair('closed', authority.issue());
  const { opened, changes } = watch('closed');
  (await opened).close();
  folder.writePair('closed', authority.issue());
  await new Promise((resolve) => setTimeout(resolve, 50));
  assert.deepEqual(changes, []);
});

test('tokens: one per line, each accepted, nothing else', () => {
  const file = { key: 'tokenFile', path: 'tokens' };
  const tokens = readTokens(file, Buffer.from('0123456789abcdef\r\n\nfedcba9876543210\n'));
  assert.deepEqual(tokens, ['0123456789abcdef', 'fedcba9876543210']);
  for (const token of tokens) assert.equal(isAccepted(`Bearer ${token}`, tokens), true);
  const strange = ['', 'Bearer ', 'Bearer 0123456789abcde', 'bearer 0123456789abcdef', tokens[0]!];
  for (const value of strange) assert.equal(isAccepted(value, tokens), false, value);
  const wrong: [string, RegExp][] = [
    ['', /tokenFile: tokens: contains no token$/],
    ['0123456789abcdef\nshort', /line 2 is not a token, wanted 16 to 4096 printable/],
    ['0123456789 abcdef0', /line 1 is not a token/],
  ];
  for (const [text, message] of wrong) {
    assert.throws(() => readTokens(file, Buffer.from(text)), message);
    assert.throws(
      () => readTokens(file, Buffer.from(text)),
      (error: Error) => !/short|0123/.test(error.message),
    );
  }
});
