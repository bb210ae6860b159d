import { WeightsError } from '../errors.js';
import { decodeUtf8, readExactly, withFile, type OpenFile } from './bytes.js';
import { parseJsonObject, type JsonObject } from './json.js';
import { dtypeBytes, elementCount, MAX_RANK, type TensorSource, type TensorTable } from './tensor-table.js';

/** The reference implementation's cap (`MAX_HEADER_SIZE` in safetensors/src/tensor.rs). */
const MAX_HEADER_BYTES = 100_000_000;
const PREFIX_BYTES = 8;

export interface SafetensorsHeader extends TensorTable {
  /** The `__metadata__` member, usually `{ format: 'pt' }`; empty when absent. */
  metadata: Map<string, string>;
}

/**
 * Reads the header of a safetensors file and proves the same things as `SafeTensors::read_metadata` and
 * `Metadata::validate` of the reference implementation: the data ranges follow each other without hole or overlap, cover the
 * rest of the file exactly, and equal shape × element size. Stricter in three points: duplicate keys, unknown members and
 * non-string metadata are refused.
 */
export async function readSafetensorsHeader(path: string): Promise<SafetensorsHeader> {
  return withFile(path, WeightsError, async (file) => {
    const { header, dataStart } = await readHeaderJson(file);
    const metadata = readMetadata(header['__metadata__'], file.path);
    const tensors = new Map<string, TensorSource>();
    for (const name of Object.keys(header)) {
      if (name !== '__metadata__') tensors.set(name, readEntry(name, header[name], file, dataStart));
    }
    checkCoverage(tensors, file, dataStart);
    return { files: [{ path: file.path, size: file.size, mtimeMs: file.mtimeMs }], tensors, metadata };
  });
}

async function readHeaderJson(file: OpenFile): Promise<{ header: JsonObject; dataStart: number }> {
  if (file.size < PREFIX_BYTES) {
    throw new WeightsError(
      'SAFETENSORS_HEADER_TOO_SMALL',
      `expected at least ${PREFIX_BYTES} bytes in ${file.path}, got ${file.size}`,
    );
  }
  const declared = (await readExactly(file, 0, PREFIX_BYTES, WeightsError)).readBigUInt64LE(0);
  if (declared > BigInt(MAX_HEADER_BYTES)) {
    throw new WeightsError(
      'SAFETENSORS_HEADER_TOO_LARGE',
      `expected a header of at most ${MAX_HEADER_BYTES} bytes in ${file.path}, got ${declared}`,
    );
  }
  const length = Number(declared);
  if (PREFIX_BYTES + length > file.size) {
    throw new WeightsError(
      'SAFETENSORS_HEADER_TRUNCATED',
      `expected a header of ${length} bytes in ${file.path}, got a file with ${file.size - PREFIX_BYTES} bytes after the length`,
    );
  }
  const bytes = await readExactly(file, PREFIX_BYTES, length, WeightsError);
  if (bytes[0] !== 0x7b) {
    const got = length === 0 ? 'an empty header' : `byte ${bytes[0]}`;
    throw new WeightsError(
      'SAFETENSORS_HEADER_START',
      `expected the header of ${file.path} to start with {, got ${got}`,
    );
  }
  const text = decodeUtf8(bytes, `the header of ${file.path}`, WeightsError, 'SAFETENSORS_HEADER_NOT_UTF8', true);
  const header = parseJsonObject(text, `the header of ${file.path}`, {
    duplicateKeys: 'error',
    integersOnly: true,
    errorClass: WeightsError,
  });
  return { header, dataStart: PREFIX_BYTES + length };
}

function readMetadata(value: unknown, path: string): Map<string, string> {
  const metadata = new Map<string, string>();
  if (value === undefined) return metadata;
  if (!isObject(value))
    throw new WeightsError(
      'SAFETENSORS_METADATA',
      `expected __metadata__ of ${path} to be an object, got ${describe(value)}`,
    );
  for (const [key, text] of Object.entries(value)) {
    if (typeof text !== 'string') {
      throw new WeightsError(
        'SAFETENSORS_METADATA',
        `expected __metadata__.${key} of ${path} to be a string, got ${describe(text)}`,
      );
    }
    metadata.set(key, text);
  }
  return metadata;
}

function readEntry(name: string, value: unknown, file: OpenFile, dataStart: number): TensorSource {
  const where = `tensor ${JSON.stringify(name)} of ${file.path}`;
  if (!isObject(value))
    throw new WeightsError('SAFETENSORS_ENTRY', `expected ${where} to be an object, got ${describe(value)}`);
  for (const key of Object.keys(value)) {
    if (key !== 'dtype' && key !== 'shape' && key !== 'data_offsets') {
      throw new WeightsError(
        'SAFETENSORS_ENTRY',
        `expected only dtype, shape and data_offsets in ${where}, got ${JSON.stringify(key)}`,
      );
    }
  }
  const dtype = value['dtype'];
  const size = typeof dtype === 'string' ? dtypeBytes(dtype) : undefined;
  if (typeof dtype !== 'string' || size === undefined) {
    throw new WeightsError(
      'SAFETENSORS_DTYPE',
      `expected a known dtype (F32, F16, BF16, …) for ${where}, got ${describe(dtype)}`,
    );
  }
  const shape = readShape(value['shape'], where);
  const [begin, end] = readOffsets(value['data_offsets'], where);
  const bytes = (elementCount(shape) ?? NaN) * size;
  if (!Number.isSafeInteger(bytes)) {
    throw new WeightsError(
      'SAFETENSORS_SHAPE',
      `expected a size below 2^53 bytes for ${where}, got shape [${shape.join(', ')}]`,
    );
  }
  if (end - begin !== bytes) {
    throw new WeightsError(
      'SAFETENSORS_BYTES_MISMATCH',
      `expected ${bytes} bytes for ${where} (${dtype} [${shape.join(', ')}]), got ${end - begin}`,
    );
  }
  return { file: file.path, offset: dataStart + begin, byteLength: bytes, dtype, shape };
}

function readShape(value: unknown, where: string): number[] {
  if (
    !Array.isArray(value) ||
    value.length > MAX_RANK ||
    !value.every((size) => Number.isSafeInteger(size) && (size as number) >= 0)
  ) {
    throw new WeightsError(
      'SAFETENSORS_SHAPE',
      `expected at most ${MAX_RANK} whole, non-negative sizes as shape of ${where}, got ${describe(value)}`,
    );
  }
  return value.map((size) => (size as number) + 0); // -0 + 0 is 0
}

function readOffsets(value: unknown, where: string): [number, number] {
  const valid =
    Array.isArray(value) && value.length === 2 && value.every((at) => Number.isSafeInteger(at) && (at as number) >= 0);
  if (!valid || (value[0] as number) > (value[1] as number)) {
    throw new WeightsError(
      'SAFETENSORS_OFFSETS',
      `expected data_offsets [begin, end] with 0 <= begin <= end for ${where}, got ${describe(value)}`,
    );
  }
  return [value[0] as number, value[1] as number];
}

/** In order of their offsets the tensors must follow each other exactly and end with the file. */
function checkCoverage(tensors: Map<string, TensorSource>, file: OpenFile, dataStart: number): void {
  const byOffset = [...tensors].sort(([, a], [, b]) => a.offset - b.offset || a.byteLength - b.byteLength);
  let end = dataStart;
  for (const [name, source] of byOffset) {
    if (source.offset !== end) {
      const [code, kind] = source.offset < end ? ['SAFETENSORS_OVERLAP', 'an overlap'] : ['SAFETENSORS_HOLE', 'a hole'];
      throw new WeightsError(
        code,
        `expected tensor ${JSON.stringify(name)} of ${file.path} at byte ${end - dataStart} of the data, got ${source.offset - dataStart}: ${kind}`,
      );
    }
    end += source.byteLength;
  }
  if (end === file.size) return;
  const code = end > file.size ? 'SAFETENSORS_DATA_TRUNCATED' : 'SAFETENSORS_TRAILING_BYTES';
  throw new WeightsError(code, `expected ${file.path} to end after byte ${end}, got ${file.size} bytes`);
}

function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** A value as it may stand in a message: short, whatever the file holds. */
function describe(value: unknown): string {
  const text = JSON.stringify(value) ?? 'nothing';
  return text.length > 120 ? `${text.slice(0, 120)}…` : text;
}
