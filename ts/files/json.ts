import { ConfigError } from '../errors.js';
import { markFloats } from '../json.js';
import { decodeUtf8, readExactly, withFile, type ErrorClass } from './bytes.js';

/** A JSON object as parsed: nothing about its members is known yet. */
export type JsonObject = { [key: string]: unknown };

export interface JsonOptions {
  /**
   * What a key given twice means. 'last' (default) is what Python's json and JSON.parse do; 'error' is for files where two
   * readers that disagree would see two different files (safetensors headers, shard indices).
   */
  readonly duplicateKeys?: 'last' | 'error';
  /** Accept a key `__proto__` (a vocabulary may hold that token). Default false: refused, as one Object.assign would apply it. */
  readonly allowProtoKey?: boolean;
  /** Accept whole numbers without fraction or exponent only. Default false. */
  readonly integersOnly?: boolean;
  /** Remember which whole numbers are written as floats (1.0), for a file that will be written again. Default false. */
  readonly keepFloats?: boolean;
  /** Class of the errors thrown. Default ConfigError. */
  readonly errorClass?: ErrorClass;
}

/** Largest JSON file read unless the caller says otherwise: generous for tokenizer.json, small beside weights. */
export const DEFAULT_MAX_JSON_BYTES = 128 * 1024 * 1024;
const MAX_DEPTH = 128;

/** Reads and parses a JSON file which must hold an object. A byte order mark is tolerated, malformed UTF-8 is not. */
export async function readJsonFile(
  path: string,
  options: JsonOptions & { readonly maxBytes?: number } = {},
): Promise<JsonObject> {
  const Fail = options.errorClass ?? ConfigError;
  return parseJsonObject(await readTextFile(path, options.maxBytes ?? DEFAULT_MAX_JSON_BYTES, Fail), path, options);
}

/** Reads a UTF-8 text file of at most `maxBytes`. */
export async function readTextFile(path: string, maxBytes: number, Fail: ErrorClass = ConfigError): Promise<string> {
  const bytes = await withFile(path, Fail, async (file) => {
    if (file.size > maxBytes)
      throw new Fail('FILE_TOO_LARGE', `expected at most ${maxBytes} bytes in ${path}, got ${file.size}`);
    return readExactly(file, 0, file.size, Fail);
  });
  return decodeUtf8(bytes, path, Fail, 'FILE_NOT_UTF8');
}

/**
 * Parses text which must be one JSON object. JSON.parse decides on syntax; a scan over the same, by then valid, text finds
 * what JSON.parse hides: duplicate keys, `__proto__`, numbers that overflow to Infinity, absurd nesting.
 */
export function parseJsonObject(text: string, what: string, options: JsonOptions = {}): JsonObject {
  const Fail = options.errorClass ?? ConfigError;
  const body = text.charCodeAt(0) === 0xfeff ? text.slice(1) : text;
  let value: unknown;
  try {
    value = JSON.parse(body);
  } catch (error) {
    const constant = nonFiniteConstant(body);
    if (constant !== undefined) {
      throw new Fail('JSON_NON_FINITE', `expected finite numbers in ${what}, got ${constant}, which is not JSON`, {
        cause: error,
      });
    }
    throw new Fail('JSON_SYNTAX', `expected valid JSON in ${what}, got: ${(error as Error).message}`, { cause: error });
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    const got = value === null ? 'null' : Array.isArray(value) ? 'an array' : `a ${typeof value}`;
    throw new Fail('JSON_NOT_OBJECT', `expected a JSON object in ${what}, got ${got}`);
  }
  scan(body, what, options, Fail);
  if (options.keepFloats === true) markFloats(value, body);
  return value as JsonObject;
}

/** The first of Python's NaN, Infinity, -Infinity that stands outside a string. */
function nonFiniteConstant(text: string): string | undefined {
  const pattern = /"(?:[^"\\]|\\.)*"|-?\bInfinity\b|\bNaN\b/gsu;
  for (const match of text.matchAll(pattern)) if (!match[0].startsWith('"')) return match[0];
  return undefined;
}

/** Walks over text that JSON.parse accepted, without recursion. */
function scan(text: string, what: string, options: JsonOptions, Fail: ErrorClass): void {
  const open: (Set<string> | null)[] = []; // keys seen per open object; null for an array
  for (let i = 0; i < text.length; i++) {
    const c = text.charCodeAt(i);
    if (c === 0x22) {
      const end = stringEnd(text, i);
      if (isKey(text, end)) checkKey(text.slice(i, end), open[open.length - 1], what, options, Fail);
      i = end - 1;
    } else if (c === 0x7b || c === 0x5b) {
      open.push(c === 0x7b ? new Set() : null);
      if (open.length > MAX_DEPTH)
        throw new Fail('JSON_TOO_DEEP', `expected at most ${MAX_DEPTH} nested levels in ${what}, got more`);
    } else if (c === 0x7d || c === 0x5d) {
      open.pop();
    } else if (c === 0x2d || (c >= 0x30 && c <= 0x39)) {
      const end = numberEnd(text, i);
      checkNumber(text.slice(i, end), what, options, Fail);
      i = end - 1;
    }
  }
}

/** Index after the closing quote of the string that starts at `start`. */
function stringEnd(text: string, start: number): number {
  let i = start + 1;
  for (; text.charCodeAt(i) !== 0x22; i++) if (text.charCodeAt(i) === 0x5c) i++;
  return i + 1;
}

/** In valid JSON a string is a key exactly when a colon follows it. */
function isKey(text: string, end: number): boolean {
  let i = end;
  while (text.charCodeAt(i) <= 0x20) i++;
  return text.charCodeAt(i) === 0x3a;
}

function numberEnd(text: string, start: number): number {
  let i = start;
  for (; i < text.length; i++) {
    const c = text.charCodeAt(i);
    const inside = (c >= 0x30 && c <= 0x39) || c === 0x2b || c === 0x2d || c === 0x2e || c === 0x45 || c === 0x65;
    if (!inside) break;
  }
  return i;
}

function checkKey(
  quoted: string,
  seen: Set<string> | null | undefined,
  what: string,
  options: JsonOptions,
  Fail: ErrorClass,
): void {
  const key = quoted.includes('\\') ? (JSON.parse(quoted) as string) : quoted.slice(1, -1);
  if (key === '__proto__' && options.allowProtoKey !== true) {
    throw new Fail('JSON_PROTO_KEY', `expected no key "__proto__" in ${what}, got one`);
  }
  if (options.duplicateKeys !== 'error' || !seen) return;
  if (seen.has(key))
    throw new Fail('JSON_DUPLICATE_KEY', `expected each key once in ${what}, got ${quoted.slice(0, 200)} twice`);
  seen.add(key);
}

function checkNumber(digits: string, what: string, options: JsonOptions, Fail: ErrorClass): void {
  if (options.integersOnly === true && !/^-?\d+$/.test(digits)) {
    throw new Fail('JSON_NOT_INTEGER', `expected whole numbers in ${what}, got ${digits.slice(0, 40)}`);
  }
  if (!Number.isFinite(Number(digits))) {
    throw new Fail(
      'JSON_NON_FINITE',
      `expected finite numbers in ${what}, got ${digits.slice(0, 40)}, which overflows`,
    );
  }
}
