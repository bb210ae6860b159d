import { ConfigError } from '../errors.js';
import { lossyDecoder, utf8 } from './bytes.js';
import { isObject, shown } from './json-shape.js';

/** A normaliser as @huggingface/tokenizers builds it. */
export interface LibraryNormalizer {
  readonly normalizers?: readonly (LibraryNormalizer | null)[];
  normalize: (text: string) => string;
}

const MAX_BYTES = 16 * 1024 * 1024;

/**
 * sentencepiece's precompiled character map: a double-array trie over UTF-8 whose leaves point into a blob of NUL-terminated
 * replacements. Applied as Rust's tokenizers do: to each grapheme of up to five bytes, else to its characters; the shortest
 * match decides and replaces all of what was looked up.
 */
export class Charsmap {
  // Of each map: to make one loads ICU's rules, and few models need them.
  private readonly graphemes = new Intl.Segmenter('und', { granularity: 'grapheme' });
  private readonly units: Uint32Array;
  private readonly blob: Uint8Array;

  constructor(bytes: Uint8Array) {
    const size = bytes.length >= 4 ? new DataView(bytes.buffer, bytes.byteOffset).getUint32(0, true) : -1;
    if (size < 4 || size % 4 !== 0 || size > bytes.length - 4 || bytes.length > MAX_BYTES) {
      throw new ConfigError(
        'TOKENIZER_CHARSMAP',
        `expected a charsmap of at most ${MAX_BYTES} bytes whose first four give the size of its trie, got ${bytes.length} bytes and size ${size}`,
      );
    }
    const view = new DataView(bytes.buffer, bytes.byteOffset + 4, size);
    this.units = Uint32Array.from({ length: size / 4 }, (_, i) => view.getUint32(4 * i, true));
    this.blob = bytes.subarray(4 + size);
  }

  normalize(text: string): string {
    let out = '';
    for (const { segment } of this.graphemes.segment(text)) {
      const whole = segment.length < 6 ? utf8(segment) : undefined;
      const found = whole && whole.length < 6 ? this.lookup(whole) : undefined;
      if (found !== undefined) out += found;
      else for (const char of segment) out += this.lookup(utf8(char)) ?? char;
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
    return lossyDecoder().decode(this.blob.subarray(start, end < 0 ? this.blob.length : end));
  }
}

function offsetOf(unit: number): number {
  return ((unit >>> 10) << ((unit & 0x200) >>> 6)) >>> 0;
}

/** Gives every Precompiled part of a built normaliser its own map: the library would apply NFKC instead. */
export function installCharsmaps(built: LibraryNormalizer | null, config: unknown): void {
  if (built === null || !isObject(config)) return;
  if (config['type'] === 'Sequence' && Array.isArray(config['normalizers'])) {
    config['normalizers'].forEach((part, i) => installCharsmaps(built.normalizers?.[i] ?? null, part));
  } else if (config['type'] === 'Precompiled') {
    const map = decodeCharsmap(config['precompiled_charsmap']);
    built.normalize = map ? (text) => map.normalize(text) : (text) => text;
  }
}

function decodeCharsmap(value: unknown): Charsmap | undefined {
  if (value === null || value === undefined || value === '') return undefined;
  if (typeof value !== 'string' || value.length > 2 * MAX_BYTES)
    throw new ConfigError('TOKENIZER_CHARSMAP', `expected base64 text as precompiled_charsmap, got ${shown(value)}`);
  return new Charsmap(Buffer.from(value, 'base64'));
}
