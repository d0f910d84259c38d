/** The options by which a command names the network that predicts. */
import { loadConfig } from '../../src/config/load.js';
import { type OipSection, oipSchema } from '../../src/config/sections/oipSection.js';
import { PRODUCTS, type Products } from '../../src/contract/products.js';
import type { RemoteSegmenter } from '../../src/evaluate/predict.js';
import { namesUnixSocket, UNIX_ADDRESS_FORM, unixPath } from '../../src/contract/unixAddress.js';
import { isOipAddress, oipEntry, wantsTls } from '../../src/oip/client/address.js';
import { parseDnsName } from '../../src/rpc/target.js';
import { UsageError } from './command.js';
import { wholeNumber } from './datasetOptions.js';
import { openSegmenter } from '../program/openSegmenter.js';
import {
  openTeacherSecurity,
  TEACHER_SECURITY_OPTIONS,
  TEACHER_SECURITY_USAGE,
  type TeacherSecurityValues,
} from './teacherSecurityOptions.js';
import { connectSegmenter } from './teacherSegmenter.js';

/** For node:util's parseArgs. */
export const NETWORK_OPTIONS = {
  model: { type: 'string' },
  compute: { type: 'string' },
  teacher: { type: 'string' },
  'teacher-timeout': { type: 'string', default: '60' },
  oip: { type: 'string', multiple: true, default: [] as string[] },
  ...TEACHER_SECURITY_OPTIONS,
} as const;

export const NETWORK_USAGE = `  --model PATH    a model file (.safetensors), a checkpoint's folder, or a run's folder (its best
                  checkpoint is used)
  --compute MODE  products of a model in float32 (default) or bfloat16 (docs/teachers.md)
  --teacher HOST:PORT[,HOST:PORT]
                  running teachers instead of a model; dns:///HOST:PORT: all addresses of a name;
                  unix:PATH: a socket on this machine;
                  oip://HOST:PORT/MODEL: a model on another program's server
  --oip KEY=VALUE for such a model: a key of teacher.oip (normalisation=imagenet); repeatable
  --teacher-timeout SECONDS
                  how long to wait for a teacher's answer (default 60)
${TEACHER_SECURITY_USAGE}`;

export interface NetworkValues extends TeacherSecurityValues {
  readonly model?: string | undefined;
  readonly compute?: string | undefined;
  readonly teacher?: string | undefined;
  readonly 'teacher-timeout': string;
  readonly oip?: readonly string[] | undefined;
}

export interface OpenedNetwork {
  readonly segmenter: RemoteSegmenter;
  readonly classNames: readonly string[];
  /** Describes what was opened, for a scores file. */
  readonly source:
    | { readonly model: string; readonly compute?: Products }
    | { readonly teacher: string; readonly digest: string };
  close(): Promise<void>;
}

/** Exactly one network must be named. Throws UsageError or ConfigError before anything is opened. */
export function checkNetworkOptions(values: NetworkValues): void {
  const { model, teacher } = values;
  if ((model === undefined) === (teacher === undefined)) {
    throw new UsageError(
      `--model, --teacher: ${model === undefined ? 'none' : 'both'} given, wanted exactly one`,
    );
  }
  productsOf(values);
  if (teacher !== undefined) checkProtocol(addressesOf(teacher), values);
  oipSectionOf(values);
  timeoutOf(values);
}

/**
 * Throws UsageError; CheckpointError for a model that can't be used; for a teacher
 * TeacherUnavailableError and, if its number of classes isn't `classes`, ContractMismatchError.
 */
export async function openNetwork(
  values: NetworkValues,
  classes: number | null,
): Promise<OpenedNetwork> {
  checkNetworkOptions(values);
  if (values.teacher !== undefined) return openTeacher(values.teacher, values, classes);
  const model = values.model!;
  const products = productsOf(values);
  const segmenter = await openSegmenter(model, products);
  return {
    segmenter,
    classNames: segmenter.description.classNames,
    source: { model, ...(products === 'float32' ? {} : { compute: products }) },
    async close() {
      segmenter.dispose();
    },
  };
}

async function openTeacher(
  addresses: string,
  values: NetworkValues,
  classes: number | null,
): Promise<OpenedNetwork> {
  const security = await openTeacherSecurity(values);
  const serverName = values['teacher-name'];
  const segmenter = await connectSegmenter({
    credentials: security.credentials,
    ...(serverName === undefined ? {} : { serverName }),
    addresses: addressesOf(addresses),
    classes,
    timeoutMs: 1000 * timeoutOf(values),
    oip: oipSectionOf(values),
  });
  const { model, digest, classNames } = segmenter;
  return {
    segmenter,
    classNames,
    source: { teacher: model, digest },
    async close() {
      await segmenter.close();
      security.close();
    },
  };
}

/** The products of a model; a teacher has its own mode. */
function productsOf({ compute, teacher }: NetworkValues): Products {
  if (compute === undefined) return 'float32';
  if (teacher !== undefined)
    throw new UsageError('--compute: given with --teacher, wanted --model');
  const found = PRODUCTS.find((name) => name === compute);
  if (found !== undefined) return found;
  throw new UsageError(`--compute: ${compute} given, wanted ${PRODUCTS.join(' or ')}`);
}

function addressesOf(text: string): string[] {
  return text.split(',').map(checkAddress);
}

/** Addresses are of one protocol, and over TLS where there are authorities for it. */
function checkProtocol(addresses: readonly string[], values: NetworkValues): void {
  const others = addresses.filter(isOipAddress);
  if (others.length === 0) return;
  if (others.length < addresses.length) {
    throw new UsageError('--teacher: oip addresses beside others given, wanted one protocol');
  }
  const isSecure = values['teacher-ca'] !== undefined;
  const wrong = addresses.find((address) => wantsTls(address) !== isSecure);
  if (wrong === undefined) return;
  const wanted = isSecure ? 'oips, as --teacher-ca is given' : 'oip, or oips with --teacher-ca';
  throw new UsageError(`--teacher: ${wrong} given, wanted ${wanted}`);
}

function oipSectionOf({ oip = [] }: NetworkValues): OipSection {
  return loadConfig(oipSchema, { text: '', fileName: '--oip', overrides: oip });
}

/** The time-out in seconds. */
function timeoutOf(values: NetworkValues): number {
  return wholeNumber('--teacher-timeout', values['teacher-timeout'], 1);
}

function checkAddress(text: string): string {
  const address = text.trim();
  if (isOipAddress(address)) return checkOipAddress(address);
  try {
    if (namesUnixSocket(address)) checkSocket(address);
    else if (parseDnsName(address) === null && !/^(?![\w+.-]*:\/)\S+:\d{1,5}$/.test(address)) {
      throw new RangeError(`${JSON.stringify(text)} given, wanted HOST:PORT`);
    }
  } catch (error) {
    throw new UsageError(`--teacher: ${(error as Error).message}`);
  }
  return address;
}

function checkSocket(address: string): void {
  try {
    unixPath(address);
  } catch (error) {
    const { message } = error as RangeError;
    throw new RangeError(
      `${JSON.stringify(address)} given, ${message}; wanted ${UNIX_ADDRESS_FORM}`,
    );
  }
}

function checkOipAddress(address: string): string {
  try {
    oipEntry(address);
  } catch (error) {
    throw new UsageError(`--teacher: ${(error as Error).message}`);
  }
  return address;
}
