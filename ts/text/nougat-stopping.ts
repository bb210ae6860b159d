import { OptionError } from '../errors.js';

export interface NougatStoppingOptions {
  /** Below this variance of variances a text counts as repeating itself. Default 0.015. */
  threshold?: number;
  /** Steps that are looked at, and before which nothing is stopped; at least 2. Default 200. */
  windowSize?: number;
}

const SHORT_WINDOW = 15;

/**
 * The rule by which the nougat project ends pages that repeat themselves, as one of `stoppingCriteria`. Where a model repeats
 * itself, the highest score of a step hardly changes. Each step adds v = variance of the last 15 highest scores / their number; a
 * row ends at the second step in a row at which the variance of the last `windowSize` values of v is below `threshold`. The
 * project ends a batch when this holds for all of its rows; here each row ends alone. For greedy search and sampling, where a row
 * stays one text. It keeps state per row: make one for each call.
 */
export function nougatStoppingCriterion(
  options: NougatStoppingOptions = {},
): (ids: readonly number[], scores: Float32Array, row: number) => boolean {
  const { threshold = 0.015, windowSize = 200 } = options;
  if (!(threshold > 0))
    throw new OptionError('INVALID_OPTION', `threshold: expected a number above 0, got ${threshold}`);
  if (!Number.isSafeInteger(windowSize) || windowSize < 2)
    throw new OptionError('INVALID_OPTION', `windowSize: expected a whole number of at least 2, got ${windowSize}`);
  const rows = new Map<number, RowState>();
  return (ids, scores, row) => {
    let state = rows.get(row);
    if (state === undefined || ids.length !== state.length + 1) rows.set(row, (state = newRow()));
    state.length = ids.length;
    return advance(state, highest(scores), threshold, windowSize);
  };
}

interface RowState {
  length: number;
  steps: number;
  highest: number[];
  variances: number[];
  /** Whether the step before was below the threshold. */
  low: boolean;
}

const newRow = (): RowState => ({ length: 0, steps: 0, highest: [], variances: [], low: false });

function advance(state: RowState, score: number, threshold: number, windowSize: number): boolean {
  push(state.highest, score, SHORT_WINDOW);
  push(state.variances, variance(state.highest) / state.highest.length, windowSize);
  state.steps++;
  // The variance of the first step's single score is NaN, and so is every variance that includes it.
  const low = state.steps >= windowSize && variance(state.variances) < threshold;
  const stops = low && state.low;
  state.low = low;
  return stops;
}

function push(values: number[], value: number, limit: number): void {
  values.push(value);
  if (values.length > limit) values.shift();
}

/** Unbiased; NaN for a single value. */
function variance(values: readonly number[]): number {
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  return values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / (values.length - 1);
}

function highest(scores: Float32Array): number {
  let best = -Infinity;
  for (const score of scores) if (score > best) best = score;
  return best;
}
