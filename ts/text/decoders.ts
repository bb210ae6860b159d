import { ConfigError, UnsupportedError } from '../errors.js';
import type { JsonObject } from '../files/json.js';
import { byteLevelBytes, concatBytes, decodeLossy } from './byte-level.js';

/** One step of a tokenizer.json `decoder`, after the Rust implementation. */
export interface DecoderStep {
  readonly type: string;
  /** The tokens' texts after this step. */
  chain(tokens: readonly string[]): string[];
  /** Where the step looks at one token at a time: its text, in first place or not. */
  readonly perToken?: (token: string, first: boolean) => string;
}

const MAX_NESTING = 8;
const MAX_STEPS = 64;

/** The steps of a `decoder` value, nested sequences flattened. An empty list for a tokenizer without decoder. */
export function parseDecoder(value: unknown, depth = 0): DecoderStep[] {
  if (value === null || value === undefined) return [];
  if (!isObject(value) || depth > MAX_NESTING) throw bad('an object as decoder', value);
  if (value['type'] === 'Sequence') {
    const steps = value['decoders'];
    if (!Array.isArray(steps) || steps.length > MAX_STEPS) throw bad('a list `decoders` in a Sequence decoder', steps);
    return steps.flatMap((step) => parseDecoder(step, depth + 1));
  }
  const build = typeof value['type'] === 'string' ? BUILDERS.get(value['type']) : undefined;
  if (build) return [build(value)];
  const known = [...BUILDERS.keys()].join(', ');
  throw new UnsupportedError('TOKENIZER_DECODER', `expected a decoder among ${known}, got ${shown(value['type'])}`);
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
  return { type: 'ByteLevel', chain: (tokens) => [decodeLossy(concatBytes(tokens.map(byteLevelBytes)))] };
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
  if (suffix === '') throw bad('a non-empty suffix in a BPEDecoder', suffix);
  const chain = (tokens: readonly string[]): string[] =>
    tokens.map((token, i) => token.replaceAll(suffix, i === tokens.length - 1 ? '' : ' '));
  return { type: 'BPEDecoder', chain };
}

function ctc(config: JsonObject): DecoderStep {
  const pad = text(config, 'pad_token', '<pad>');
  const delimiter = text(config, 'word_delimiter_token', '|');
  const cleanup = flag(config, 'cleanup', true);
  const one = (token: string): string => {
    const kept = pad === '' ? token : token.replaceAll(pad, '');
    return cleanup ? cleanUpToken(kept).replaceAll(delimiter, ' ') : kept;
  };
  const chain = (tokens: readonly string[]): string[] =>
    tokens.filter((token, i) => i === 0 || token !== tokens[i - 1]).map(one).filter((piece) => piece !== '');
  return { type: 'CTC', chain };
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
    throw bad('a String or Regex pattern in a Replace decoder', pattern);
  const expression = compile(pattern['Regex']);
  return mapped('Replace', (token) => token.replace(expression, () => content));
}

function compile(source: string): RegExp {
  try {
    return new RegExp(source, 'gu');
  } catch (error) {
    const message = `expected a regular expression that JavaScript knows, got ${shown(source)}`;
    throw new UnsupportedError('TOKENIZER_REGEX', message, { cause: error });
  }
}

/** Runs of byte tokens become text where they are valid UTF-8, one U+FFFD per byte where they are not. */
function byteFallback(): DecoderStep {
  const chain = (tokens: readonly string[]): string[] => {
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
  };
  return { type: 'ByteFallback', chain };
}

function strictUtf8(bytes: Uint8Array): string | undefined {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    return undefined;
  }
}

/** The byte a token such as `<0x0A>` stands for. */
export function fallbackByte(token: string): number | undefined {
  return /^<0x[0-9A-Fa-f]{2}>$/.test(token) ? parseInt(token.slice(3, 5), 16) : undefined;
}

/** The bytes one token adds in the middle of a text. */
export function middleBytes(steps: readonly DecoderStep[], token: string): Uint8Array {
  const encoder = new TextEncoder();
  if (steps.length === 0) return encoder.encode(` ${token}`);
  let at = token;
  for (const step of steps) {
    if (step.type === 'ByteLevel') return byteLevelBytes(at);
    const byte = step.type === 'ByteFallback' ? fallbackByte(at) : undefined;
    if (byte !== undefined) return Uint8Array.of(byte);
    if (step.type === 'Fuse') break; // what follows works on the whole text, not on tokens
    at = step.perToken ? step.perToken(at, false) : (step.chain([at, ''])[0] ?? '');
  }
  return encoder.encode(at);
}

const EARLY = [[' .', '.'], [' ?', '?'], [' !', '!'], [' ,', ','], [" ' ", "'"], [" n't", "n't"], [" 'm", "'m"]] as const;
const LATE = [[" 's", "'s"], [" 've", "'ve"], [" 're", "'re"]] as const;

function replaceEach(text: string, rules: readonly (readonly [string, string])[]): string {
  return rules.reduce((at, [from, to]) => at.replaceAll(from, to), text);
}

/** transformers' clean_up_tokenization: spaces before punctuation and English contractions go, rule by rule. */
export function cleanUpSpaces(text: string): string {
  return replaceEach(replaceEach(text, EARLY), LATE);
}

/** The WordPiece and CTC decoders' own clean-up, per token: one rule more than transformers'. */
function cleanUpToken(token: string): string {
  if (!token.includes(' ')) return token;
  return replaceEach(replaceEach(token, EARLY).replaceAll(' do not', " don't"), LATE);
}

function text(config: JsonObject, key: string, fallback: string): string {
  const value = config[key] ?? fallback;
  if (typeof value !== 'string' || value.length > 1024) throw bad(`a short string ${key} in the decoder`, value);
  return value;
}

function flag(config: JsonObject, key: string, fallback: boolean): boolean {
  const value = config[key] ?? fallback;
  if (typeof value !== 'boolean') throw bad(`true or false for ${key} in the decoder`, value);
  return value;
}

function count(config: JsonObject, key: string): number {
  const value = config[key] ?? 0;
  if (!Number.isSafeInteger(value) || (value as number) < 0) throw bad(`a count for ${key} in the decoder`, value);
  return value as number;
}

function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function shown(value: unknown): string {
  return JSON.stringify(value)?.slice(0, 200) ?? 'nothing';
}

function bad(expected: string, got: unknown): ConfigError {
  return new ConfigError('TOKENIZER_DECODER', `expected ${expected}, got ${shown(got)}`);
}
