import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import { validateTensorTable } from '../../ts/files/tensor-table.js';
import { readTorchBin } from '../../ts/files/torch-bin.js';
import { accepted, random, rejects, tempFolder, write, zip } from './helpers.js';

const folder = tempFolder();
const fixture = (name: string) => join(__dirname, 'fixtures', `${name}.bin`);
let files = 0;
const read = (bytes: Uint8Array) => readTorchBin(write(folder, `${files++}.bin`, bytes));
const OD = 'ccollections\nOrderedDict\n';
const STORE = 'ctorch\nFloatStorage\n';
const REBUILD = 'ctorch._utils\n_rebuild_tensor_v2\n';
const str = (text: string) => `X${String.fromCharCode(text.length)}\0\0\0${text}`;
/** {name: tensor} with the given offset, size and stride bytes, over a storage of `count` floats. */
const tensor = (offset: number, size: number, stride: number, count: number, key = '0') =>
  `${REBUILD}((${str('storage')}${STORE}${str(key)}${str('cpu')}K${String.fromCharCode(count)}tQ` +
  `K${String.fromCharCode(offset)}K${String.fromCharCode(size)}\x85K${String.fromCharCode(stride)}\x85\x89${OD})RtR`;
const archive = (body: string, extra: Record<string, string | Buffer> = {}, method = 0) =>
  zip({ 'm/data.pkl': Buffer.from(`\x80\x02${body}.`, 'latin1'), 'm/data/0': Buffer.alloc(8), ...extra }, method);
const dict = (value: string) => `}${str('w')}${value}s`;

for (const name of ['plain', 'protocol5']) {
  test(`fixture ${name}`, async (t) => {
    const table = await readTorchBin(fixture(name));
    validateTensorTable(table);
    const bytes = readFileSync(fixture(name));
    const floats = (tensorName: string) => {
      const source = table.tensors.get(tensorName);
      if (!source) throw new Error(tensorName);
      return Array.from({ length: source.byteLength / 4 }, (_, i) => bytes.readFloatLE(source.offset + 4 * i));
    };
    t.deepEqual(floats('weight'), [0, 1, 2, 3, 4, 5]);
    t.deepEqual(floats('view'), [2, 3, 4, 5]);
    t.deepEqual(floats('scalar'), [3.5]);
    t.deepEqual(table.tensors.get('tied'), table.tensors.get('weight'));
    t.deepEqual(
      [...table.tensors.values()].map((x) => x.dtype),
      ['F32', 'I64', 'F32', 'F16', 'BF16', 'F32', 'BOOL', 'F32', 'F32'],
    );
  });
}

test('fixture module: _metadata is dropped', async (t) => {
  t.deepEqual([...(await readTorchBin(fixture('module'))).tensors.keys()], ['weight', 'bias']);
});

for (const [name, code] of [
  ['transposed', 'TORCH_NON_CONTIGUOUS'],
  ['nested', 'TORCH_NOT_A_STATE_DICT'],
  ['legacy', 'TORCH_LEGACY_FORMAT'],
  ['builtin', 'PICKLE_FORBIDDEN_GLOBAL'],
] as const)
  test(`fixture ${name} is refused`, (t) => rejects(t, () => readTorchBin(fixture(name)), code));

test('a hand-written archive gives its table', async (t) => {
  const table = await read(archive(dict(tensor(0, 2, 1, 2))));
  t.like(table.tensors.get('w'), { dtype: 'F32', shape: [2], byteLength: 8 });
});

const cases: [string, Buffer, string][] = [
  ['os.system', archive(`cos\nsystem\n(${str('true')}tR`), 'PICKLE_FORBIDDEN_GLOBAL'],
  ['builtins.eval', archive(dict(`cbuiltins\neval\n(${str('1')}tR`)), 'PICKLE_FORBIDDEN_GLOBAL'],
  ['global via the stack', archive(`${str('os')}${str('system')}\x93`), 'PICKLE_FORBIDDEN_GLOBAL'],
  ['nested global', archive('ccollections\nOrderedDict.__class__\n'), 'PICKLE_FORBIDDEN_GLOBAL'],
  ['prototype name', archive('cconstructor\nprototype\n'), 'PICKLE_FORBIDDEN_GLOBAL'],
  ['storage called', archive(`${STORE})R`), 'PICKLE_FORBIDDEN_CALL'],
  ['string called', archive(`${str('x')})R`), 'PICKLE_FORBIDDEN_CALL'],
  ['BUILD of an attribute', archive(`}}${str('__class__')}Nsb`), 'PICKLE_BUILD'],
  ['INST', archive('(ios\nsystem\n'), 'PICKLE_OPCODE'],
  ['NEWOBJ', archive(`${OD})\x81`), 'PICKLE_OPCODE'],
  ['no value', archive(''), 'PICKLE_STACK'],
  ['mark left', archive('('), 'PICKLE_STACK'],
  ['memo missing', archive('h\x07'), 'PICKLE_MEMO'],
  ['string too long', archive('X\xff\xff\xff\x7f'), 'PICKLE_TRUNCATED'],
  ['after STOP', archive('}.'), 'PICKLE_TRAILING_BYTES'],
  ['key twice', archive(`}${str('w')}Ns${str('w')}Ns`), 'PICKLE_DUPLICATE_KEY'],
  ['not a dict', archive('N'), 'TORCH_NOT_A_STATE_DICT'],
  ['past the storage', archive(dict(tensor(1, 2, 1, 2))), 'TORCH_OUT_OF_STORAGE'],
  ['storage larger than its file', archive(dict(tensor(0, 2, 1, 3))), 'TORCH_STORAGE_SIZE'],
  ['storage missing', archive(dict(tensor(0, 2, 1, 2, '../0'))), 'TORCH_STORAGE_MISSING'],
  ['stride 0', archive(dict(tensor(0, 2, 0, 2))), 'TORCH_NON_CONTIGUOUS'],
  ['big-endian', archive('}', { 'm/byteorder': 'big' }), 'TORCH_BIG_ENDIAN'],
  ['byte order nonsense', archive('}', { 'm/byteorder': 'middle' }), 'TORCH_BYTE_ORDER'],
  ['compressed', archive('}', {}, 8), 'ZIP_COMPRESSED'],
  ['two pickles', archive('}', { 'n/data.pkl': 'x' }), 'TORCH_NO_PICKLE'],
  ['TorchScript', archive('}', { 'm/constants.pkl': 'x' }), 'TORCH_SCRIPT'],
  ['comment', Buffer.concat([archive('}'), Buffer.from('x')]), 'ZIP_END_MISSING'],
  ['not a zip', Buffer.from('hello'), 'TORCH_NOT_A_ZIP'],
  ['empty file', Buffer.alloc(0), 'TORCH_NOT_A_ZIP'],
];
for (const [name, bytes, code] of cases) test(name, (t) => rejects(t, () => read(bytes), code));

test('a local header that differs from the directory', async (t) => {
  const bytes = archive('}');
  bytes[30] = 'x'.charCodeAt(0);
  await rejects(t, () => read(bytes), 'ZIP_LOCAL_HEADER');
});

test('entries that overlap', async (t) => {
  const bytes = archive('}');
  const second = bytes.lastIndexOf(Buffer.from('PK\x01\x02', 'latin1'));
  bytes.writeUInt32LE(0, second + 42);
  t.false(await accepted(() => read(bytes)));
});

for (const name of ['plain', 'protocol5', 'module']) {
  test(`${name} cut off at every byte`, async (t) => {
    const bytes = readFileSync(fixture(name));
    for (let n = 0; n < bytes.length; n++)
      t.false(await accepted(() => readTorchBin(write(folder, `cut-${name}.bin`, bytes.subarray(0, n)))), `${n}`);
  });

  test(`${name} with flipped bits`, async (t) => {
    const seed = Number(process.env['VED_SEED'] ?? 20260102);
    t.log(`seed ${seed}`);
    const next = random(seed);
    const good = readFileSync(fixture(name));
    for (let i = 0; i < 1500; i++) {
      const bytes = Buffer.from(good);
      for (let n = next(3); n >= 0; n--) {
        const at = next(bytes.length);
        bytes[at] = (bytes[at] as number) ^ (1 << next(8));
      }
      const path = write(folder, `flip-${name}.bin`, bytes);
      await accepted(async () => validateTensorTable(await readTorchBin(path)));
    }
    t.pass();
  });
}
