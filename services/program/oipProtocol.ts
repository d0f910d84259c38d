/** Models on other programs' servers as teachers: the protocol, set up from a config's teacher.oip. */
import { ConfigError } from '../../src/config/configError.js';
import type { OipSection } from '../../src/config/sections/oipSection.js';
import { NORMALISATIONS } from '../../src/graphs/graphSettings.js';
import { OipProtocol } from '../../src/oip/client/oipConversation.js';
import type { Normalisation, OipSettings } from '../../src/oip/client/settings.js';

/**
 * @param trialSize of the image that a model of any size is tried with
 * @param isOnlySize whether all images have that size, so that a model of another one is refused
 */
export function oipProtocol(
  section: OipSection,
  trialSize: { readonly height: number; readonly width: number },
  isOnlySize = false,
): OipProtocol {
  return new OipProtocol({ settings: settingsOf(section), trialSize, isOnlySize });
}

/**
 * The error to end with: a ConfigError with each missing key where a server was refused for want of
 * settings, else the given one.
 */
export function withMissingKeys(error: unknown, { missing }: OipProtocol): unknown {
  if (missing === undefined || !(error instanceof Error)) return error;
  if (error.name !== 'ContractMismatchError') return error;
  const said = `; the server says: ${missing.said}`;
  const faults = missing.missing.map(({ key, question }, index) => ({
    ...{ key: `teacher.oip.${key}`, line: null, override: null },
    message: `missing, wanted ${question}${index === 0 ? said : ''}`,
  }));
  return new ConfigError('teacher', faults);
}

function settingsOf(section: OipSection): OipSettings {
  return { ...section, normalisation: normalisationOf(section) };
}

function normalisationOf(section: OipSection): Normalisation | null {
  const { normalisation, pixelMean, pixelStd, channelOrder } = section;
  if (normalisation !== null) return NORMALISATIONS[normalisation];
  // The config's checks refuse one without the others.
  if (pixelMean === null || pixelStd === null || channelOrder === null) return null;
  return { pixelMean, pixelStd, channelOrder };
}
