/** The plain checks a spec is validated with; each names the place. */
import { ConfigError } from '../errors';

export const MAX_SIZE = 2 ** 24;

export function size(value: number, at: string, high = MAX_SIZE): number {
  if (!(Number.isSafeInteger(value) && value >= 1 && value <= high))
    fail(at, `a whole number from 1 to ${high}`, value);
  return value;
}

/** A whole number below `end`. */
export function within(value: number, end: number, at: string): number {
  if (!(Number.isSafeInteger(value) && value >= 0 && value < end)) fail(at, `a whole number below ${end}`, value);
  return value;
}

export function positive(value: number, at: string): void {
  if (!(finite(value, at) > 0)) fail(at, 'above 0', value);
}

export function finite(value: number, at: string): number {
  if (!Number.isFinite(value)) fail(at, 'a finite number', value);
  return value;
}

export function equal(value: number, expected: number, at: string): void {
  if (value !== expected) fail(at, `${expected}`, value);
}

export function fail(at: string, expected: string, got: unknown): never {
  throw new ConfigError('INVALID_SPEC', `model ${at}: expected ${expected}, got ${String(got)}`);
}
