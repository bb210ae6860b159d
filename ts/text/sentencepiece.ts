import { ConfigError } from '../errors.js';

/** What this package needs of a SentencePiece ModelProto. */
export interface SentencePieceModel {
  readonly pieces: readonly SentencePiece[];
  readonly charsmap: Uint8Array | undefined;
  readonly modelType: number;
  readonly unkId: number;
}

/** `type`: 1 normal, 2 unknown, 3 control, 4 user defined, 5 unused, 6 byte. */
export interface SentencePiece {
  readonly piece: string;
  readonly score: number;
  readonly type: number;
}

const MAX_PIECES = 4_000_000;

interface Field {
  readonly number: number;
  readonly bytes?: Uint8Array;
  readonly value?: number;
}

function fail(what: string): never {
  throw new ConfigError('SENTENCEPIECE_INVALID', `expected a SentencePiece model, got ${what}`);
}

/** Reads a *.model file. Every length is checked against the bytes that are there. */
export function parseSentencePiece(bytes: Uint8Array): SentencePieceModel {
  const pieces: SentencePiece[] = [];
  let charsmap: Uint8Array | undefined;
  const trainer = { modelType: 1, unkId: 0 };
  for (const field of fields(bytes)) {
    if (field.number === 1) {
      if (pieces.length >= MAX_PIECES) fail(`more than ${MAX_PIECES} pieces`);
      pieces.push(parsePiece(field));
    } else if (field.number === 2) parseTrainer(field, trainer);
    else if (field.number === 3) charsmap = parseNormalizer(field) ?? charsmap;
  }
  if (pieces.length === 0) fail('no pieces');
  return { pieces, charsmap, modelType: trainer.modelType, unkId: trainer.unkId };
}

function parsePiece(field: Field): SentencePiece {
  let piece = '';
  let score = 0;
  let type = 1;
  for (const inner of fields(message(field))) {
    if (inner.number === 1) piece = utf8(message(inner));
    else if (inner.number === 2) score = float(message(inner));
    else if (inner.number === 3) type = inner.value ?? fail('a piece type that is not a number');
  }
  return { piece, score, type };
}

function parseTrainer(field: Field, into: { modelType: number; unkId: number }): void {
  for (const inner of fields(message(field))) {
    if (inner.number === 3 && inner.value !== undefined) into.modelType = inner.value;
    if (inner.number === 40 && inner.value !== undefined) into.unkId = inner.value;
  }
}

function parseNormalizer(field: Field): Uint8Array | undefined {
  for (const inner of fields(message(field)))
    if (inner.number === 2 && inner.bytes !== undefined && inner.bytes.length > 0) return inner.bytes;
  return undefined;
}

/** The fields of one protobuf message; fixed-width values come as bytes. */
function* fields(bytes: Uint8Array): Generator<Field> {
  let at = 0;
  const varint = (): number => {
    let value = 0;
    for (let shift = 0; shift < 10; shift++) {
      const byte = bytes[at++] ?? fail('a truncated number');
      if (shift < 7) value += (byte & 0x7f) * 2 ** (7 * shift);
      if (byte < 0x80) return value;
    }
    return fail('a number of more than ten bytes');
  };
  const take = (length: number): Uint8Array => {
    if (length > bytes.length - at) fail(`a field of ${length} bytes where ${bytes.length - at} are left`);
    at += length;
    return bytes.subarray(at - length, at);
  };
  while (at < bytes.length) {
    const tag = varint();
    const number = Math.floor(tag / 8);
    switch (tag % 8) {
      case 0:
        yield { number, value: varint() };
        break;
      case 1:
        yield { number, bytes: take(8) };
        break;
      case 2:
        yield { number, bytes: take(varint()) };
        break;
      case 5:
        yield { number, bytes: take(4) };
        break;
      default:
        fail(`wire type ${tag % 8}`);
    }
  }
}

function message(field: Field): Uint8Array {
  return field.bytes ?? fail(`a number in field ${field.number}, where a message belongs`);
}

function float(bytes: Uint8Array): number {
  if (bytes.length !== 4) fail(`a score of ${bytes.length} bytes`);
  const value = new DataView(bytes.buffer, bytes.byteOffset, 4).getFloat32(0, true);
  return Number.isFinite(value) ? value : fail(`a score of ${value}`);
}

function utf8(bytes: Uint8Array): string {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch (error) {
    throw new ConfigError('SENTENCEPIECE_INVALID', 'expected UTF-8 in a SentencePiece piece, got other bytes', {
      cause: error,
    });
  }
}
