/** Configs that earlier versions saved. */
import type { ConfigSchema } from './fields.js';

/**
 * The value without the schema's retired keys, where they say what now always holds. One that says
 * something else stays, and is an unknown key.
 */
export function withoutRetiredKeys<T>({ retired = {} }: ConfigSchema<T>, value: unknown): unknown {
  return Object.entries(retired).reduce((rest, [key, held]) => without(rest, key, held), value);
}

/**
 * A config that was saved, perhaps by an earlier version: parsed by the schema, so that a newer key has its default.
 * As it is where it doesn't fit the schema any more.
 */
export function savedConfig<Config>(schema: ConfigSchema<Config>, saved: unknown): Config {
  const parsed = schema.root.safeParse(withoutRetiredKeys(schema, saved));
  return parsed.success ? (parsed.data as Config) : (saved as Config);
}

function without(value: unknown, key: string, held: unknown): unknown {
  if (!isSection(value)) return value;
  const [name = '', ...inner] = key.split('.');
  if (!Object.hasOwn(value, name)) return value;
  if (inner.length > 0) return { ...value, [name]: without(value[name], inner.join('.'), held) };
  if (value[name] !== held) return value;
  const { [name]: _, ...rest } = value;
  return rest;
}

function isSection(value: unknown): value is Readonly<Record<string, unknown>> {
  return value !== null && typeof value === 'object' && !Array.isArray(value);
}
