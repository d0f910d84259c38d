/** A graph with its settings: the config's keys override those of the YAML file beside the graph. */
import { existsSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { ConfigError } from '../../src/config/configError.js';
import {
  type GraphFileConfig,
  type GraphSection,
  graphFileSchema,
} from '../../src/config/sections/graphSection.js';
import { loadConfig } from '../../src/config/load.js';
import type { GraphSettings, GivenSettings, SettingName } from '../../src/graphs/graphSettings.js';
import type { GraphSource } from './workerProtocol.js';

const PARTS = ['pixelMean', 'pixelStd', 'channelOrder'] as const;

/**
 * null if the config names no graph. Throws ConfigError naming the settings file if it can't be read or
 * is invalid.
 */
export function graphSource(graph: GraphSection, threads: number): GraphSource | null {
  const { onnx, savedModel, settings, provider } = graph;
  const path = onnx ?? savedModel;
  if (path === null) return null;
  const defaultFile = onnx === null ? join(path, 'cirkd.yaml') : onnx.replace(/\.onnx$/i, '.yaml');
  const file = readSettingsFile(settings, defaultFile);
  return {
    format: onnx === null ? 'saved_model' : 'onnx',
    ...{ path, provider, threads },
    given: mergeSettings(graph, file, basename(settings ?? defaultFile)),
    settingsFile: settings ?? defaultFile,
  };
}

/** null if the config names no file and the default file is missing. */
function readSettingsFile(given: string | null, defaultFile: string): GraphFileConfig | null {
  const file = given ?? defaultFile;
  if (given === null && !existsSync(defaultFile)) return null;
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (error) {
    const message = (error as Error).message;
    throw new ConfigError(file, [{ key: '', line: null, override: null, message }]);
  }
  return loadConfig(graphFileSchema, { text, fileName: file });
}

/** The settings and their origins; the config takes precedence over the file. */
function mergeSettings(
  config: GraphFileConfig,
  file: GraphFileConfig | null,
  fileName: string,
): GivenSettings {
  const fromFile: Partial<GraphFileConfig> = { ...file };
  // A preset and its parts exclude each other: either one in the config removes the file's other one.
  if (config.normalisation !== null) for (const key of PARTS) delete fromFile[key];
  if (PARTS.some((key) => config[key] !== null)) delete fromFile.normalisation;
  const settings: Record<string, unknown> = {};
  const origins: Partial<Record<SettingName, string>> = {};
  for (const key of Object.keys(graphFileSchema.root.parse({})) as SettingName[]) {
    settings[key] = config[key] ?? fromFile[key] ?? null;
    if (config[key] !== null) origins[key] = 'config';
    else if (settings[key] !== null) origins[key] = fileName;
  }
  return { settings: settings as unknown as GraphSettings, origins };
}
