/**
 * JSON that Python reads back as it was. JavaScript has one kind of number, so that 1.0 would be written as 1, which
 * transformers 5 refuses where it expects a float. Here objects remember which of their whole numbers are floats.
 */
import { ConfigError } from './errors';

const MAX_DEPTH = 128;
/** What a float stands for while two parses of one text are compared: no number parses to a string. */
const MARK = JSON.stringify('float');

const floats = new WeakMap<object, Set<string>>();

/** Notes that `holder[key]` is a float (arrays: the index as a string). */
export function markFloat(holder: object, key: string): void {
  const keys = floats.get(holder) ?? new Set();
  floats.set(holder, keys.add(key));
}

/** The keys noted for `holder` itself. */
export function floatKeys(holder: object): string[] {
  return [...(floats.get(holder) ?? [])];
}

/** Notes the floats of a value that was parsed from `text`. */
export function markFloats(value: object, text: string): void {
  const marked = text.replace(/"(?:[^"\\]|\\.)*"|-?\d[\d.eE+-]*/g, (token) =>
    !token.startsWith('"') && /[.eE]/.test(token) ? MARK : token,
  );
  compare(value, JSON.parse(marked));
}

function compare(value: unknown, marked: unknown): void {
  if (typeof value !== 'object' || value === null) return;
  for (const [key, item] of Object.entries(value)) {
    const twin = (marked as Record<string, unknown>)[key];
    if (typeof item === 'number' && typeof twin === 'string') markFloat(value, key);
    else compare(item, twin);
  }
}

/** A deep copy of a JSON value that remembers its floats. */
export function cloneJson<T>(value: T, depth = 0): T {
  if (typeof value !== 'object' || value === null) {
    if (['function', 'symbol', 'bigint'].includes(typeof value))
      throw new ConfigError('INVALID_CONFIG', `config: expected JSON values, got a ${typeof value}`);
    return value;
  }
  if (depth > MAX_DEPTH) throw new ConfigError('INVALID_CONFIG', `config: expected at most ${MAX_DEPTH} nested levels`);
  const copy: object = Array.isArray(value)
    ? value.map((item: unknown) => cloneJson(item, depth + 1))
    : Object.fromEntries(Object.entries(value).map(([key, item]) => [key, cloneJson<unknown>(item, depth + 1)]));
  for (const key of floats.get(value) ?? []) markFloat(copy, key);
  return copy as T;
}

/** The text of a JSON value as Python's json.dumps(indent=2) lays it out, floats as floats. */
export function stringifyJson(value: unknown, indent = ''): string {
  if (typeof value === 'number' && !Number.isFinite(value)) return stringifyJson({ __float__: nameOf(value) }, indent);
  if (typeof value !== 'object' || value === null) return JSON.stringify(value) ?? 'null';
  const deeper = `${indent}  `;
  const known = floats.get(value);
  const write = (key: string, item: unknown) =>
    known?.has(key) && Number.isInteger(item) ? floatText(item as number) : stringifyJson(item, deeper);
  const list = Array.isArray(value);
  const entries = Object.entries(value).filter(([, item]) => item !== undefined);
  if (entries.length === 0) return list ? '[]' : '{}';
  const lines = entries.map(([key, item]) => (list ? '' : `${JSON.stringify(key)}: `) + write(key, item));
  const [open, close] = list ? '[]' : '{}';
  return `${open}\n${deeper}${lines.join(`,\n${deeper}`)}\n${indent}${close}`;
}

/** transformers' own spelling of what JSON cannot say (configuration_utils.py, _encode_special_floats). */
const nameOf = (value: number): string => (Number.isNaN(value) ? 'NaN' : `${value > 0 ? '' : '-'}Infinity`);

function floatText(value: number): string {
  const text = Object.is(value, -0) ? '-0' : String(value);
  return text.includes('e') ? text : `${text}.0`;
}
