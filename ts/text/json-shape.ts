import { ConfigError } from '../errors.js';
import type { JsonObject } from '../files/json.js';

export type { JsonObject };

/** Largest token id accepted: far above any vocabulary, small enough that a table of this length is harmless. */
export const MAX_TOKEN_ID = (1 << 22) - 1;

export function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** A short rendering of a bad value for a message. */
export function shown(value: unknown): string {
  return JSON.stringify(value)?.slice(0, 120) ?? 'nothing';
}

export function tokenId(value: unknown, what: string): number {
  if (!Number.isInteger(value) || (value as number) < 0 || (value as number) > MAX_TOKEN_ID) {
    throw new ConfigError(
      'TOKENIZER_TOKEN_ID',
      `expected a token id from 0 to ${MAX_TOKEN_ID} for ${what}, got ${shown(value)}`,
    );
  }
  return value as number;
}
