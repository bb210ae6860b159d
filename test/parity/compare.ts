/** Comparators that NaN cannot pass: every test is written `!(difference <= tolerance)`. */

export interface Numbers {
  readonly data: ArrayLike<number>;
  readonly dims: readonly number[];
}

/** The largest magnitude of the expected values. */
export function largest(values: ArrayLike<number>): number {
  let most = 0;
  for (let i = 0; i < values.length; i++) most = Math.max(most, Math.abs(values[i]!));
  return most;
}

/** What is wrong with `got`, or null: the same shape, and no element further off than `tolerance` × the largest expected one. */
export function tensorDifference(got: Numbers, expected: Numbers, tolerance: number): string | null {
  const [gotDims, dims] = [got.dims.join('×'), expected.dims.join('×')];
  if (gotDims !== dims) return `expected shape ${dims}, got ${gotDims}`;
  if (got.data.length !== expected.data.length)
    return `expected ${expected.data.length} values, got ${got.data.length}`;
  const allowed = tolerance * largest(expected.data);
  for (let i = 0; i < expected.data.length; i++) {
    const difference = Math.abs(got.data[i]! - expected.data[i]!);
    if (!(difference <= allowed)) {
      return `element ${i}: expected ${expected.data[i]} within ${allowed}, got ${got.data[i]}`;
    }
  }
  return null;
}

/** What is wrong with a number, or null: relative to the expected magnitude. */
export function numberDifference(got: number | undefined, expected: number, tolerance: number): string | null {
  const difference = Math.abs(Number(got) - expected);
  return !(difference <= tolerance * Math.abs(expected))
    ? `expected ${expected} within ${tolerance} of it, got ${got}`
    : null;
}
