/** Where each tensor of a model comes from, and writing them all from there: never from the packed weights. */
import { open, realpath, stat, type FileHandle } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import type { BuiltModel } from '../arch/vision-encoder-decoder';
import { WeightsError } from '../errors';
import { errnoOf, readExactly } from '../files/bytes';
import { replaceInFolder } from '../files/replace-folder';
import {
  WEIGHT_FILES,
  writeCheckpoint,
  writeTextFile,
  type TensorToWrite,
  type WriteOptions,
  type WrittenTensor,
} from '../files/safetensors-writer';
import type { Tie } from '../spec/weights';

const PIECE = 4 << 20;

type Origin = { kind: 'file'; path: string; offset: number } | { kind: 'memory'; buffer: number };

interface StateTensor {
  readonly name: string;
  readonly dtype: string;
  readonly shape: readonly number[];
  readonly byteLength: number;
  readonly origin: Origin;
}

interface SourceFile {
  readonly size: number;
  readonly mtimeMs: number;
}

/** A piece of a tensor in memory, by elements. */
export type ReadOwned = (buffer: number, first: number, count: number) => Float32Array;

export interface SaveRequest extends WriteOptions {
  /** Other files, by name. */
  readonly texts: Readonly<Record<string, string>>;
  readonly readOwned: ReadOwned;
  readonly onTotal?: (bytes: number) => void;
}

export class StateDict {
  #tensors: StateTensor[];
  #files: Map<string, SourceFile>;
  readonly #ties: readonly Tie[];
  #last: Promise<unknown> = Promise.resolve();

  constructor({ source, unused, ties }: BuiltModel) {
    this.#files = new Map(source.files.map(({ path, size, mtimeMs }) => [path, { size, mtimeMs }]));
    this.#ties = ties;
    const used = source.tensors.map(({ name, dtype, shape, byteLength, ...place }): StateTensor => {
      const origin: Origin =
        place.kind === 'memory'
          ? { kind: 'memory', buffer: place.buffer }
          : { kind: 'file', path: source.files[place.file]!.path, offset: place.offset };
      return { name, dtype, shape, byteLength, origin };
    });
    const rest = [...unused].map(([name, { file, ...tensor }]): StateTensor => {
      return { ...tensor, name, origin: { kind: 'file', path: file, offset: tensor.offset } };
    });
    this.#tensors = [...used, ...withoutSharedBytes(rest, used)];
  }

  /** Writes all tensors and texts into a folder, all or nothing. Saves of one model run one after the other. */
  save(folder: string, request: SaveRequest): Promise<void> {
    const run = this.#last.then(() => this.#save(folder, request));
    this.#last = run.catch(() => undefined);
    return run;
  }

  async #save(folder: string, request: SaveRequest): Promise<void> {
    const reader = new OriginReader(this.#files, request.readOwned);
    let written = new Map<string, WrittenTensor>();
    try {
      await replaceInFolder(folder, {
        obsolete: WEIGHT_FILES,
        write: async (aside) => {
          request.signal?.throwIfAborted();
          const tensors = await this.#toWrite(reader);
          request.onTotal?.(tensors.reduce((sum, { byteLength }) => sum + byteLength, 0));
          written = await writeCheckpoint(aside, tensors, request);
          for (const [name, text] of Object.entries(request.texts)) await writeTextFile(join(aside, name), text);
          await reader.checkUnchanged();
          request.signal?.throwIfAborted();
        },
      });
    } finally {
      await reader.close();
    }
    await this.#follow(await realpath(folder), written);
  }

  /** Without the copies of tied tensors. */
  async #toWrite(reader: OriginReader): Promise<TensorToWrite[]> {
    const byName = new Map(this.#tensors.map((tensor) => [tensor.name, tensor]));
    for (const { kept, copy } of this.#ties) {
      const [a, b] = [byName.get(kept), byName.get(copy)];
      if (a && b && (await reader.equal(a, b))) byName.delete(copy);
    }
    return [...byName.values()].map((tensor) => ({ ...tensor, read: () => reader.read(tensor) }));
  }

  /** If files that tensors come from have just been replaced, the new ones are their origin from now on. */
  async #follow(folder: string, written: ReadonlyMap<string, WrittenTensor>): Promise<void> {
    const names = new Set([...written.values()].map(({ file }) => file));
    const gone = [...this.#files.keys()].filter(
      (path) => dirname(path) === folder && (names.has(basename(path)) || WEIGHT_FILES.test(basename(path))),
    );
    if (gone.length === 0) return;
    for (const path of gone) this.#files.delete(path);
    for (const name of names) {
      const { size, mtimeMs } = await stat(join(folder, name));
      this.#files.set(join(folder, name), { size, mtimeMs });
    }
    const tied = new Map(this.#ties.map(({ kept, copy }) => [copy, kept]));
    this.#tensors = this.#tensors.map((tensor) => {
      if (tensor.origin.kind === 'memory' || !gone.includes(tensor.origin.path)) return tensor;
      const place = written.get(tensor.name) ?? written.get(tied.get(tensor.name)!)!;
      return { ...tensor, origin: { kind: 'file', path: join(folder, place.file), offset: place.offset } };
    });
  }
}

/** Two names of the same bytes are saved once, as transformers does with tensors that share memory. */
function withoutSharedBytes(rest: readonly StateTensor[], used: readonly StateTensor[]): StateTensor[] {
  const key = ({ origin, byteLength }: StateTensor) =>
    origin.kind === 'file' && byteLength > 0 ? `${origin.path}:${origin.offset}:${byteLength}` : null;
  const taken = new Set(used.map(key));
  return rest.filter((tensor) => {
    const bytes = key(tensor);
    if (bytes === null) return true;
    const fresh = !taken.has(bytes);
    taken.add(bytes);
    return fresh;
  });
}

/** Reads tensors from where they came from, and makes sure that the files are still those that were loaded. */
class OriginReader {
  readonly #handles = new Map<string, FileHandle>();

  constructor(
    private readonly files: ReadonlyMap<string, SourceFile>,
    private readonly readOwned: ReadOwned,
  ) {}

  async *read({ origin, byteLength }: StateTensor): AsyncGenerator<Uint8Array> {
    if (origin.kind === 'memory') {
      for (let at = 0; at < byteLength; at += PIECE) {
        const values = this.readOwned(origin.buffer, at / 4, Math.min(PIECE, byteLength - at) / 4);
        yield new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
      }
      return;
    }
    const { path, offset } = origin;
    const handle = await this.#open(path);
    const { size, mtimeMs } = this.files.get(path)!;
    for (let at = 0; at < byteLength; at += PIECE) {
      const length = Math.min(PIECE, byteLength - at);
      yield await readExactly({ handle, path, size, mtimeMs }, offset + at, length, WeightsError);
    }
  }

  async equal(a: StateTensor, b: StateTensor): Promise<boolean> {
    if (a.dtype !== b.dtype || a.byteLength !== b.byteLength) return false;
    const others = this.read(b);
    for await (const piece of this.read(a)) {
      const other = await others.next();
      if (other.done === true || Buffer.compare(piece, other.value) !== 0) return false;
    }
    return true;
  }

  async checkUnchanged(): Promise<void> {
    for (const [path, handle] of this.#handles) this.#requireSame(path, await handle.stat());
  }

  async close(): Promise<void> {
    for (const handle of this.#handles.values()) await handle.close();
    this.#handles.clear();
  }

  async #open(path: string): Promise<FileHandle> {
    const known = this.#handles.get(path);
    if (known) return known;
    let handle: FileHandle;
    try {
      handle = await open(path, 'r');
    } catch (error) {
      const got = errnoOf(error) ?? String(error);
      throw new WeightsError('WEIGHTS_CHANGED', `expected the file ${path} that was loaded, got ${got}`, {
        cause: error,
      });
    }
    this.#handles.set(path, handle);
    this.#requireSame(path, await handle.stat());
    return handle;
  }

  #requireSame(path: string, { size, mtimeMs }: SourceFile): void {
    const loaded = this.files.get(path)!;
    if (size === loaded.size && mtimeMs === loaded.mtimeMs) return;
    const show = (file: SourceFile) => `${file.size} bytes of ${new Date(file.mtimeMs).toISOString()}`;
    const message = `expected ${path} as it was loaded (${show(loaded)}), got ${show({ size, mtimeMs })}`;
    throw new WeightsError('WEIGHTS_CHANGED', message);
  }
}
