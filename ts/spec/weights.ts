/**
 * Hands out a checkpoint's tensors by name and keeps account: every tensor is consumed or refused. Where the model is being
 * made rather than loaded, tensors that no file holds are invented, each by its role.
 */
import { WeightsError } from '../errors';
import type { TensorSource, TensorTable } from '../files/tensor-table';
import type { Distribution, NewTensor, Role } from './init';
import type { Linear, LinearPart, ModelSource, Norm, TensorInFile, TensorPlace, TensorRef } from './model-spec';

const WIDTH: Record<TensorPlace['dtype'], number> = { F32: 4, F16: 2, BF16: 2 };
/** Names in files from before 2020. */
const LEGACY: readonly [name: RegExp, legacy: string][] = [
  [/\.weight$/, '.gamma'],
  [/\.bias$/, '.beta'],
];

function isLoadable(dtype: string): dtype is TensorPlace['dtype'] {
  return Object.hasOwn(WIDTH, dtype);
}

function requireShape(name: string, got: readonly number[], expected: readonly number[]): void {
  if (got.length === expected.length && got.every((side, axis) => side === expected[axis])) return;
  const message = `tensor ${name}: expected shape [${expected.join(', ')}], got [${got.join(', ')}]`;
  throw new WeightsError('SHAPE_MISMATCH', message);
}

/** Two tensors that transformers ties: where both are equal, `copy` is left out of what is saved. */
export interface Tie {
  kept: string;
  copy: string;
}

/** How a tensor that no file holds is to be drawn. */
export type Invent = (name: string, role: Role, shape: readonly number[]) => Distribution;

export class Weights {
  readonly #table: TensorTable;
  readonly #invent: Invent | null;
  readonly #created: NewTensor[] = [];
  readonly #fileIndex: ReadonlyMap<string, number>;
  readonly #places: TensorPlace[] = [];
  readonly #refs = new Map<string, TensorRef>();
  readonly #used = new Set<string>();
  readonly #byBytes = new Map<string, TensorRef>();
  readonly #ties: Tie[] = [];

  /** Without `invent` a missing tensor is an error. */
  constructor(table: TensorTable, invent: Invent | null = null) {
    this.#table = table;
    this.#invent = invent;
    this.#fileIndex = new Map(table.files.map(({ path }, index) => [path, index]));
  }

  /** Whether a tensor that no file holds is invented. */
  get invents(): boolean {
    return this.#invent !== null;
  }

  /** Everything below a name prefix. */
  scope(prefix: string): WeightScope {
    return new WeightScope(this, prefix);
  }

  has(name: string): boolean {
    return this.#find(name) !== null;
  }

  /**
   * The tensor `name`, which must have exactly this shape, and must exist unless tensors are invented. Names of the same
   * bytes share one reference. `zeroRow`: the row of an embedding that starts at 0.
   */
  take(name: string, shape: readonly number[], role: Role = 'parameter', zeroRow: number | null = null): TensorRef {
    return this.takeFrom(name, name, shape, role, zeroRow);
  }

  /** The tensor that the files call `fileName`, under another name. */
  takeFrom(name: string, fileName: string, shape: readonly number[], role: Role, zeroRow: number | null): TensorRef {
    const known = this.#refs.get(name);
    const found = this.#find(fileName);
    if (found === null) return this.#create(name, shape, role, zeroRow);
    const place = this.#place(name, found, shape);
    if (known !== undefined) return known;
    this.#used.add(found);
    const bytes = `${place.file}:${place.offset}:${place.dtype}:${place.shape.join()}`;
    const ref = this.#byBytes.get(bytes) ?? this.#places.push(place) - 1;
    this.#byBytes.set(bytes, ref);
    this.#refs.set(name, ref);
    return ref;
  }

  takeOptional(name: string, shape: readonly number[]): TensorRef | null {
    return this.has(name) ? this.take(name, shape) : null;
  }

  /** Notes that transformers ties two tensors of the files. */
  tie(kept: string, copy: string): void {
    this.#ties.push({ kept, copy });
  }

  ties(): readonly Tie[] {
    return this.#ties;
  }

  /** Names in the files that nobody took. */
  leftovers(): string[] {
    return [...this.#table.tensors.keys()].filter((name) => !this.#used.has(name));
  }

  /** Throws if a tensor is left over which `ignorable` does not allow. */
  refuseLeftovers(ignorable: (name: string) => boolean): void {
    const names = this.leftovers().filter((name) => !ignorable(name));
    if (names.length === 0) return;
    const list = names.slice(0, 20).join(', ') + (names.length > 20 ? ', …' : '');
    throw new WeightsError(
      'UNEXPECTED_TENSOR',
      `expected only tensors the config describes, got ${names.length} more: ${list}`,
    );
  }

  /** The taken tensors in the order of their references. */
  source(): ModelSource {
    const files = this.#table.files.map((file) => ({ ...file }));
    return { files, tensors: [...this.#places], created: [...this.#created] };
  }

  #create(name: string, shape: readonly number[], role: Role, zeroRow: number | null): TensorRef {
    if (!this.#invent)
      throw new WeightsError('MISSING_TENSOR', `expected tensor ${name} of shape [${shape.join(', ')}], got none`);
    const known = this.#refs.get(name);
    if (known !== undefined) {
      requireShape(name, this.#places[known]!.shape, shape);
      return known;
    }
    const distribution = this.#invent(name, role, shape);
    const byteLength = shape.reduce((product, side) => product * side, WIDTH.F32);
    const buffer = this.#created.push({ name, shape: [...shape], distribution, zeroRow }) - 1;
    const ref = this.#places.push({ kind: 'memory', name, buffer, byteLength, dtype: 'F32', shape: [...shape] }) - 1;
    this.#refs.set(name, ref);
    return ref;
  }

  #find(name: string): string | null {
    const legacy = LEGACY.filter(([pattern]) => pattern.test(name)).map(([pattern, old]) => name.replace(pattern, old));
    return [name, ...legacy].find((candidate) => this.#table.tensors.has(candidate)) ?? null;
  }

  #place(name: string, found: string, shape: readonly number[]): TensorInFile {
    const tensor = this.#table.tensors.get(found) as TensorSource;
    requireShape(found, tensor.shape, shape);
    const { dtype, offset, byteLength } = tensor;
    if (!isLoadable(dtype)) {
      throw new WeightsError(
        'UNSUPPORTED_TENSOR_DTYPE',
        `tensor ${found}: expected dtype F32, F16 or BF16, got ${dtype}`,
      );
    }
    const bytes = shape.reduce((product, side) => product * side, WIDTH[dtype]);
    const file = this.#fileIndex.get(tensor.file);
    if (bytes !== byteLength || file === undefined) {
      const got = file === undefined ? `the unlisted file ${tensor.file}` : `${byteLength}`;
      throw new WeightsError(
        'TENSOR_BYTES_MISMATCH',
        `tensor ${found}: expected ${bytes} bytes in a listed file, got ${got}`,
      );
    }
    return { kind: 'file', name, file, offset, byteLength, dtype, shape: [...shape] };
  }
}

/** {@link Weights} below a prefix, with the modules every model is made of. A module's tensors know their role. */
export class WeightScope {
  readonly #weights: Weights;
  readonly #prefix: string;
  readonly #filePrefix: string;

  /** `filePrefix`: what the files have in place of `prefix`. */
  constructor(weights: Weights, prefix: string, filePrefix: string = prefix) {
    this.#weights = weights;
    this.#prefix = prefix;
    this.#filePrefix = filePrefix;
  }

  scope(prefix: string): WeightScope {
    return new WeightScope(this.#weights, this.#prefix + prefix, this.#filePrefix + prefix);
  }

  /** The same names, which the files hold below a further prefix: one that transformers has given up since. */
  storedBelow(prefix: string): WeightScope {
    return new WeightScope(this.#weights, this.#prefix, this.#filePrefix + prefix);
  }

  /** Whether a tensor that no file holds is invented. */
  get invents(): boolean {
    return this.#weights.invents;
  }

  has(name: string): boolean {
    return this.#weights.has(this.#filePrefix + name);
  }

  /** A tensor of no standard module, unless `role` says otherwise: the architecture's rules must say how it starts. */
  take(name: string, shape: readonly number[], role: Role = 'parameter'): TensorRef {
    return this.#takeFrom(name, name, shape, role);
  }

  /** Never invented. */
  takeOptional(name: string, shape: readonly number[]): TensorRef | null {
    return this.has(name) ? this.take(name, shape) : null;
  }

  /** A torch Embedding's table `name`; the row of its padding index starts at 0. `fileName`: where the files hold it. */
  embedding(
    name: string,
    shape: readonly [rows: number, width: number],
    paddingIndex: number | null = null,
    fileName: string = name,
  ): TensorRef {
    return this.#takeFrom(name, fileName, shape, 'embedding', rowOf(paddingIndex, shape[0]));
  }

  /** Notes that transformers ties two tensors of the files: of equal ones only `kept` is saved. */
  tie(kept: string, copy: string): void {
    this.#weights.tie(this.#prefix + kept, this.#prefix + copy);
  }

  /** A torch Linear, or a Conv2d over `kernel` = [channels, height, width] whose windows do not overlap. */
  linear(name: string, width: number, out: number, bias = true, kernel: readonly number[] = [width]): Linear {
    const weight = this.take(`${name}.weight`, [out, ...kernel], 'weight');
    return single(width, { weight, bias: bias ? this.#bias(name, out) : null, layout: 'outIn', out });
  }

  /** GPT-2's Conv1D: a linear map stored [in, out]. */
  conv1d(name: string, width: number, out: number): Linear {
    const weight = this.take(`${name}.weight`, [width, out], 'weight');
    return single(width, { weight, bias: this.#bias(name, out), layout: 'inOut', out });
  }

  norm(name: string, size: number, eps: number): Norm {
    const weight = this.take(`${name}.weight`, [size], 'normWeight');
    return { kind: 'layer', weight, bias: this.take(`${name}.bias`, [size], 'normBias'), eps };
  }

  rmsNorm(name: string, size: number, eps: number): Norm {
    return { kind: 'rms', weight: this.take(`${name}.weight`, [size], 'normWeight'), eps };
  }

  /**
   * The output head over a vocabulary, tied to the embedding or not, as transformers 5 loads it. Tied: whichever of the two
   * the file holds serves as both; both present are used as they are, equal or not. Untied: both must be present.
   * `biases` are the names of one bias: the first that the file holds is used, the others are copies of it.
   */
  tiedHead(
    tied: boolean,
    embedding: string,
    head: string,
    shape: readonly [number, number],
    paddingIndex: number | null = null,
    biases: readonly string[] = [],
  ): { table: TensorRef; head: Linear } {
    const swapped = tied && !this.has(embedding) && this.has(head);
    const table = this.embedding(embedding, shape, paddingIndex, swapped ? head : embedding);
    const shared = swapped || (tied && !this.has(head));
    const weight = shared ? table : this.take(head, shape, 'weight');
    if (tied && !shared) this.tie(embedding, head);
    const bias = this.#sharedBias(tied, biases, shape[0]);
    return { table, head: single(shape[1], { weight, bias, layout: 'outIn', out: shape[0] }) };
  }

  /** Tied, the last name is the one that transformers saves; untied, the first is the one that it computes with. */
  #sharedBias(tied: boolean, names: readonly string[], size: number): TensorRef | null {
    const kept = tied ? names.at(-1) : names[0];
    if (kept === undefined) return null;
    const present = names.filter((name) => this.has(name));
    const [first = kept] = present;
    if (present.length < 2) return this.#takeFrom(kept, first, [size], 'bias');
    const refs = new Map([...present].reverse().map((name) => [name, this.take(name, [size], 'bias')]));
    if (tied) for (const name of present) if (name !== kept) this.tie(kept, name);
    return refs.get(first)!;
  }

  #takeFrom(name: string, fileName: string, shape: readonly number[], role: Role, zeroRow: number | null = null) {
    return this.#weights.takeFrom(this.#prefix + name, this.#filePrefix + fileName, shape, role, zeroRow);
  }

  #bias(name: string, out: number): TensorRef {
    return this.take(`${name}.bias`, [out], 'bias');
  }
}

/** torch counts a negative padding index from the end; one outside the table stands for none. */
function rowOf(paddingIndex: number | null, rows: number): number | null {
  if (paddingIndex === null) return null;
  const row = paddingIndex < 0 ? rows + paddingIndex : paddingIndex;
  return row >= 0 && row < rows ? row : null;
}

function single(width: number, part: LinearPart): Linear {
  return { in: width, out: part.out, parts: [part] };
}

/** Stacks maps of one input along the output axis. */
export function stack(...maps: readonly [Linear, ...Linear[]]): Linear {
  const out = maps.reduce((sum, map) => sum + map.out, 0);
  return { in: maps[0].in, out, parts: maps.flatMap((map) => map.parts) };
}
