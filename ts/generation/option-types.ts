/** The kinds of value an option can have. `check` says what was expected when the value does not fit. */
export interface ValueType {
  readonly expected: string;
  /** A float in Python, also where its value is whole; 'last': the last member of a list, or of each list in a list. */
  readonly float?: true | 'last';
  fits(value: unknown): boolean;
  /** Token ids inside a value that fits, for the check against the vocabulary. */
  ids?(value: unknown): readonly number[];
}

interface Range {
  min?: number;
  max?: number;
  above?: number;
  below?: number;
}

const isNumber = (value: unknown): value is number => typeof value === 'number' && Number.isFinite(value);
const isInteger = (value: unknown): value is number => Number.isSafeInteger(value);
const isId = (value: unknown): value is number => isInteger(value) && value >= 0;
const isIdList = (value: unknown): value is number[] => Array.isArray(value) && value.every(isId);

function inRange(value: number, range: Range): boolean {
  return (
    !(range.min !== undefined && value < range.min) &&
    !(range.max !== undefined && value > range.max) &&
    !(range.above !== undefined && value <= range.above) &&
    !(range.below !== undefined && value >= range.below)
  );
}

function describe(noun: string, range: Range): string {
  const low = range.min !== undefined ? `>= ${range.min}` : range.above !== undefined ? `> ${range.above}` : '';
  const high = range.max !== undefined ? `<= ${range.max}` : range.below !== undefined ? `< ${range.below}` : '';
  return [noun, [low, high].filter(Boolean).join(' and ')].filter(Boolean).join(' ');
}

const INT32_MAX = 2 ** 31 - 1;

export function int(range: Range = {}): ValueType {
  const bounded = { max: INT32_MAX, ...range };
  return {
    expected: describe('an integer', range),
    fits: (value) => isInteger(value) && inRange(value, bounded),
  };
}

export function number(range: Range = {}): ValueType {
  return { expected: describe('a number', range), float: true, fits: (v) => isNumber(v) && inRange(v, range) };
}

export const seedNumber: ValueType = { expected: 'an integer >= 0 and <= 2^53 - 1', fits: isId };

export const boolean: ValueType = { expected: 'a boolean', fits: (value) => typeof value === 'boolean' };

export const anything: ValueType = { expected: 'any value', fits: () => true };

export const callable: ValueType = { expected: 'a function', fits: (value) => typeof value === 'function' };

export const callables: ValueType = {
  expected: 'an array of functions',
  fits: (value) => Array.isArray(value) && value.every((item) => typeof item === 'function'),
};

export const object: ValueType = {
  expected: 'an object',
  fits: (value) => typeof value === 'object' && value !== null,
};

export const earlyStopping: ValueType = {
  expected: "true, false or 'never'",
  fits: (value) => typeof value === 'boolean' || value === 'never',
};

export const strings: ValueType = {
  expected: 'a non-empty string or a list of non-empty strings',
  fits: (value) => {
    const list: unknown[] = Array.isArray(value) ? value : [value];
    return list.length > 0 && list.every((item) => typeof item === 'string' && item.length > 0);
  },
};

export const tokenId: ValueType = {
  expected: 'a token id',
  fits: isId,
  ids: (value) => [value as number],
};

export const tokenIdOrList: ValueType = {
  expected: 'a token id or a non-empty list of token ids',
  fits: (value) => isId(value) || (isIdList(value) && value.length > 0),
  ids: (value) => (Array.isArray(value) ? (value as number[]) : [value as number]),
};

export const tokenIds: ValueType = {
  expected: 'a list of token ids',
  fits: isIdList,
  ids: (value) => value as number[],
};

export const words: ValueType = {
  expected: 'a non-empty list of non-empty lists of token ids',
  fits: (value) => Array.isArray(value) && value.length > 0 && value.every((item) => isIdList(item) && item.length > 0),
  ids: (value) => (value as number[][]).flat(),
};

export const prompts: ValueType = {
  expected: 'one list of token ids per image',
  fits: (value) => Array.isArray(value) && value.every(isIdList),
  ids: (value) => (value as number[][]).flat(),
};

export const biases: ValueType = {
  expected: 'a non-empty list of [[token ids], bias] pairs',
  float: 'last',
  fits: (value) =>
    Array.isArray(value) &&
    value.length > 0 &&
    value.every((pair: unknown) => {
      if (!Array.isArray(pair) || pair.length !== 2) return false;
      const [ids, bias] = pair as [unknown, unknown];
      return isIdList(ids) && ids.length > 0 && (isNumber(bias) || bias === -Infinity);
    }),
  ids: (value) => (value as [number[], number][]).flatMap(([ids]) => ids),
};

export const decay: ValueType = {
  expected: '[start, factor] with an integer start and a number factor',
  float: 'last',
  fits: (value) => Array.isArray(value) && value.length === 2 && isInteger(value[0]) && isNumber(value[1]),
};
