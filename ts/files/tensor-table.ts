import { WeightsError } from '../errors.js';

/** Element types that weights may have. Other types are kept in the table under their own name, so that buffers can be recognised and ignored. */
export type FileDType = 'F32' | 'F16' | 'BF16';

/** Where the bytes of one tensor lie: row-major, little-endian, contiguous. */
export interface TensorSource {
  /** Absolute real path. */
  file: string;
  offset: number;
  byteLength: number;
  /** Name of the element type as safetensors spells it: F32, BF16, I64, … */
  dtype: string;
  shape: number[];
}

/** All tensors of a checkpoint, and the files they come from as they were when read (a later change is an error for the reader of the data). */
export interface TensorTable {
  files: { path: string; size: number; mtimeMs: number }[];
  tensors: Map<string, TensorSource>;
}

/** Bytes per element of every whole-byte type safetensors knows (`Dtype` in safetensors/src/tensor.rs). */
const DTYPE_BYTES: ReadonlyMap<string, number> = new Map([
  ['BOOL', 1],
  ['U8', 1],
  ['I8', 1],
  ['F8_E5M2', 1],
  ['F8_E4M3', 1],
  ['F8_E8M0', 1],
  ['I16', 2],
  ['U16', 2],
  ['F16', 2],
  ['BF16', 2],
  ['I32', 4],
  ['U32', 4],
  ['F32', 4],
  ['F64', 8],
  ['I64', 8],
  ['U64', 8],
  ['C64', 8],
]);

/** Most dimensions a tensor may have; real checkpoints stay below 6. */
export const MAX_RANK = 16;

/** Bytes per element, or undefined for a type nobody here knows. */
export function dtypeBytes(dtype: string): number | undefined {
  return DTYPE_BYTES.get(dtype);
}

export function isFileDType(dtype: string): dtype is FileDType {
  return dtype === 'F32' || dtype === 'F16' || dtype === 'BF16';
}

/** Product of the dimensions; every partial product must be a safe integer. Undefined when one is not. */
export function elementCount(shape: readonly number[]): number | undefined {
  let count = 1;
  for (const size of shape) {
    if (!Number.isSafeInteger(size) || size < 0) return undefined;
    count *= size;
    if (!Number.isSafeInteger(count)) return undefined;
  }
  return count;
}

/** Checks what every table promises, whichever format it came from: each tensor lies inside a listed file and its bytes fit its shape. */
export function validateTensorTable(table: TensorTable): void {
  const sizes = new Map(table.files.map((file) => [file.path, file.size]));
  for (const [name, source] of table.tensors) {
    const size = sizes.get(source.file);
    if (size === undefined)
      throw new WeightsError('TENSOR_FILE_UNKNOWN', `expected tensor ${name} in a listed file, got ${source.file}`);
    const bytes = (elementCount(source.shape) ?? NaN) * (dtypeBytes(source.dtype) ?? NaN);
    if (bytes !== source.byteLength) {
      throw new WeightsError(
        'TENSOR_BYTES_MISMATCH',
        `expected ${bytes} bytes for tensor ${name} (${source.dtype} [${source.shape.join(', ')}]), got ${source.byteLength}`,
      );
    }
    if (!Number.isSafeInteger(source.offset) || source.offset < 0 || !(source.offset + bytes <= size)) {
      throw new WeightsError(
        'TENSOR_OUT_OF_FILE',
        `expected tensor ${name} inside the ${size} bytes of ${source.file}, got ${bytes} bytes at offset ${source.offset}`,
      );
    }
  }
}
