import { decodeLossy } from './byte-level.js';
import { cleanUpSpaces, fallbackByte, middleBytes, parseDecoder, type DecoderStep } from './decoders.js';
import type { TokenizerDefinition } from './definition.js';
import { createEncoder, type Encoder } from './encoder.js';

export interface EncodeOptions {
  /** Add what the tokenizer puts around a text, such as `<s>` and `</s>`. Default true. */
  addSpecialTokens?: boolean | undefined;
}

export interface DecodeOptions {
  /** Leave special tokens out of the text. Default false. */
  skipSpecialTokens?: boolean | undefined;
  /** Remove spaces before punctuation. Default: what tokenizer_config.json says, as transformers 5 reads it. */
  cleanUpTokenizationSpaces?: boolean | undefined;
}

const FORCE = 'clean_up_tokenization_spaces_for_bpe_even_though_it_will_corrupt_output';

/** Turns text into token ids and back: encoding by @huggingface/tokenizers, decoding after Rust's tokenizers. */
export class Tokenizer {
  /** One more than the highest id, added tokens included. */
  readonly vocabSize: number;
  readonly specialIds: ReadonlySet<number>;
  readonly decoderKind: 'byteLevel' | 'byteFallback' | 'text';
  private readonly tokens: (string | undefined)[] = [];
  private readonly ids = new Map<string, number>();
  private readonly steps: readonly DecoderStep[];
  private readonly cleansUp: boolean;
  /** Built when first needed: reading an image without a prompt never encodes. */
  private encoder: Encoder | undefined;

  constructor(private readonly definition: TokenizerDefinition) {
    const { json, config } = definition;
    const vocab = json.model['vocab'];
    if (Array.isArray(vocab)) vocab.forEach((entry: [string, number], id) => this.name(entry[0], id));
    else for (const [token, id] of Object.entries(vocab as Record<string, number>)) this.name(token, id);
    for (const { content, id } of json.added_tokens) this.name(content, id);
    this.vocabSize = this.tokens.length;
    this.specialIds = new Set(json.added_tokens.filter((token) => token.special).map((token) => token.id));
    this.steps = parseDecoder(json.decoder);
    const types = this.steps.map((step) => step.type);
    this.decoderKind = types.includes('ByteLevel') ? 'byteLevel' : types.includes('ByteFallback') ? 'byteFallback' : 'text';
    this.cleansUp = config['clean_up_tokenization_spaces'] === true;
  }

  encode(text: string, options: EncodeOptions = {}): number[] {
    this.encoder ??= createEncoder({ ...this.definition, json: { ...this.definition.json, decoder: null } });
    const wellFormed = decodeLossy(new TextEncoder().encode(text)); // half a surrogate pair becomes U+FFFD
    const { ids } = this.encoder.encode(wellFormed, { add_special_tokens: options.addSpecialTokens ?? true });
    return ids.filter((id) => id !== undefined);
  }

  /** Ids outside the vocabulary are dropped; no ids give the empty text. */
  decode(ids: Iterable<number>, options: DecodeOptions = {}): string {
    const tokens: string[] = [];
    for (const id of ids) {
      const token = this.idToToken(id);
      if (token !== undefined && !(options.skipSpecialTokens === true && this.specialIds.has(id))) tokens.push(token);
    }
    const text =
      this.steps.length === 0
        ? tokens.join(' ')
        : this.steps.reduce<readonly string[]>((at, step) => step.chain(at), tokens).join('');
    return this.cleanUp(options) ? cleanUpSpaces(text) : text;
  }

  batchDecode(rows: Iterable<Iterable<number>>, options: DecodeOptions = {}): string[] {
    return Array.from(rows, (ids) => this.decode(ids, options));
  }

  idToToken(id: number): string | undefined {
    return this.tokens[id];
  }

  tokenToId(token: string): number | undefined {
    return this.ids.get(token);
  }

  /** The bytes a token adds in the middle of a text; a special token its spelling; an id outside the vocabulary none. */
  tokenBytes(id: number): Uint8Array {
    const token = this.idToToken(id);
    if (token === undefined) return new Uint8Array(0);
    return this.specialIds.has(id) ? new TextEncoder().encode(token) : middleBytes(this.steps, token);
  }

  /** Whether an id stands for one byte of a character spelled in bytes. */
  isByte(id: number): boolean {
    return this.decoderKind === 'byteFallback' && fallbackByte(this.idToToken(id) ?? '') !== undefined;
  }

  /** Whether later tokens may change the last characters of a text other than by finishing a character. */
  changesBack(options: DecodeOptions = {}): boolean {
    return this.cleanUp(options) || this.steps.some(({ type }) => ['BPEDecoder', 'CTC', 'Strip'].includes(type));
  }

  /** transformers 5 refuses to clean up after BPE, whoever asks, unless the configuration insists. */
  private cleanUp(options: DecodeOptions): boolean {
    const wanted = options.cleanUpTokenizationSpaces ?? this.cleansUp;
    const { json, config } = this.definition;
    return wanted && (json.model['type'] !== 'BPE' || config[FORCE] === true);
  }

  private name(token: string, id: number): void {
    this.tokens[id] = token;
    this.ids.set(token, id);
  }
}
