import { ConfigError, VedError } from '../errors.js';
import { lossyDecoder, utf8 } from './bytes.js';
import { installCharsmaps, type LibraryNormalizer } from './charsmap.js';
import { cleanUpSpaces } from './cleanup.js';
import { middleBytes, parseDecoder, type DecoderStep } from './decoders.js';
import type { JsonObject } from './json-shape.js';
import { tokenText } from './special-tokens.js';
import { checkTokenizer, NO_COMPANIONS, type CheckedTokenizer, type Companions } from './vocabulary.js';

export interface EncodeOptions {
  /** Add what the tokenizer puts around a text, such as `<s>` and `</s>`. Default true. */
  addSpecialTokens?: boolean | undefined;
}

export interface DecodeOptions {
  /** Leave special tokens out of the text. Default false. */
  skipSpecialTokens?: boolean | undefined;
}

/** Turns text into token ids and back. */
export interface Tokenizer {
  encode(text: string, options?: EncodeOptions): number[];
  /** Ids outside the vocabulary are dropped; no ids give the empty text. */
  decode(ids: Iterable<number>, options?: DecodeOptions): string;
  batchDecode(rows: Iterable<Iterable<number>>, options?: DecodeOptions): string[];
  idToToken(id: number): string | undefined;
  tokenToId(token: string): number | undefined;
  /** One more than the highest id, added tokens included. */
  readonly vocabSize: number;
  readonly specialIds: ReadonlySet<number>;
  /** The spelling of every token that was added to the model's vocabulary, special or not. */
  readonly addedTokens: ReadonlySet<string>;
  readonly decoderKind: 'byteLevel' | 'byteFallback' | 'text';
  /** The bytes a token adds in the middle of a text; a special token its spelling; an id outside the vocabulary none. */
  tokenBytes(id: number): Uint8Array;
}

/** What this package uses of @huggingface/tokenizers. */
interface Encoder {
  readonly normalizer: LibraryNormalizer | null;
  encode(text: string, options: { add_special_tokens: boolean }): { ids: (number | null | undefined)[] };
}

/** A tokenizer from the content of tokenizer.json and of the files beside it. */
export function createTokenizer(json: JsonObject, companions: Companions = NO_COMPANIONS): JsonTokenizer {
  return new JsonTokenizer(checkTokenizer(json, companions), companions.config);
}

/** Encoding by @huggingface/tokenizers, decoding after the Rust tokenizers and transformers 5. */
export class JsonTokenizer implements Tokenizer {
  readonly specialIds: ReadonlySet<number>;
  readonly addedTokens: ReadonlySet<string>;
  readonly decoderKind: 'byteLevel' | 'byteFallback' | 'text';
  /** Decoder steps, for decoding piece by piece. */
  readonly steps: readonly DecoderStep[];
  /** Whether decoded text has spaces before punctuation removed; never after BPE, unless the configuration insists. */
  readonly cleansUp: boolean;
  /** Built when first needed: reading an image without a prompt never encodes, and large vocabularies are slow to build. */
  private encoder: Encoder | undefined;

  constructor(
    private readonly checked: CheckedTokenizer,
    private readonly config: JsonObject,
  ) {
    this.steps = parseDecoder(checked.json['decoder']);
    const types = this.steps.map((step) => step.type);
    this.decoderKind = types.includes('ByteLevel')
      ? 'byteLevel'
      : types.includes('ByteFallback')
        ? 'byteFallback'
        : 'text';
    this.specialIds = new Set(checked.added.filter((token) => token.special).map((token) => token.id));
    this.addedTokens = new Set(checked.added.map((token) => token.content));
    const force = config['clean_up_tokenization_spaces_for_bpe_even_though_it_will_corrupt_output'] === true;
    this.cleansUp = config['clean_up_tokenization_spaces'] === true && (checked.modelType !== 'BPE' || force);
  }

  get vocabSize(): number {
    return this.checked.tokens.length;
  }

  encode(text: string, options: EncodeOptions = {}): number[] {
    this.encoder ??= buildEncoder(this.checked, this.config);
    const wellFormed = lossyDecoder().decode(utf8(text)); // half a surrogate pair becomes U+FFFD
    const { ids } = this.encoder.encode(wellFormed, { add_special_tokens: options.addSpecialTokens ?? true });
    return ids.filter((id) => id !== undefined && id !== null);
  }

  decode(ids: Iterable<number>, options: DecodeOptions = {}): string {
    const text = this.joined(this.tokensOf(ids, options.skipSpecialTokens ?? false));
    return this.cleansUp ? cleanUpSpaces(text) : text;
  }

  batchDecode(rows: Iterable<Iterable<number>>, options: DecodeOptions = {}): string[] {
    return Array.from(rows, (ids) => this.decode(ids, options));
  }

  idToToken(id: number): string | undefined {
    return this.checked.tokens[id];
  }

  tokenToId(token: string): number | undefined {
    return this.checked.ids.get(token);
  }

  tokenBytes(id: number): Uint8Array {
    const token = this.idToToken(id);
    if (token === undefined) return new Uint8Array(0);
    return this.specialIds.has(id) ? utf8(token) : middleBytes(this.steps, token);
  }

  /** The tokens that take part in decoding these ids. */
  private tokensOf(ids: Iterable<number>, skipSpecialTokens: boolean): string[] {
    const tokens: string[] = [];
    for (const id of ids) {
      const token = this.idToToken(id);
      if (token !== undefined && !(skipSpecialTokens && this.specialIds.has(id))) tokens.push(token);
    }
    return tokens;
  }

  /** The text of tokens before clean-up. */
  private joined(tokens: readonly string[]): string {
    if (this.steps.length === 0) return tokens.join(' ');
    return this.steps.reduce<readonly string[]>((at, step) => step.chain(at), tokens).join('');
  }
}

/** The library's encoder. Its decoder is not used, and what it would read from the configuration is decided here. */
function buildEncoder(checked: CheckedTokenizer, config: JsonObject): Encoder {
  // eslint-disable-next-line @typescript-eslint/no-require-imports
  const library = require('@huggingface/tokenizers') as { Tokenizer: new (json: object, config: object) => Encoder };
  const eos = tokenText(config['eos_token']);
  try {
    const settings = { clean_up_tokenization_spaces: false, ...(eos !== undefined && { eos_token: eos }) };
    const encoder = new library.Tokenizer({ ...checked.json, decoder: null }, settings);
    installCharsmaps(encoder.normalizer, checked.json['normalizer']);
    return encoder;
  } catch (error) {
    if (error instanceof VedError) throw error;
    const got = (error as Error).message;
    const message = `expected a ${checked.modelType} tokenizer of parts this package knows, got: ${got}`;
    throw new ConfigError('TOKENIZER_INVALID', message, { cause: error });
  }
}
