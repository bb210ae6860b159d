import { ConfigError } from '../errors.js';
import { decodeLossy } from './byte-level.js';

const MAX_BYTES = 16 * 1024 * 1024;
const graphemes = new Intl.Segmenter('und', { granularity: 'grapheme' });
const encoder = new TextEncoder();

/**
 * SentencePiece's precompiled character map: a double-array trie over UTF-8 whose leaves point into a blob of NUL-terminated
 * replacements. Applied as Rust's tokenizers do: to each grapheme of up to five bytes, else to its characters; the shortest
 * match decides and replaces all of what was looked up.
 */
export class Charsmap {
  private readonly units: Uint32Array;
  private readonly blob: Uint8Array;

  constructor(bytes: Uint8Array) {
    const size = bytes.length >= 4 ? new DataView(bytes.buffer, bytes.byteOffset).getUint32(0, true) : -1;
    if (size < 4 || size % 4 !== 0 || size > bytes.length - 4 || bytes.length > MAX_BYTES) {
      const got = `${bytes.length} bytes and a trie of ${size}`;
      throw new ConfigError(
        'TOKENIZER_CHARSMAP',
        `expected a charsmap of at most ${MAX_BYTES} bytes that holds its trie, got ${got}`,
      );
    }
    const view = new DataView(bytes.buffer, bytes.byteOffset + 4, size);
    this.units = Uint32Array.from({ length: size / 4 }, (_, i) => view.getUint32(4 * i, true));
    this.blob = bytes.subarray(4 + size);
  }

  /** The map as tokenizer.json holds it. */
  static fromBase64(text: string): Charsmap {
    if (text.length > 2 * MAX_BYTES)
      throw new ConfigError(
        'TOKENIZER_CHARSMAP',
        `expected at most ${2 * MAX_BYTES} characters of base64, got ${text.length}`,
      );
    return new Charsmap(Buffer.from(text, 'base64'));
  }

  normalize(text: string): string {
    let out = '';
    for (const { segment } of graphemes.segment(text)) {
      const whole = segment.length < 6 ? encoder.encode(segment) : undefined;
      const found = whole && whole.length < 6 ? this.lookup(whole) : undefined;
      if (found !== undefined) out += found;
      else for (const char of segment) out += this.lookup(encoder.encode(char)) ?? char;
    }
    return out;
  }

  /** The replacement of the shortest prefix of `key` that the trie holds. */
  private lookup(key: Uint8Array): string | undefined {
    let node = offsetOf(this.units[0] ?? 0);
    for (const byte of key) {
      if (byte === 0) return undefined;
      node = (node ^ byte) >>> 0;
      const unit = this.units[node];
      if (unit === undefined || (unit & 0x800000ff) >>> 0 !== byte) return undefined;
      node = (node ^ offsetOf(unit)) >>> 0;
      if (((unit >>> 8) & 1) === 1) return this.replacement(this.units[node]);
    }
    return undefined;
  }

  private replacement(leaf: number | undefined): string | undefined {
    if (leaf === undefined) return undefined;
    const start = leaf & 0x7fffffff;
    if (start >= this.blob.length) return undefined;
    const end = this.blob.indexOf(0, start);
    return decodeLossy(this.blob.subarray(start, end < 0 ? this.blob.length : end));
  }
}

function offsetOf(unit: number): number {
  return ((unit >>> 10) << ((unit & 0x200) >>> 6)) >>> 0;
}
