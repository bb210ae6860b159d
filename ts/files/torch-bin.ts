import { UnsupportedError, WeightsError } from '../errors.js';
import { readExactly, withFile, type OpenFile } from './bytes.js';
import { PickleDict, PickleTensor } from './pickle-values.js';
import { unpickle } from './pickle.js';
import { dtypeBytes, elementCount, MAX_RANK, type TensorSource, type TensorTable } from './tensor-table.js';
import { readZipEntries, type ZipEntry } from './zip.js';

/** `\x80\x02\x8a\x0a` + torch's MAGIC_NUMBER: how a file written before torch 1.6 begins (torch/serialization.py, `_legacy_save`). */
const LEGACY_START = Buffer.from('80028a0a6cfc9c46f920', 'hex');
const MAX_PICKLE_BYTES = 64 * 1024 * 1024;

/**
 * Reads the table of tensors of a `pytorch_model.bin` (torch ≥ 1.6, a zip holding `<name>/data.pkl` and `<name>/data/<key>`).
 * The pickle is interpreted by a machine that can only build records (see pickle.ts). The offsets point into the file itself.
 */
export async function readTorchBin(path: string): Promise<TensorTable> {
  return withFile(path, WeightsError, async (file) => {
    await refuseLegacy(file);
    const entries = await readZipEntries(file);
    const prefix = findPrefix(entries, file.path);
    await checkByteOrder(file, entries.get(`${prefix}byteorder`));
    const root = unpickle(await readPickle(file, entries.get(`${prefix}data.pkl`) as ZipEntry), file.path);
    if (!(root instanceof PickleDict))
      throw new WeightsError('TORCH_NOT_A_STATE_DICT', `expected a state dict in ${file.path}, got another object`);
    const tensors = new Map<string, TensorSource>();
    for (const [name, value] of root.items) {
      if (typeof name !== 'string' || !(value instanceof PickleTensor)) {
        throw new WeightsError(
          'TORCH_NOT_A_STATE_DICT',
          `expected a flat state dict (name → tensor) in ${file.path}, got ${JSON.stringify(name)} → something else; save model.state_dict() alone`,
        );
      }
      tensors.set(name, toSource(name, value, prefix, entries, file));
    }
    return { files: [{ path: file.path, size: file.size, mtimeMs: file.mtimeMs }], tensors };
  });
}

async function refuseLegacy(file: OpenFile): Promise<void> {
  const start = await readExactly(file, 0, Math.min(file.size, LEGACY_START.length), WeightsError);
  if (start.equals(LEGACY_START)) {
    throw new UnsupportedError(
      'TORCH_LEGACY_FORMAT',
      `expected the zip format of torch 1.6 or later in ${file.path}, got the older pickle stream; load and save it again with torch, or convert it to safetensors`,
    );
  }
  if (start.length < 4 || start.readUInt32LE(0) !== 0x04034b50) {
    throw new WeightsError(
      'TORCH_NOT_A_ZIP',
      `expected ${file.path} to start as a zip file, got bytes ${start.subarray(0, 4).toString('hex') || '(none)'}`,
    );
  }
}

/** The archive's name, with its slash: torch takes it from the path it was first saved to. */
function findPrefix(entries: Map<string, ZipEntry>, path: string): string {
  const found = [...entries.keys()].filter((name) => /^[^/]+\/data\.pkl$/.test(name));
  const [only] = found;
  if (only === undefined || found.length > 1)
    throw new WeightsError('TORCH_NO_PICKLE', `expected one <name>/data.pkl in ${path}, got ${found.length}`);
  const prefix = only.slice(0, -'data.pkl'.length);
  if (entries.has(`${prefix}constants.pkl`)) {
    throw new UnsupportedError('TORCH_SCRIPT', `expected a state dict in ${path}, got a TorchScript program`);
  }
  return prefix;
}

async function checkByteOrder(file: OpenFile, entry: ZipEntry | undefined): Promise<void> {
  if (!entry) return; // written since torch 2.1; before that only little-endian machines wrote checkpoints
  const order = (await readExactly(file, entry.dataOffset, Math.min(entry.size, 16), WeightsError)).toString('latin1');
  if (order === 'big')
    throw new UnsupportedError('TORCH_BIG_ENDIAN', `expected byte order little in ${file.path}, got big`);
  if (order !== 'little')
    throw new WeightsError(
      'TORCH_BYTE_ORDER',
      `expected byte order little in ${file.path}, got ${JSON.stringify(order)}`,
    );
}

async function readPickle(file: OpenFile, entry: ZipEntry): Promise<Buffer> {
  if (entry.size > MAX_PICKLE_BYTES) {
    throw new WeightsError(
      'PICKLE_TOO_LARGE',
      `expected a pickle of at most ${MAX_PICKLE_BYTES} bytes in ${file.path}, got ${entry.size}`,
    );
  }
  return readExactly(file, entry.dataOffset, entry.size, WeightsError);
}

/** Tensors may share a storage (tied weights); distinct storages are distinct zip entries, which do not overlap. */
function toSource(
  name: string,
  tensor: PickleTensor,
  prefix: string,
  entries: Map<string, ZipEntry>,
  file: OpenFile,
): TensorSource {
  const where = `tensor ${JSON.stringify(name)} of ${file.path}`;
  const { storage, shape } = tensor;
  const width = dtypeBytes(storage.dtype) ?? NaN;
  const entry = entries.get(`${prefix}data/${storage.key}`);
  if (!entry)
    throw new WeightsError(
      'TORCH_STORAGE_MISSING',
      `expected storage data/${storage.key.slice(0, 80)} for ${where}, got no such entry`,
    );
  if (storage.count * width !== entry.size) {
    throw new WeightsError(
      'TORCH_STORAGE_SIZE',
      `expected ${storage.count * width} bytes in storage ${entry.name} for ${where}, got ${entry.size}`,
    );
  }
  const count = shape.length > MAX_RANK ? undefined : elementCount(shape);
  if (count === undefined)
    throw new WeightsError(
      'TORCH_SHAPE',
      `expected at most ${MAX_RANK} sizes with a product below 2^53 for ${where}, got [${shape.join(', ')}]`,
    );
  if (count > 0) requireContiguous(tensor, where);
  if (!(tensor.offset + count <= storage.count)) {
    throw new WeightsError(
      'TORCH_OUT_OF_STORAGE',
      `expected ${where} inside the ${storage.count} elements of its storage, got ${count} at ${tensor.offset}`,
    );
  }
  return {
    file: file.path,
    offset: entry.dataOffset + tensor.offset * width,
    byteLength: count * width,
    dtype: storage.dtype,
    shape: [...shape],
  };
}

/** torch's definition: the stride of a dimension of size 1 does not matter. */
function requireContiguous(tensor: PickleTensor, where: string): void {
  let expected = 1;
  for (let i = tensor.shape.length - 1; i >= 0; i--) {
    const size = tensor.shape[i] as number;
    if (size !== 1 && tensor.stride[i] !== expected) {
      throw new UnsupportedError(
        'TORCH_NON_CONTIGUOUS',
        `expected a contiguous tensor for ${where}, got shape [${tensor.shape.join(', ')}] with strides [${tensor.stride.join(', ')}]`,
      );
    }
    expected *= size;
  }
}
