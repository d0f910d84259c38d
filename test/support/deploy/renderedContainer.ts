/** Starts a container's command as the chart renders it, with its volumes in a folder of this machine. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { CirkdProcess } from '../commands/cirkdProcess.js';
import { pods } from './chart.js';
import type { KubeObject } from './kube.js';
import { configText } from './renderedConfigs.js';

/** Folders of volumes as they stand in a config; what is mounted at the first two lies in `mounted` itself. */
const MOUNTED = /\/(?:etc|run)\/cirkd|(?<=: )\/answers/g;

/**
 * What is mounted at /etc/cirkd and /run/cirkd lies in `mounted`, what at /answers in a folder of that name
 * there. `env` replaces the container's, whose values the kubelet would fill in.
 */
export function startContainer(
  objects: readonly KubeObject[],
  part: 'teacher' | 'sidecar' | 'student',
  mounted: string,
  settings: readonly string[],
  env: Readonly<Record<string, string>> = {},
): CirkdProcess {
  const text = configText(objects, part).replace(MOUNTED, (path) =>
    path === '/answers' ? join(mounted, 'answers') : mounted,
  );
  mkdirSync(join(mounted, 'config'), { recursive: true });
  writeFileSync(join(mounted, 'config', `${part}.yaml`), text);
  const pod = pods(objects).get(part === 'sidecar' ? 'student' : part)!.spec;
  const { args } = (part === 'sidecar' ? pod.initContainers! : pod.containers)[0]!;
  const here = args.map((arg) => arg.replace('/etc/cirkd', mounted));
  return new CirkdProcess({ env }, ...here, ...settings.flatMap((one) => ['--set', one]));
}
