import { UnsupportedError, WeightsError } from '../errors.js';

/** Everything a state dict's pickle may contain. */
export type PickleValue =
  | null
  | boolean
  | number
  | string
  | PickleTuple
  | PickleList
  | PickleDict
  | PickleGlobal
  | PickleStorage
  | PickleTensor;

export class PickleTuple {
  constructor(readonly items: readonly PickleValue[]) {}
}

export class PickleList {
  readonly items: PickleValue[] = [];
}

/** A dict or an OrderedDict. A key set twice is refused: Python would keep the last value, another reader the first. */
export class PickleDict {
  readonly items = new Map<string | number, PickleValue>();

  set(key: PickleValue, value: PickleValue, what: string): void {
    if (typeof key !== 'string' && typeof key !== 'number')
      throw new WeightsError('PICKLE_KEY', `expected strings as keys in ${what}, got ${describe(key)}`);
    if (this.items.has(key))
      throw new WeightsError(
        'PICKLE_DUPLICATE_KEY',
        `expected each key once in ${what}, got ${JSON.stringify(key)} twice`,
      );
    this.items.set(key, value);
  }
}

/** torch's typed storage classes and the safetensors name of their element type. */
const STORAGES: ReadonlyMap<string, string> = new Map([
  ['torch.FloatStorage', 'F32'],
  ['torch.HalfStorage', 'F16'],
  ['torch.BFloat16Storage', 'BF16'],
  ['torch.DoubleStorage', 'F64'],
  ['torch.LongStorage', 'I64'],
  ['torch.IntStorage', 'I32'],
  ['torch.ShortStorage', 'I16'],
  ['torch.CharStorage', 'I8'],
  ['torch.ByteStorage', 'U8'],
  ['torch.BoolStorage', 'BOOL'],
]);

type Callable = (args: readonly PickleValue[], what: string) => PickleValue;

const CALLABLES: ReadonlyMap<string, Callable> = new Map<string, Callable>([
  ['collections.OrderedDict', orderedDict],
  ['torch._utils._rebuild_tensor_v2', rebuildTensor],
  ['torch._utils._rebuild_parameter', rebuildParameter],
  ['torch.Size', torchSize],
]);

/** A name from the list of allowed ones. Naming anything else is an error, whether or not the pickle goes on to call it. */
export class PickleGlobal {
  private constructor(readonly fullName: string) {}

  static named(module: string, name: string, what: string): PickleGlobal {
    const fullName = `${module}.${name}`;
    if (!CALLABLES.has(fullName) && !STORAGES.has(fullName)) {
      throw new WeightsError(
        'PICKLE_FORBIDDEN_GLOBAL',
        `expected only tensors, storages and OrderedDict in ${what}, got ${JSON.stringify(fullName)}, which is not run; convert the checkpoint to safetensors if you trust it`,
      );
    }
    return new PickleGlobal(fullName);
  }
}

/** One file of the archive: `data/<key>`, `count` elements. */
export class PickleStorage {
  constructor(
    readonly key: string,
    readonly dtype: string,
    readonly count: number,
  ) {}
}

/** A view of a storage. Offset and strides are in elements. */
export class PickleTensor {
  constructor(
    readonly storage: PickleStorage,
    readonly offset: number,
    readonly shape: number[],
    readonly stride: number[],
  ) {}
}

/** REDUCE. */
export function callGlobal(target: PickleValue, args: PickleValue, what: string): PickleValue {
  const name = target instanceof PickleGlobal ? target.fullName : describe(target);
  const callable = target instanceof PickleGlobal ? CALLABLES.get(name) : undefined;
  if (!callable)
    throw new WeightsError(
      'PICKLE_FORBIDDEN_CALL',
      `expected a call of an allowed function in ${what}, got a call of ${name}`,
    );
  if (!(args instanceof PickleTuple))
    throw new WeightsError(
      'PICKLE_TYPE',
      `expected a tuple of arguments for ${name} in ${what}, got ${describe(args)}`,
    );
  return callable(args.items, what);
}

/** BINPERSID: ('storage', storage class, key, location, element count), see `torch/serialization.py`, `persistent_load`. */
export function storageOf(id: PickleValue, what: string): PickleStorage {
  const items = id instanceof PickleTuple ? id.items : [];
  const [tag, type, key, location, count] = items;
  if (items.length !== 5 || tag !== 'storage' || typeof key !== 'string' || typeof location !== 'string') {
    throw new WeightsError(
      'PICKLE_PERSISTENT_ID',
      `expected ('storage', type, key, location, count) in ${what}, got ${describe(id)}`,
    );
  }
  const dtype = type instanceof PickleGlobal ? STORAGES.get(type.fullName) : undefined;
  if (dtype === undefined)
    throw new WeightsError(
      'PICKLE_PERSISTENT_ID',
      `expected a storage class for storage ${key.slice(0, 80)} in ${what}, got ${describe(type)}`,
    );
  return new PickleStorage(key, dtype, natural(count, `element count of storage ${key.slice(0, 80)}`, what));
}

export function dictOf(value: PickleValue, what: string): PickleDict {
  if (value instanceof PickleDict) return value;
  throw new WeightsError('PICKLE_TYPE', `expected a dict in ${what}, got ${describe(value)}`);
}

function orderedDict(args: readonly PickleValue[], what: string): PickleDict {
  if (args.length > 0)
    throw new WeightsError('PICKLE_TYPE', `expected OrderedDict() without arguments in ${what}, got ${args.length}`);
  return new PickleDict();
}

function torchSize(args: readonly PickleValue[], what: string): PickleTuple {
  const [sizes] = args;
  if (args.length !== 1 || !(sizes instanceof PickleTuple || sizes instanceof PickleList)) {
    throw new WeightsError(
      'PICKLE_TYPE',
      `expected one sequence for torch.Size in ${what}, got ${args.length} arguments`,
    );
  }
  return new PickleTuple(naturals(sizes, 'torch.Size', what));
}

/** `_rebuild_tensor_v2(storage, offset, size, stride, requires_grad, backward_hooks, metadata=None)`, torch/_utils.py. */
function rebuildTensor(args: readonly PickleValue[], what: string): PickleTensor {
  const [storage, offset, size, stride, requiresGrad, hooks, metadata] = args;
  if (args.length < 6 || args.length > 7 || !(storage instanceof PickleStorage) || typeof requiresGrad !== 'boolean') {
    throw new WeightsError(
      'PICKLE_TENSOR',
      `expected (storage, offset, size, stride, requires_grad, hooks) for a tensor in ${what}, got ${args.length} arguments`,
    );
  }
  requireEmpty(hooks, 'backward hooks', what);
  if (metadata !== undefined && metadata !== null && !(metadata instanceof PickleDict && metadata.items.size === 0)) {
    throw new UnsupportedError(
      'PICKLE_TENSOR_METADATA',
      `expected a plain tensor in ${what}, got one with metadata (conjugated, negated or subclassed)`,
    );
  }
  const shape = naturals(size, 'shape', what);
  const strides = naturals(stride, 'stride', what);
  if (shape.length !== strides.length) {
    throw new WeightsError(
      'PICKLE_TENSOR',
      `expected as many strides as sizes in ${what}, got ${strides.length} and ${shape.length}`,
    );
  }
  return new PickleTensor(storage, natural(offset, 'storage offset', what), shape, strides);
}

/** `_rebuild_parameter(data, requires_grad, backward_hooks)`: the tensor itself. */
function rebuildParameter(args: readonly PickleValue[], what: string): PickleTensor {
  const [data, requiresGrad, hooks] = args;
  if (args.length !== 3 || !(data instanceof PickleTensor) || typeof requiresGrad !== 'boolean') {
    throw new WeightsError(
      'PICKLE_TENSOR',
      `expected (tensor, requires_grad, hooks) for a parameter in ${what}, got ${args.length} arguments`,
    );
  }
  requireEmpty(hooks, 'backward hooks', what);
  return data;
}

function requireEmpty(value: PickleValue | undefined, name: string, what: string): void {
  if (value === null || (value instanceof PickleDict && value.items.size === 0)) return;
  throw new WeightsError('PICKLE_TENSOR', `expected no ${name} in ${what}, got ${describe(value)}`);
}

function naturals(value: PickleValue | undefined, name: string, what: string): number[] {
  if (!(value instanceof PickleTuple || value instanceof PickleList) || value.items.length > 64) {
    throw new WeightsError('PICKLE_TENSOR', `expected a short tuple as ${name} in ${what}, got ${describe(value)}`);
  }
  return value.items.map((item) => natural(item, name, what));
}

function natural(value: PickleValue | undefined, name: string, what: string): number {
  if (typeof value === 'number' && Number.isSafeInteger(value) && value >= 0) return value;
  throw new WeightsError(
    'PICKLE_INTEGER',
    `expected a whole, non-negative number as ${name} in ${what}, got ${describe(value)}`,
  );
}

/** A value as it may stand in a message. */
function describe(value: PickleValue | undefined): string {
  if (value instanceof PickleGlobal) return value.fullName;
  if (value instanceof PickleTuple) return `a tuple of ${value.items.length}`;
  if (value instanceof PickleList) return 'a list';
  if (value instanceof PickleDict) return 'a dict';
  if (value instanceof PickleStorage) return 'a storage';
  if (value instanceof PickleTensor) return 'a tensor';
  return value === undefined ? 'nothing' : JSON.stringify(typeof value === 'string' ? value.slice(0, 80) : value);
}
