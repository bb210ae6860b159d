/** Writes safetensors files, single or in shards with an index, from tensors that are read piece by piece. */
import { open, type FileHandle } from 'node:fs/promises';
import { join } from 'node:path';
import { WeightsError } from '../errors.js';
import { dtypeBytes } from './tensor-table.js';

/** A tensor to be written. `read` gives its bytes in order, little-endian, in pieces of any size. */
export interface TensorToWrite {
  readonly name: string;
  readonly dtype: string;
  readonly shape: readonly number[];
  readonly byteLength: number;
  read(): AsyncIterable<Uint8Array>;
}

/** Where a tensor's bytes have been written. */
export interface WrittenTensor {
  readonly file: string;
  readonly offset: number;
}

export interface WriteOptions {
  /** Most bytes of tensor data per file. A larger tensor gets a file of its own. */
  readonly maxShardSize: number;
  readonly signal?: AbortSignal | undefined;
  readonly onBytes?: ((written: number) => void) | undefined;
}

const SINGLE = 'model.safetensors';
const INDEX = 'model.safetensors.index.json';
/** Names that a save may have left in a folder, and that would be read instead of or beside a newer one. */
export const WEIGHT_FILES = /^model(-\d{5,}-of-\d{5,})?\.safetensors(\.index\.json)?$/;

/** Writes `model.safetensors`, or shards and their index, into an existing folder. Gives the place of each tensor by name. */
export async function writeCheckpoint(
  folder: string,
  tensors: readonly TensorToWrite[],
  options: WriteOptions,
): Promise<Map<string, WrittenTensor>> {
  const shards = splitIntoShards(tensors, options.maxShardSize);
  const written = new Map<string, WrittenTensor>();
  for (const [index, shard] of shards.entries()) {
    const file = shards.length === 1 ? SINGLE : shardName(index, shards.length);
    const offsets = await writeSafetensors(join(folder, file), shard, options);
    for (const [name, offset] of offsets) written.set(name, { file, offset });
  }
  if (shards.length > 1) await writeTextFile(join(folder, INDEX), indexText(tensors, written));
  return written;
}

/** As huggingface_hub's split_torch_state_dict_into_shards does, in the order given. */
function splitIntoShards(tensors: readonly TensorToWrite[], maxShardSize: number): TensorToWrite[][] {
  const shards: TensorToWrite[][] = [];
  let current: TensorToWrite[] = [];
  let size = 0;
  for (const tensor of tensors) {
    if (tensor.byteLength > maxShardSize) {
      shards.push([tensor]);
      continue;
    }
    if (size + tensor.byteLength > maxShardSize) {
      shards.push(current);
      [current, size] = [[], 0];
    }
    current.push(tensor);
    size += tensor.byteLength;
  }
  if (current.length > 0) shards.push(current);
  return shards.length === 0 ? [[]] : shards;
}

const shardName = (index: number, count: number): string =>
  `model-${String(index + 1).padStart(5, '0')}-of-${String(count).padStart(5, '0')}.safetensors`;

function indexText(tensors: readonly TensorToWrite[], written: ReadonlyMap<string, WrittenTensor>): string {
  const count = (shape: readonly number[]) => shape.reduce((product, side) => product * side, 1);
  const metadata = {
    total_parameters: tensors.reduce((sum, { shape }) => sum + count(shape), 0),
    total_size: tensors.reduce((sum, { byteLength }) => sum + byteLength, 0),
  };
  const names = tensors.map(({ name }) => name).sort();
  const weightMap = Object.fromEntries(names.map((name) => [name, written.get(name)!.file]));
  return `${JSON.stringify({ metadata, weight_map: weightMap }, null, 2)}\n`;
}

/** Gives each tensor's offset in the file. The bytes are on the disk, not only with the system, when this resolves. */
async function writeSafetensors(
  path: string,
  tensors: readonly TensorToWrite[],
  { signal, onBytes }: WriteOptions,
): Promise<Map<string, number>> {
  // The widest element types first: then every tensor is aligned to its own.
  const ordered = [...tensors].sort(
    (a, b) => (dtypeBytes(b.dtype) ?? 1) - (dtypeBytes(a.dtype) ?? 1) || (a.name < b.name ? -1 : 1),
  );
  const { header, offsets } = layOut(ordered);
  await withNewFile(path, async (handle) => {
    await writeAll(handle, header);
    for (const tensor of ordered) {
      let done = 0;
      for await (const piece of tensor.read()) {
        signal?.throwIfAborted();
        await writeAll(handle, piece);
        done += piece.byteLength;
        onBytes?.(piece.byteLength);
      }
      if (done !== tensor.byteLength)
        throw new WeightsError(
          'TENSOR_BYTES_MISMATCH',
          `expected ${tensor.byteLength} bytes for tensor ${tensor.name}, got ${done}`,
        );
    }
  });
  return offsets;
}

function layOut(tensors: readonly TensorToWrite[]): { header: Buffer; offsets: Map<string, number> } {
  const entries: [string, unknown][] = [['__metadata__', { format: 'pt' }]];
  const offsets = new Map<string, number>();
  let at = 0;
  for (const { name, dtype, shape, byteLength } of tensors) {
    entries.push([name, { dtype, shape, data_offsets: [at, at + byteLength] }]);
    offsets.set(name, at);
    at += byteLength;
  }
  const text = Buffer.from(JSON.stringify(Object.fromEntries(entries)));
  const length = Math.ceil(text.length / 8) * 8;
  const header = Buffer.alloc(8 + length, ' ');
  header.writeBigUInt64LE(BigInt(length));
  text.copy(header, 8);
  for (const [name, offset] of offsets) offsets.set(name, offset + header.length);
  return { header, offsets };
}

/** Writes a UTF-8 file that must not exist yet. */
export async function writeTextFile(path: string, text: string): Promise<void> {
  await withNewFile(path, (handle) => writeAll(handle, Buffer.from(text)));
}

async function withNewFile(path: string, use: (handle: FileHandle) => Promise<void>): Promise<void> {
  const handle = await open(path, 'wx');
  try {
    await use(handle);
    await handle.sync();
  } finally {
    await handle.close();
  }
}

async function writeAll(handle: FileHandle, bytes: Uint8Array): Promise<void> {
  for (let done = 0; done < bytes.byteLength;) {
    const { bytesWritten } = await handle.write(bytes, done, bytes.byteLength - done, null);
    done += bytesWritten;
  }
}
