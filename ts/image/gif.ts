/** A colour of a GIF palette. */
export interface GifColour {
  readonly red: number;
  readonly green: number;
  readonly blue: number;
}

const IMAGE = 0x2c;
const EXTENSION = 0x21;
const GRAPHIC_CONTROL = 0xf9;

/**
 * The colour that Pillow gives to what the first frame of a GIF leaves transparent: the palette entry of the transparent
 * index, or of index 0 where a frame without transparency does not fill the canvas. Undefined if the file is too damaged
 * to say. Layout: GIF89a specification, sections 18 (screen), 20 (image), 23 (graphic control).
 */
export function gifTransparentColour(bytes: Uint8Array): GifColour | undefined {
  const flags = bytes[10] ?? 0;
  const globalEntries = entries(flags);
  let at = 13 + globalEntries * 3;
  let transparent = 0;
  while (at < bytes.length) {
    const kind = bytes[at];
    if (kind === IMAGE) {
      const localFlags = bytes[at + 9] ?? 0;
      const local = entries(localFlags) > 0;
      return colourAt(bytes, local ? at + 10 : 13, local ? entries(localFlags) : globalEntries, transparent);
    }
    if (kind !== EXTENSION) return undefined;
    if (bytes[at + 1] === GRAPHIC_CONTROL && ((bytes[at + 3] ?? 0) & 1) === 1) transparent = bytes[at + 6] ?? 0;
    at = skipBlocks(bytes, at + 2);
  }
  return undefined;
}

/** Number of entries of the colour table that a flags byte announces. */
function entries(flags: number): number {
  return (flags & 0x80) === 0 ? 0 : 2 << (flags & 7);
}

function colourAt(bytes: Uint8Array, table: number, count: number, index: number): GifColour | undefined {
  if (index >= count || table + index * 3 + 2 >= bytes.length) return undefined;
  const [red = 0, green = 0, blue = 0] = bytes.subarray(table + index * 3, table + index * 3 + 3);
  return { red, green, blue };
}

/** The offset behind a chain of sub-blocks that ends with an empty one. */
function skipBlocks(bytes: Uint8Array, start: number): number {
  let at = start;
  while (at < bytes.length) {
    const length = bytes[at] ?? 0;
    at += length + 1;
    if (length === 0) break;
  }
  return at;
}
