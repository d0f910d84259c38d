/** The section `teacher.oip` of the student's config: models on servers of other programs. */
import { z } from 'zod';
import type { ConfigSchema, CrossFault } from '../fields.js';
import { field, positiveCount, section, text } from '../fields.js';
import { pixelKeys } from './pixelKeys.js';

/** In lower case. gRPC's own names, and those of binary values, are refused apart: helm's regular expressions can't look ahead. */
const HEADER_NAME = /^[a-z0-9_.-]+$/;
const RESERVED_NAME = /^grpc-|-bin$/;

export const oipSection = section(
  'Models at oip:// addresses (docs/oip.md). null: what the server says of the model; an error names each key that is needed.',
  {
    input: field(text().nullable().default(null), "Name of the model's input.", {
      wanted: 'a name, or null',
    }),
    datatype: field(
      z.enum(['FP32', 'FP16', 'BF16', 'UINT8']).nullable().default(null),
      'Data type of the image. UINT8: pixels as they are.',
      { wanted: 'FP32, FP16, BF16, UINT8, or null' },
    ),
    layout: field(
      z.enum(['nchw', 'nhwc']).nullable().default(null),
      "Order of the image's axes; null: from the place of the 3 channels.",
      { wanted: 'nchw, nhwc, or null' },
    ),
    normalisation: field(
      z.enum(['imagenet', 'official', 'unit', 'none']).nullable().default(null),
      "Form of the pixels: imagenet (RGB, torchvision's mean and deviation), official (BGR minus the official code's mean), unit (RGB from 0 to 1), none (RGB from 0 to 255).",
      { wanted: 'imagenet, official, unit, none, or null' },
    ),
    ...pixelKeys('model'),
    logits: field(
      text().nullable().default(null),
      'The output with the class scores; null: detected from names and shapes.',
      { wanted: "an output's name, or null" },
    ),
    feature: field(
      text().nullable().default(null),
      'The output whose 1x1 convolution gives the logits; none: no feature; null: detected from names and shapes.',
      { wanted: "an output's name, none, or null" },
    ),
    outputLayout: field(
      z.enum(['nchw', 'nhwc']).nullable().default(null),
      "Order of the outputs' axes; null: that of the input, or the other one if only that fits.",
      { wanted: 'nchw, nhwc, or null' },
    ),
    outputStride: field(
      positiveCount().nullable().default(null),
      'Input pixels per output position, along each axis; null: from the answer to a trial image.',
      { wanted: 'an integer >= 1, or null' },
    ),
    alignCorners: field(
      z.boolean().nullable().default(null),
      "How logits are resized to the image: true like PyTorch's align_corners=True, false with half-pixel centres; null: false, unless the server says true.",
      { wanted: 'true, false, or null' },
    ),
    classes: field(
      positiveCount().nullable().default(null),
      'Number of channels of the logits; null: those of the answer to a trial image.',
      { wanted: 'an integer >= 1, or null' },
    ),
    classNames: field(
      z.array(text()).min(1).nullable().default(null),
      'Names of the classes, in the order of the logits.',
      { wanted: 'a list of names, or null' },
    ),
    digest: field(
      z
        .string()
        .regex(/^sha256:[0-9a-f]{64}$/)
        .nullable()
        .default(null),
      'Stands for the digest of servers that state none: with it you vouch that all addresses serve the same weights (the sum of the weights file, for example); null: derived from what a server says of the model.',
      { wanted: '"sha256:" with 64 hex digits, or null' },
    ),
    headers: field(
      z
        .record(
          z
            .string()
            .regex(HEADER_NAME)
            .refine((name) => !RESERVED_NAME.test(name)),
          z.string().regex(/^[ -~]*$/),
        )
        .default({}),
      'Metadata sent with every call, such as a tenant; a token belongs into teacher.tokenFile.',
      { wanted: 'names in lower case with texts', fixed: false },
    ),
    stream: field(
      z.enum(['auto', 'never', 'always']).default('auto'),
      "Whether images go over one ModelStreamInfer call in place of a ModelInfer call each; auto: where a server with Triton's extensions answers a trial image so.",
      { fixed: false },
    ),
  },
  { fixed: true },
);

export type OipSection = z.infer<typeof oipSection>;

/** The section alone, for a command that names teachers by options. */
export const oipSchema: ConfigSchema<OipSection> = {
  service: 'oip',
  root: oipSection,
  crossFaults: keyFaults,
};

const OIP = /^oips?(\+dns)?:/;

interface Teacher {
  readonly addresses: readonly string[];
  readonly encoding: string;
  readonly logits: string;
  readonly tls: { readonly ca: string | null };
  readonly oip: OipSection;
}

/** Faults of `teacher` with addresses of servers of other programs, or keys for them. */
export function oipFaults(teacher: Teacher): CrossFault[] {
  const { addresses, oip } = teacher;
  const faults = keyFaults(oip).map(({ keys, message }): CrossFault => {
    const [first, ...others] = keys.map((key) => `teacher.oip.${key}`);
    return { keys: [first!, ...others], message };
  });
  const ours = addresses.filter((address) => !OIP.test(address));
  if (ours.length === addresses.length) return faults;
  if (ours.length > 0) {
    faults.push({
      keys: ['teacher.addresses'],
      message: `got ${ours[0]} beside oip addresses, wanted one protocol: answers and digests of both differ`,
    });
  }
  return [...faults, ...transportFaults(teacher)];
}

function transportFaults({ addresses, encoding, logits, tls }: Teacher): CrossFault[] {
  const faults: CrossFault[] = [];
  const why = 'a server at an oip address decides itself what it sends';
  if (encoding !== 'fp32') {
    const message = `got ${encoding}, wanted fp32: ${why}`;
    faults.push({ keys: ['teacher.encoding', 'teacher.addresses'], message });
  }
  if (logits !== 'sent') {
    const message = `got ${logits}, wanted sent: ${why}`;
    faults.push({ keys: ['teacher.logits', 'teacher.addresses'], message });
  }
  const plain = addresses.find((address) => /^oip(\+dns)?:/.test(address));
  const secure = addresses.find((address) => /^oips(\+dns)?:/.test(address));
  if (tls.ca === null && secure !== undefined) {
    const message = `got null, wanted a file: ${secure} is over TLS`;
    faults.push({ keys: ['teacher.tls.ca', 'teacher.addresses'], message });
  }
  if (tls.ca !== null && plain !== undefined) {
    const message = `got ${plain}, wanted oips in place of oip: teacher.tls.ca is given`;
    faults.push({ keys: ['teacher.addresses', 'teacher.tls.ca'], message });
  }
  return faults;
}

/** Faults that involve several keys of the section. */
function keyFaults(oip: OipSection): CrossFault[] {
  const faults = pixelFaults(oip);
  const { classes, classNames, headers } = oip;
  if (classes !== null && classNames !== null && classes !== classNames.length) {
    faults.push({
      keys: ['classes', 'classNames'],
      message: `got ${classes}, but classNames has ${classNames.length}`,
    });
  }
  if ('authorization' in headers) {
    faults.push({
      keys: ['headers'],
      message: 'got authorization, wanted the token in a file (teacher.tokenFile)',
    });
  }
  return faults;
}

function pixelFaults(oip: OipSection): CrossFault[] {
  const own = (['pixelMean', 'pixelStd', 'channelOrder'] as const).filter(
    (key) => oip[key] !== null,
  );
  const [first] = own;
  if (first === undefined) return [];
  if (oip.normalisation !== null) {
    const message = `got ${oip.normalisation} beside ${own.join(', ')}, wanted one or the other`;
    return [{ keys: ['normalisation', first], message }];
  }
  if (own.length === 3) return [];
  const message = `got ${own.join(', ')} alone, wanted all of pixelMean, pixelStd, channelOrder`;
  return [{ keys: [first], message }];
}
