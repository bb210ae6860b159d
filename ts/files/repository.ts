import { realpath, stat } from 'node:fs/promises';
import { basename, dirname, isAbsolute, join, relative, resolve, sep } from 'node:path';
import { ConfigError, WeightsError } from '../errors.js';
import { errnoOf, isMissing } from './bytes.js';
import { DEFAULT_MAX_JSON_BYTES, readJsonFile, readTextFile, type JsonObject, type JsonOptions } from './json.js';
import { readSafetensorsHeader } from './safetensors.js';
import { validateTensorTable, type TensorTable } from './tensor-table.js';
import { readTorchBin } from './torch-bin.js';

const MAX_SHARDS = 4096;

interface WeightFormat {
  readonly single: string;
  readonly index: string;
  readonly extension: string;
  readonly read: (path: string) => Promise<TensorTable>;
}

/** In the order of Hugging Face's preference: safetensors, then torch; one file, then shards. */
const FORMATS: readonly WeightFormat[] = [
  {
    single: 'model.safetensors',
    index: 'model.safetensors.index.json',
    extension: '.safetensors',
    read: readSafetensorsHeader,
  },
  { single: 'pytorch_model.bin', index: 'pytorch_model.bin.index.json', extension: '.bin', read: readTorchBin },
];

/** Opens a checkpoint folder. Nothing is read yet beyond the folder's own existence. */
export async function openRepository(folder: string): Promise<Repository> {
  let root: string;
  try {
    root = await realpath(folder);
    if (!(await stat(root)).isDirectory())
      throw new ConfigError('REPOSITORY_NOT_FOLDER', `expected a folder at ${folder}, got a file`);
  } catch (error) {
    if (errnoOf(error) === undefined || error instanceof ConfigError) throw error;
    throw new ConfigError('REPOSITORY_NOT_FOLDER', `expected a folder at ${folder}, got ${errnoOf(error)}`, {
      cause: error,
    });
  }
  return new Repository(root);
}

/** A folder whose files are read by name. No name and no link leads out of it, except into the blobs of its own Hub cache. */
export class Repository {
  private readonly allowed: readonly string[];

  constructor(
    /** Absolute real path. */
    readonly folder: string,
  ) {
    this.allowed = [folder, ...cacheFolders(folder)];
  }

  /** Reads a JSON file that must hold an object. */
  async readJson(name: string, options: JsonOptions & { readonly maxBytes?: number } = {}): Promise<JsonObject> {
    return readJsonFile(await this.resolve(name), options);
  }

  /** Reads a UTF-8 text file. */
  async readText(name: string, options: { readonly maxBytes?: number } = {}): Promise<string> {
    return readTextFile(await this.resolve(name), options.maxBytes ?? DEFAULT_MAX_JSON_BYTES);
  }

  /** Whether a file of this name can be read. A link that leads out of the folder is an error, a dangling one is absent. */
  async exists(name: string): Promise<boolean> {
    try {
      return (await stat(await this.resolve(name))).isFile();
    } catch (error) {
      if (isMissing(error) || (error instanceof ConfigError && error.code === 'FILE_NOT_FOUND')) return false;
      throw error;
    }
  }

  /** The absolute real path of a file of this folder, with containment proved. */
  async resolve(name: string): Promise<string> {
    const inside = relative(this.folder, resolve(this.folder, name));
    const escapes = inside === '..' || inside.startsWith(`..${sep}`);
    if (name === '' || name.includes('\0') || isAbsolute(name) || isAbsolute(inside) || escapes) {
      throw new ConfigError(
        'REPOSITORY_PATH_ESCAPES',
        `expected a file name inside ${this.folder}, got ${JSON.stringify(name)}`,
      );
    }
    const path = join(this.folder, inside);
    let real: string;
    try {
      real = await realpath(path);
    } catch (error) {
      const code = errnoOf(error);
      if (isMissing(error))
        throw new ConfigError('FILE_NOT_FOUND', `expected a file ${name} in ${this.folder}, got nothing there`, {
          cause: error,
        });
      throw new ConfigError(
        'FILE_UNREADABLE',
        `expected a readable file ${name} in ${this.folder}, got ${code ?? String(error)}`,
        { cause: error },
      );
    }
    if (!this.allowed.some((root) => real.startsWith(root.endsWith(sep) ? root : root + sep))) {
      throw new ConfigError(
        'REPOSITORY_PATH_ESCAPES',
        `expected ${name} to lie inside ${this.folder}, got a link to ${real}`,
      );
    }
    return real;
  }

  /** The tensors of the checkpoint, from the first weight file or shard index found. */
  async loadTensorTable(): Promise<TensorTable> {
    for (const format of FORMATS) {
      if (await this.exists(format.single)) return this.checked(await format.read(await this.resolve(format.single)));
      if (await this.exists(format.index)) return this.checked(await this.loadShards(format));
    }
    const names = FORMATS.flatMap((format) => [format.single, format.index]).join(', ');
    throw new WeightsError('WEIGHTS_NOT_FOUND', `expected one of ${names} in ${this.folder}, got none`);
  }

  private checked(table: TensorTable): TensorTable {
    validateTensorTable(table);
    return { files: table.files, tensors: table.tensors };
  }

  private async loadShards(format: WeightFormat): Promise<TensorTable> {
    const index = await this.readJson(format.index, { duplicateKeys: 'error', errorClass: WeightsError });
    const placement = readWeightMap(index, format);
    const table: TensorTable = { files: [], tensors: new Map() };
    for (const shard of new Set(placement.values())) {
      if (!(await this.exists(shard)))
        throw new WeightsError(
          'INDEX_SHARD_MISSING',
          `expected shard ${shard} of ${format.index} in ${this.folder}, got no such file`,
        );
      const part = await format.read(await this.resolve(shard));
      table.files.push(...part.files);
      for (const [name, source] of part.tensors) {
        const wanted = placement.get(name);
        if (wanted === undefined)
          throw new WeightsError(
            'INDEX_TENSOR_UNLISTED',
            `expected every tensor of ${shard} in ${format.index}, got ${name}, which is not listed`,
          );
        if (wanted !== shard)
          throw new WeightsError('INDEX_TENSOR_DUPLICATE', `expected tensor ${name} in ${wanted}, got it in ${shard}`);
        table.tensors.set(name, source);
      }
      for (const [name, wanted] of placement) {
        if (wanted === shard && !part.tensors.has(name))
          throw new WeightsError('INDEX_TENSOR_MISSING', `expected tensor ${name} in ${shard}, got a shard without it`);
      }
    }
    return table;
  }
}

/** Names a checkpoint index gives to files: each must be a plain name beside the index. */
function readWeightMap(index: JsonObject, format: WeightFormat): Map<string, string> {
  const map = index['weight_map'];
  if (typeof map !== 'object' || map === null || Array.isArray(map)) {
    throw new WeightsError(
      'INDEX_WEIGHT_MAP',
      `expected an object weight_map in ${format.index}, got ${JSON.stringify(map) ?? 'nothing'}`.slice(0, 300),
    );
  }
  const placement = new Map<string, string>();
  for (const [name, shard] of Object.entries(map as JsonObject)) {
    if (typeof shard !== 'string')
      throw new WeightsError(
        'INDEX_WEIGHT_MAP',
        `expected a file name for ${name} in ${format.index}, got a ${typeof shard}`,
      );
    if (!/^[\w][\w.-]*$/.test(shard) || !shard.endsWith(format.extension)) {
      throw new WeightsError(
        'INDEX_SHARD_PATH',
        `expected a plain *${format.extension} file name for ${name} in ${format.index}, got ${JSON.stringify(shard).slice(0, 200)}`,
      );
    }
    placement.set(name, shard);
  }
  const shards = new Set(placement.values()).size;
  if (shards === 0 || shards > MAX_SHARDS)
    throw new WeightsError('INDEX_WEIGHT_MAP', `expected 1 to ${MAX_SHARDS} shards in ${format.index}, got ${shards}`);
  return placement;
}

/**
 * A snapshot in a Hub cache (`<cache>/models--org--name/snapshots/<sha>`) links to `models--org--name/blobs/`, which newer
 * versions of huggingface_hub link on to `<cache>/blobs/`. Both folders, and no others, may be reached by links.
 */
function cacheFolders(folder: string): string[] {
  for (let at = folder; dirname(at) !== at; at = dirname(at)) {
    const parent = dirname(at);
    if (basename(at) === 'snapshots' && /^models--[^/\\]+$/.test(basename(parent))) {
      return [parent, join(dirname(parent), 'blobs')];
    }
  }
  return [];
}
