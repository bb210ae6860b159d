import { fallbackByte } from './bytes.js';
import { JsonTokenizer, type DecodeOptions, type Tokenizer } from './tokenizer.js';

/** Tokens kept before the new ones, so that the decoder sees their left context. */
const CONTEXT = 4;
/** Characters that later tokens may still join or drop by clean-up, trimming or suffixes. */
const REACH = 32;
/** Tokens the window is cut down to at least, at twice this many. */
const KEPT = 32;
/** Decoder steps whose text only grows. */
const FORWARD: ReadonlySet<string> = new Set([
  'ByteLevel',
  'WordPiece',
  'Metaspace',
  'Fuse',
  'ByteFallback',
  'Replace',
]);

/**
 * Text pieces of a growing row of ids. Their concatenation, with the one from `end()`, is the decode of the whole row. Each
 * token is decoded a bounded number of times.
 */
export class StreamDecoder {
  private window: number[] = [];
  /** Characters of the window's text already given out. */
  private given = 0;
  /** Whether a later token can change finished characters before it. */
  private readonly changesBack: boolean;

  constructor(
    private readonly tokenizer: Tokenizer,
    private readonly options: DecodeOptions = {},
  ) {
    const known = tokenizer instanceof JsonTokenizer ? tokenizer : undefined;
    this.changesBack = known === undefined || known.cleansUp || !known.steps.every((step) => FORWARD.has(step.type));
  }

  /** Adds ids; the text that no later id can change. */
  push(...ids: number[]): string {
    let out = '';
    for (const id of ids) if (this.counts(id)) out += this.add(id);
    return out;
  }

  /** What was held back. The decoder is then as new. */
  end(): string {
    const rest = this.text(this.window).slice(this.given);
    this.window = [];
    this.given = 0;
    return rest;
  }

  private counts(id: number): boolean {
    if (this.tokenizer.idToToken(id) === undefined) return false;
    return !(this.options.skipSpecialTokens === true && this.tokenizer.specialIds.has(id));
  }

  private add(id: number): string {
    this.window.push(id);
    const text = this.text(this.window);
    const stable = this.stableLength(text);
    const piece = stable > this.given ? text.slice(this.given, stable) : '';
    this.given = Math.max(this.given, stable);
    this.shrink(text);
    return piece;
  }

  /** How much of the window's text later ids leave as it is. */
  private stableLength(text: string): number {
    const { decoderKind } = this.tokenizer;
    // A run of byte tokens is valid or broken as a whole.
    if (decoderKind === 'byteFallback' && this.endsInByte()) return this.given;
    let end = text.length;
    // An unfinished character shows as exactly one replacement character.
    if (decoderKind === 'byteLevel' && text.endsWith('\uFFFD')) end--;
    return this.changesBack ? Math.max(0, end - REACH) : end;
  }

  private endsInByte(): boolean {
    return fallbackByte(this.tokenizer.idToToken(this.window.at(-1) ?? -1) ?? '') !== undefined;
  }

  /** Drops old tokens, if the text after them stays the same without them. */
  private shrink(text: string): void {
    if (this.window.length < 2 * KEPT) return;
    const cut = this.window.length - KEPT;
    const head = this.text(this.window.slice(0, cut));
    const anchor = this.window.slice(cut - CONTEXT);
    const anchorHead = this.text(this.window.slice(cut - CONTEXT, cut));
    const kept = this.text(anchor);
    const same =
      text.startsWith(head) && kept.startsWith(anchorHead) && text.slice(head.length) === kept.slice(anchorHead.length);
    if (!same || head.length > this.given) return;
    this.given = this.given - head.length + anchorHead.length;
    this.window = anchor;
  }

  private text(ids: readonly number[]): string {
    return this.tokenizer.decode(ids, this.options);
  }
}
