import { WeightsError } from '../errors.js';
import { decodeUtf8 } from './bytes.js';
import {
  callGlobal,
  dictOf,
  PickleDict,
  PickleGlobal,
  PickleList,
  PickleTuple,
  storageOf,
  type PickleValue,
} from './pickle-values.js';

/**
 * A pickle machine for state dicts. It knows the opcodes torch.save emits (protocols 2 to 5; Python's pickletools.py is the
 * specification) and the handful of callables in `pickle-values.ts`; nothing else can be named, called or built, and the
 * callables only make plain records. Every opcode consumes input and costs amortised constant time and memory, so a pickle
 * of n bytes needs O(n) of both.
 */
const MAX_PICKLE_BYTES = 64 * 1024 * 1024;
const MAX_STACK = 1_000_000;
const MAX_MEMO = 4_000_000;
const MAX_NAME = 256;

type Slot = PickleValue | typeof MARK;
const MARK = Symbol('mark');
type Handler = (vm: Machine) => void;

/** Runs a pickle and returns the one value it leaves. */
export function unpickle(bytes: Buffer, what: string): PickleValue {
  if (bytes.length > MAX_PICKLE_BYTES) {
    throw new WeightsError(
      'PICKLE_TOO_LARGE',
      `expected a pickle of at most ${MAX_PICKLE_BYTES} bytes in ${what}, got ${bytes.length}`,
    );
  }
  return new Machine(bytes, what).run();
}

class Machine {
  private at = 0;
  private readonly stack: Slot[] = [];
  private readonly memo = new Map<number, PickleValue>();

  constructor(
    private readonly bytes: Buffer,
    readonly what: string,
  ) {}

  run(): PickleValue {
    if (this.byte() !== 0x80) throw this.error('PICKLE_PROTOCOL', 'expected a protocol header', 'none');
    const protocol = this.byte();
    if (protocol < 2 || protocol > 5) throw this.error('PICKLE_PROTOCOL', 'expected protocol 2 to 5', String(protocol));
    for (;;) {
      const opcode = this.byte();
      if (opcode === 0x2e) break;
      const handler = HANDLERS.get(opcode);
      if (!handler) {
        throw this.error(
          'PICKLE_OPCODE',
          'expected an opcode that state dicts use',
          `0x${opcode.toString(16).padStart(2, '0')} at byte ${this.at - 1}`,
        );
      }
      handler(this);
    }
    const value = this.pop();
    if (this.stack.length > 0)
      throw this.error('PICKLE_STACK', 'expected one value at the end', `${this.stack.length + 1}`);
    if (this.at !== this.bytes.length)
      throw this.error(
        'PICKLE_TRAILING_BYTES',
        'expected the end after STOP',
        `${this.bytes.length - this.at} more bytes`,
      );
    return value;
  }

  error(code: string, expected: string, got: string): WeightsError {
    return new WeightsError(code, `${expected} in ${this.what}, got ${got}`);
  }

  // ---- input
  take(length: number): Buffer {
    if (length > this.bytes.length - this.at) {
      throw this.error('PICKLE_TRUNCATED', `expected ${length} bytes at ${this.at}`, `${this.bytes.length - this.at}`);
    }
    this.at += length;
    return this.bytes.subarray(this.at - length, this.at);
  }

  byte(): number {
    return this.take(1).readUInt8(0);
  }

  length64(): number {
    const value = this.take(8).readBigUInt64LE(0);
    return value > BigInt(this.bytes.length) ? this.bytes.length + 1 : Number(value); // too long either way: take() refuses it
  }

  text(length: number): string {
    return decodeUtf8(this.take(length), this.what, WeightsError, 'PICKLE_NOT_UTF8', true);
  }

  line(): string {
    const end = this.bytes.indexOf(0x0a, this.at);
    if (end < 0 || end - this.at > MAX_NAME)
      throw this.error('PICKLE_NAME', `expected a name of at most ${MAX_NAME} bytes and a newline`, 'none');
    const line = this.text(end - this.at);
    this.at++;
    return line;
  }

  /** A little-endian two's complement integer (LONG1, LONG4). */
  long(length: number): number {
    if (length > 8) throw this.error('PICKLE_INTEGER', 'expected integers of at most 8 bytes', `${length} bytes`);
    let value = 0n;
    this.take(length).forEach((byte, i) => {
      value |= BigInt(byte) << BigInt(8 * i);
    });
    const signed = Number(BigInt.asIntN(8 * length, value));
    if (!Number.isSafeInteger(signed))
      throw this.error('PICKLE_INTEGER', 'expected integers within ±2^53', String(signed));
    return signed;
  }

  // ---- stack
  push(value: Slot): void {
    if (this.stack.length >= MAX_STACK)
      throw this.error('PICKLE_STACK', `expected at most ${MAX_STACK} values on the stack`, 'more');
    this.stack.push(value);
  }

  pop(): PickleValue {
    const value = this.stack.pop();
    if (value === undefined || value === MARK)
      throw this.error('PICKLE_STACK', `expected a value at byte ${this.at}`, value ? 'a mark' : 'an empty stack');
    return value;
  }

  top(): PickleValue {
    const value = this.pop();
    this.stack.push(value);
    return value;
  }

  /** The values above the last mark, which is removed with them. */
  popMark(): PickleValue[] {
    const values: PickleValue[] = [];
    for (;;) {
      const value = this.stack.pop();
      if (value === undefined) throw this.error('PICKLE_STACK', `expected a mark at byte ${this.at}`, 'none');
      if (value === MARK) return values.reverse();
      values.push(value);
    }
  }

  discard(): void {
    if (this.stack.pop() === undefined)
      throw this.error('PICKLE_STACK', `expected a value at byte ${this.at}`, 'an empty stack');
  }

  // ---- memo
  remember(index: number): void {
    if (this.memo.size >= MAX_MEMO)
      throw this.error('PICKLE_MEMO', `expected at most ${MAX_MEMO} memo entries`, 'more');
    this.memo.set(index, this.top());
  }

  memoSize(): number {
    return this.memo.size;
  }

  recall(index: number): void {
    const value = this.memo.get(index);
    if (value === undefined) throw this.error('PICKLE_MEMO', `expected memo entry ${index}`, 'none');
    this.push(value);
  }

  // ---- compound operations
  global(module: PickleValue, name: PickleValue): void {
    if (typeof module !== 'string' || typeof name !== 'string' || module.length > MAX_NAME || name.length > MAX_NAME) {
      throw this.error('PICKLE_NAME', 'expected a module and a name', `${typeof module} and ${typeof name}`);
    }
    this.push(PickleGlobal.named(module, name, this.what));
  }

  setItems(pairs: PickleValue[]): void {
    const dict = dictOf(this.top(), this.what);
    if (pairs.length % 2 !== 0)
      throw this.error('PICKLE_STACK', 'expected keys and values in pairs', `${pairs.length} values`);
    for (let i = 0; i < pairs.length; i += 2) dict.set(pairs[i] as PickleValue, pairs[i + 1] as PickleValue, this.what);
  }

  append(values: PickleValue[]): void {
    const list = this.top();
    if (!(list instanceof PickleList))
      throw this.error('PICKLE_TYPE', 'expected a list to append to', 'something else');
    for (const value of values) list.items.push(value);
  }

  /** BUILD is needed for one thing only: nn.Module.state_dict() hangs a `_metadata` attribute on its OrderedDict. It is dropped. */
  build(): void {
    const state = this.pop();
    const target = this.top();
    const harmless =
      target instanceof PickleDict &&
      state instanceof PickleDict &&
      [...state.items.keys()].every((key) => key === '_metadata');
    if (!harmless)
      throw this.error(
        'PICKLE_BUILD',
        'expected BUILD only to set _metadata of an OrderedDict',
        'another target or attribute',
      );
  }
}

function tuple(vm: Machine, length: number): void {
  const items: PickleValue[] = [];
  for (let i = 0; i < length; i++) items.push(vm.pop());
  vm.push(new PickleTuple(items.reverse()));
}

function globalFromStack(vm: Machine): void {
  const name = vm.pop();
  vm.global(vm.pop(), name);
}

function setItem(vm: Machine): void {
  const value = vm.pop();
  vm.setItems([vm.pop(), value]);
}

function reduce(vm: Machine): void {
  const args = vm.pop();
  vm.push(callGlobal(vm.pop(), args, vm.what));
}

const HANDLERS: ReadonlyMap<number, Handler> = new Map<number, Handler>([
  [0x28, (vm) => vm.push(MARK)], // MARK
  [0x29, (vm) => vm.push(new PickleTuple([]))], // EMPTY_TUPLE
  [0x30, (vm) => vm.discard()], // POP
  [
    0x31,
    (vm) => {
      vm.popMark();
    },
  ], // POP_MARK
  [0x47, (vm) => vm.push(vm.take(8).readDoubleBE(0))], // BINFLOAT
  [0x4a, (vm) => vm.push(vm.take(4).readInt32LE(0))], // BININT
  [0x4b, (vm) => vm.push(vm.byte())], // BININT1
  [0x4d, (vm) => vm.push(vm.take(2).readUInt16LE(0))], // BININT2
  [0x4e, (vm) => vm.push(null)], // NONE
  [0x51, (vm) => vm.push(storageOf(vm.pop(), vm.what))], // BINPERSID
  [0x52, reduce], // REDUCE
  [0x58, (vm) => vm.push(vm.text(vm.take(4).readUInt32LE(0)))], // BINUNICODE
  [0x5d, (vm) => vm.push(new PickleList())], // EMPTY_LIST
  [
    0x61,
    (vm) => {
      const value = vm.pop();
      vm.append([value]);
    },
  ], // APPEND
  [0x62, (vm) => vm.build()], // BUILD
  [
    0x63,
    (vm) => {
      const module = vm.line();
      vm.global(module, vm.line());
    },
  ], // GLOBAL
  [
    0x65,
    (vm) => {
      const values = vm.popMark();
      vm.append(values);
    },
  ], // APPENDS
  [0x68, (vm) => vm.recall(vm.byte())], // BINGET
  [0x6a, (vm) => vm.recall(vm.take(4).readUInt32LE(0))], // LONG_BINGET
  [0x71, (vm) => vm.remember(vm.byte())], // BINPUT
  [0x72, (vm) => vm.remember(vm.take(4).readUInt32LE(0))], // LONG_BINPUT
  [0x73, setItem], // SETITEM
  [0x74, (vm) => vm.push(new PickleTuple(vm.popMark()))], // TUPLE
  [
    0x75,
    (vm) => {
      const pairs = vm.popMark();
      vm.setItems(pairs);
    },
  ], // SETITEMS
  [0x7d, (vm) => vm.push(new PickleDict())], // EMPTY_DICT
  [0x85, (vm) => tuple(vm, 1)], // TUPLE1
  [0x86, (vm) => tuple(vm, 2)], // TUPLE2
  [0x87, (vm) => tuple(vm, 3)], // TUPLE3
  [0x88, (vm) => vm.push(true)], // NEWTRUE
  [0x89, (vm) => vm.push(false)], // NEWFALSE
  [0x8a, (vm) => vm.push(vm.long(vm.byte()))], // LONG1
  [0x8c, (vm) => vm.push(vm.text(vm.byte()))], // SHORT_BINUNICODE
  [0x8d, (vm) => vm.push(vm.text(vm.length64()))], // BINUNICODE8
  [0x93, globalFromStack], // STACK_GLOBAL
  [0x94, (vm) => vm.remember(vm.memoSize())], // MEMOIZE
  [
    0x95,
    (vm) => {
      vm.take(8);
    },
  ], // FRAME: a hint for buffering
]);
