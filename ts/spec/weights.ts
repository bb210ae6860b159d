/** Hands out a checkpoint's tensors by name and keeps account: every tensor is consumed or refused. */
import { WeightsError } from '../errors';
import type { TensorSource, TensorTable } from '../files/tensor-table';
import type { Linear, LinearPart, ModelSource, Norm, TensorPlace, TensorRef } from './model-spec';

const WIDTH: Record<TensorPlace['dtype'], number> = { F32: 4, F16: 2, BF16: 2 };
/** Names in files from before 2020. */
const LEGACY: readonly [name: RegExp, legacy: string][] = [
  [/\.weight$/, '.gamma'],
  [/\.bias$/, '.beta'],
];

function isLoadable(dtype: string): dtype is TensorPlace['dtype'] {
  return Object.hasOwn(WIDTH, dtype);
}

export class Weights {
  readonly #table: TensorTable;
  readonly #fileIndex: ReadonlyMap<string, number>;
  readonly #places: TensorPlace[] = [];
  readonly #refs = new Map<string, TensorRef>();
  readonly #used = new Set<string>();
  readonly #byBytes = new Map<string, TensorRef>();

  constructor(table: TensorTable) {
    this.#table = table;
    this.#fileIndex = new Map(table.files.map(({ path }, index) => [path, index]));
  }

  /** Everything below a name prefix. */
  scope(prefix: string): WeightScope {
    return new WeightScope(this, prefix);
  }

  has(name: string): boolean {
    return this.#find(name) !== null;
  }

  /** The tensor `name`, which must exist and have exactly this shape. Names of the same bytes share one reference. */
  take(name: string, shape: readonly number[]): TensorRef {
    const known = this.#refs.get(name);
    const found = this.#find(name);
    if (found === null)
      throw new WeightsError('MISSING_TENSOR', `expected tensor ${name} of shape [${shape.join(', ')}], got none`);
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
    return { files: this.#table.files.map((file) => ({ ...file })), tensors: [...this.#places] };
  }

  #find(name: string): string | null {
    const legacy = LEGACY.filter(([pattern]) => pattern.test(name)).map(([pattern, old]) => name.replace(pattern, old));
    return [name, ...legacy].find((candidate) => this.#table.tensors.has(candidate)) ?? null;
  }

  #place(name: string, found: string, shape: readonly number[]): TensorPlace {
    const tensor = this.#table.tensors.get(found) as TensorSource;
    if (tensor.shape.length !== shape.length || tensor.shape.some((side, axis) => side !== shape[axis])) {
      const [expected, got] = [shape.join(', '), tensor.shape.join(', ')];
      throw new WeightsError('SHAPE_MISMATCH', `tensor ${found}: expected shape [${expected}], got [${got}]`);
    }
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
    return { name, file, offset, byteLength, dtype, shape: [...shape] };
  }
}

/** {@link Weights} below a prefix, with the two modules every model is made of. */
export class WeightScope {
  readonly #weights: Weights;
  readonly #prefix: string;

  constructor(weights: Weights, prefix: string) {
    this.#weights = weights;
    this.#prefix = prefix;
  }

  scope(prefix: string): WeightScope {
    return new WeightScope(this.#weights, this.#prefix + prefix);
  }

  has(name: string): boolean {
    return this.#weights.has(this.#prefix + name);
  }

  take(name: string, shape: readonly number[]): TensorRef {
    return this.#weights.take(this.#prefix + name, shape);
  }

  takeOptional(name: string, shape: readonly number[]): TensorRef | null {
    return this.#weights.takeOptional(this.#prefix + name, shape);
  }

  /** A torch Linear, or a Conv2d over `kernel` = [channels, height, width] whose windows do not overlap. */
  linear(name: string, width: number, out: number, bias = true, kernel: readonly number[] = [width]): Linear {
    const weight = this.take(`${name}.weight`, [out, ...kernel]);
    return single(width, { weight, bias: bias ? this.take(`${name}.bias`, [out]) : null, layout: 'outIn', out });
  }

  /** GPT-2's Conv1D: a linear map stored [in, out]. */
  conv1d(name: string, width: number, out: number): Linear {
    const weight = this.take(`${name}.weight`, [width, out]);
    return single(width, { weight, bias: this.take(`${name}.bias`, [out]), layout: 'inOut', out });
  }

  norm(name: string, size: number, eps: number): Norm {
    return { weight: this.take(`${name}.weight`, [size]), bias: this.take(`${name}.bias`, [size]), eps };
  }

  /**
   * The output head over a vocabulary, tied to the embedding or not, as transformers 5 loads it. Tied: whichever of the two
   * the file holds serves as both; both present are used as they are, equal or not. Untied: both must be present.
   */
  tiedHead(
    tied: boolean,
    embedding: string,
    head: string,
    shape: readonly [number, number],
  ): { table: TensorRef; head: Linear } {
    const from = tied && !this.has(embedding) && this.has(head) ? head : embedding;
    const table = this.take(from, shape);
    const weight = tied && !this.has(head) ? table : this.take(head, shape);
    return { table, head: single(shape[1], { weight, bias: null, layout: 'outIn', out: shape[0] }) };
  }
}

function single(width: number, part: LinearPart): Linear {
  return { in: width, out: part.out, parts: [part] };
}

/** Stacks maps of one input along the output axis. */
export function stack(...maps: readonly [Linear, ...Linear[]]): Linear {
  const out = maps.reduce((sum, map) => sum + map.out, 0);
  return { in: maps[0].in, out, parts: maps.flatMap((map) => map.parts) };
}
