/** Settings of the native kernels (src/tensor/native) that come from the environment. They change the last bits of results. */

/** A variable has a value that doesn't exist. Exit code 2. */
export class KernelSettingError extends Error {
  override readonly name = 'KernelSettingError';
}

/** The first value is the same as none. Read by native/winograd/choice.cc and native/level.h, once per process. */
const VALUES: Readonly<Record<string, readonly string[]>> = {
  CIRKD_WINOGRAD: ['on', 'off', '2', '4'],
  CIRKD_VECTOR_LEVEL: ['wide', 'medium', 'narrow'],
};

/** Those that differ from the defaults, as NAME=VALUE. Throws KernelSettingError. */
export function kernelSettings(environment: NodeJS.ProcessEnv = process.env): string[] {
  return Object.entries(VALUES).flatMap(([name, values]) => {
    const value = environment[name];
    if (value === undefined || value === values[0]) return [];
    if (!values.includes(value)) {
      throw new KernelSettingError(
        `${name}: got ${JSON.stringify(value)}, wanted ${values.join(', ')}, or no such variable`,
      );
    }
    return [`${name}=${value}`];
  });
}
