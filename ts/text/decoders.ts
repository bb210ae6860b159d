import { ConfigError, UnsupportedError } from '../errors.js';
import { byteLevelBytes, concatBytes, fallbackByte, lossyDecoder, strictUtf8, utf8 } from './bytes.js';
import { cleanUpToken } from './cleanup.js';
import { isObject, type JsonObject } from './json-shape.js';

/** One step of a tokenizer.json `decoder`, after the Rust implementation. */
export interface DecoderStep {
  readonly type: string;
  /** The tokens' texts after this step. */
  chain(tokens: readonly string[]): string[];
  /**
   * Where the step looks at one token at a time: the token's text when it comes first, and when it does not. Absent for steps
   * that look at neighbours.
   */
  readonly perToken?: (token: string, first: boolean) => string;
}

const MAX_NESTING = 8;

/** The steps of a `decoder` value, nested sequences flattened. An empty list for a tokenizer without decoder. */
export function parseDecoder(value: unknown, depth = 0): DecoderStep[] {
  if (value === null || value === undefined) return [];
  if (!isObject(value) || depth > MAX_NESTING) throw bad('expected an object as decoder', value);
  if (value['type'] === 'Sequence') {
    const steps = value['decoders'];
    if (!Array.isArray(steps) || steps.length > 64) throw bad('expected a list decoders in a Sequence decoder', steps);
    return steps.flatMap((step) => parseDecoder(step, depth + 1));
  }
  const build = typeof value['type'] === 'string' ? BUILDERS.get(value['type']) : undefined;
  if (!build) {
    throw new UnsupportedError(
      'TOKENIZER_DECODER',
      `expected a decoder among ${[...BUILDERS.keys()].join(', ')}, got ${JSON.stringify(value['type'])}`,
    );
  }
  return [build(value)];
}

const BUILDERS: ReadonlyMap<string, (config: JsonObject) => DecoderStep> = new Map([
  ['ByteLevel', byteLevel],
  ['WordPiece', wordPiece],
  ['Metaspace', metaspace],
  ['BPEDecoder', bpeDecoder],
  ['CTC', ctc],
  ['Fuse', fuse],
  ['Strip', strip],
  ['Replace', replace],
  ['ByteFallback', byteFallback],
]);

function mapped(type: string, perToken: (token: string, first: boolean) => string): DecoderStep {
  return { type, perToken, chain: (tokens) => tokens.map((token, i) => perToken(token, i === 0)) };
}

function byteLevel(): DecoderStep {
  return { type: 'ByteLevel', chain: (tokens) => [lossyDecoder().decode(concatBytes(tokens.map(byteLevelBytes)))] };
}

function wordPiece(config: JsonObject): DecoderStep {
  const prefix = text(config, 'prefix', '##');
  const cleanup = flag(config, 'cleanup', true);
  return mapped('WordPiece', (token, first) => {
    const joined = first ? token : prefix !== '' && token.startsWith(prefix) ? token.slice(prefix.length) : ` ${token}`;
    return cleanup ? cleanUpToken(joined) : joined;
  });
}

/** The first token loses every mark it has, the others turn theirs into spaces. */
function metaspace(config: JsonObject): DecoderStep {
  const mark = text(config, 'replacement', '▁');
  const prepends = config['add_prefix_space'] !== false && config['prepend_scheme'] !== 'never';
  return mapped('Metaspace', (token, first) => token.replaceAll(mark, first && prepends ? '' : ' '));
}

function bpeDecoder(config: JsonObject): DecoderStep {
  const suffix = text(config, 'suffix', '</w>');
  if (suffix === '') throw bad('expected a non-empty suffix in a BPEDecoder', suffix);
  return {
    type: 'BPEDecoder',
    chain: (tokens) => tokens.map((token, i) => token.replaceAll(suffix, i === tokens.length - 1 ? '' : ' ')),
  };
}

function ctc(config: JsonObject): DecoderStep {
  const pad = text(config, 'pad_token', '<pad>');
  const delimiter = text(config, 'word_delimiter_token', '|');
  const cleanup = flag(config, 'cleanup', true);
  const one = (token: string): string => {
    const kept = pad === '' ? token : token.replaceAll(pad, '');
    return cleanup ? cleanUpToken(kept).replaceAll(delimiter, ' ') : kept;
  };
  return {
    type: 'CTC',
    chain: (tokens) =>
      tokens
        .filter((token, i) => i === 0 || token !== tokens[i - 1])
        .map(one)
        .filter((piece) => piece !== ''),
  };
}

function fuse(): DecoderStep {
  return { type: 'Fuse', chain: (tokens) => [tokens.join('')] };
}

function strip(config: JsonObject): DecoderStep {
  const content = text(config, 'content', ' ');
  const [start, stop] = [count(config, 'start'), count(config, 'stop')];
  return mapped('Strip', (token) => {
    const chars = [...token];
    let from = 0;
    while (from < Math.min(start, chars.length) && chars[from] === content) from++;
    let to = chars.length;
    while (chars.length - to < stop && to > from && chars[to - 1] === content) to--;
    return chars.slice(from, to).join('');
  });
}

function replace(config: JsonObject): DecoderStep {
  const content = text(config, 'content', '');
  const pattern = config['pattern'];
  if (isObject(pattern) && typeof pattern['String'] === 'string' && pattern['String'] !== '') {
    const wanted = pattern['String'];
    return mapped('Replace', (token) => token.replaceAll(wanted, () => content));
  }
  if (!isObject(pattern) || typeof pattern['Regex'] !== 'string')
    throw bad('expected a String or Regex pattern in a Replace decoder', pattern);
  const expression = compile(pattern['Regex']);
  return mapped('Replace', (token) => token.replace(expression, () => content));
}

function compile(source: string): RegExp {
  try {
    return new RegExp(source, 'gu');
  } catch (error) {
    throw new UnsupportedError(
      'TOKENIZER_REGEX',
      `expected a regular expression JavaScript knows, got ${source.slice(0, 200)}`,
      {
        cause: error,
      },
    );
  }
}

/** Runs of byte tokens become text where they are valid UTF-8, one U+FFFD per byte where they are not. */
function byteFallback(): DecoderStep {
  return {
    type: 'ByteFallback',
    chain(tokens) {
      const out: string[] = [];
      let run: number[] = [];
      const flush = (): void => {
        if (run.length > 0) out.push(strictUtf8(Uint8Array.from(run)) ?? '\uFFFD'.repeat(run.length));
        run = [];
      };
      for (const token of tokens) {
        const byte = fallbackByte(token);
        if (byte !== undefined) run.push(byte);
        else {
          flush();
          out.push(token);
        }
      }
      flush();
      return out;
    },
  };
}

/** The bytes one token adds in the middle of a text. */
export function middleBytes(steps: readonly DecoderStep[], token: string): Uint8Array {
  if (steps.length === 0) return utf8(` ${token}`);
  let at = token;
  for (const step of steps) {
    if (step.type === 'ByteLevel') return byteLevelBytes(at);
    const byte = step.type === 'ByteFallback' ? fallbackByte(at) : undefined;
    if (byte !== undefined) return Uint8Array.of(byte);
    if (step.type === 'Fuse') break; // what follows works on the whole text, not on tokens
    at = step.perToken ? step.perToken(at, false) : (step.chain([at, ''])[0] ?? '');
  }
  return utf8(at);
}

function text(config: JsonObject, key: string, fallback: string): string {
  const value = config[key] ?? fallback;
  if (typeof value !== 'string' || value.length > 1024)
    throw bad(`expected a short string ${key} in the decoder`, value);
  return value;
}

function flag(config: JsonObject, key: string, fallback: boolean): boolean {
  const value = config[key] ?? fallback;
  if (typeof value !== 'boolean') throw bad(`expected true or false for ${key} in the decoder`, value);
  return value;
}

function count(config: JsonObject, key: string): number {
  const value = config[key] ?? 0;
  if (!Number.isSafeInteger(value) || (value as number) < 0)
    throw bad(`expected a count for ${key} in the decoder`, value);
  return value as number;
}

function bad(expected: string, got: unknown): ConfigError {
  return new ConfigError('TOKENIZER_DECODER', `${expected}, got ${JSON.stringify(got)?.slice(0, 200) ?? 'nothing'}`);
}
