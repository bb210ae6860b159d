/** Command-line options: parseArgs with hints, and one flag per generation option. */
import { parseArgs, type ParseArgsConfig } from 'node:util';
import { nearestName } from '../generation/names';
import { CONFIG_OPTION_NAMES, specOf, type OptionName } from '../generation/option-specs';
import { boolean } from '../generation/option-types';
import type { ReadOptions } from '../pipeline';
import { messageOf, usageError } from './io';

type Flags = NonNullable<ParseArgsConfig['options']>;
type FlagValues = Record<string, unknown>;

export function kebabCase(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
}

/** Options with a value that a command line can give and that change what it prints. */
const GENERATION_NAMES: readonly OptionName[] = [
  ...CONFIG_OPTION_NAMES.filter((name) => specOf(name).support !== 'output' && name !== 'outputScores'),
  'seed',
  'interpolatePosEncoding',
];

/** --num-beams for numBeams, and so on; booleans are switches. */
export const GENERATION_FLAGS: Flags = Object.fromEntries(
  GENERATION_NAMES.map((name) => [kebabCase(name), { type: specOf(name).type === boolean ? 'boolean' : 'string' }]),
);

/** Strict parsing. An unknown option names the nearest right one. */
export function parseFlags(args: string[], flags: Flags): { values: FlagValues; positionals: string[] } {
  try {
    return parseArgs({ args, options: flags, allowPositionals: true, allowNegative: true, strict: true });
  } catch (error) {
    throw explain(error, Object.keys(flags));
  }
}

function explain(error: unknown, known: readonly string[]): Error {
  const name = /^Unknown option '-+([^']+)'/.exec(messageOf(error))?.[1];
  if (name === undefined) return usageError(messageOf(error).replace(/\s*\n\s*/g, ' '));
  const kebab = new Map(
    known.map((flag) => [flag.replace(/-([a-z])/g, (_, letter: string) => letter.toUpperCase()), flag]),
  );
  const camel = name.replace(/[-_]([a-z])/g, (_, letter: string) => letter.toUpperCase());
  return usageError(
    `expected a known option, got '--${name}'; did you mean '--${kebab.get(nearestName(camel, [...kebab.keys()]))}'?`,
  );
}

/** The generation options among parsed flags. Ranges are checked by the model. */
export function generationOptions(values: FlagValues): ReadOptions {
  const options: Record<string, unknown> = {};
  for (const name of GENERATION_NAMES) {
    const value = values[kebabCase(name)];
    if (value !== undefined) options[name] = typeof value === 'string' ? optionValue(name, value) : value;
  }
  return options;
}

/** Numbers, true, false, null and lists are JSON; what only fits as a string is one (stopStrings "1"). */
function optionValue(name: OptionName, text: string): unknown {
  const { type } = specOf(name);
  const value = jsonOr(text);
  return value === null || type.fits(value) || !type.fits(text) ? value : text;
}

function jsonOr(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return text;
  }
}

/** A positive integer, or undefined when the flag is absent. */
export function countFlag(values: FlagValues, name: string): number | undefined {
  const text = values[name];
  if (text === undefined) return undefined;
  const value = /^\d+$/.test(String(text)) ? Number(text) : NaN;
  if (Number.isSafeInteger(value) && value > 0) return value;
  throw usageError(`--${name}: expected a positive integer, got '${String(text)}'`);
}

/** Entries that are set, under their camelCase names. */
export function definedOnly<T extends object>(values: T): { [K in keyof T]?: NonNullable<T[K]> } {
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined)) as never;
}

/** Flags that say where and how Hub files are found. */
export const HUB_FLAGS: Flags = {
  revision: { type: 'string' },
  'cache-dir': { type: 'string' },
  'local-files-only': { type: 'boolean' },
};

export function hubOptions(values: FlagValues): { revision?: string; cacheDir?: string; localFilesOnly?: boolean } {
  return definedOnly({
    revision: values['revision'] as string | undefined,
    cacheDir: values['cache-dir'] as string | undefined,
    localFilesOnly: values['local-files-only'] as boolean | undefined,
  });
}
