import test from 'ava';
import { readSafetensorsHeader } from '../../ts/files/safetensors.js';
import { validateTensorTable } from '../../ts/files/tensor-table.js';
import { accepted, random, rejects, safetensors, tempFolder, write } from './helpers.js';

const folder = tempFolder();
const a = { dtype: 'F32', shape: [2, 2], data_offsets: [0, 16] };
const b = { dtype: 'BF16', shape: [3], data_offsets: [16, 22] };
const good = safetensors({ __metadata__: { format: 'pt' }, a, b }, Buffer.alloc(22));
let files = 0;
const read = (bytes: Uint8Array) => readSafetensorsHeader(write(folder, `${files++}.safetensors`, bytes));

test('a valid file gives its table', async (t) => {
  const header = await read(good);
  t.is(header.metadata.get('format'), 'pt');
  t.like(header.tensors.get('b'), { dtype: 'BF16', shape: [3], byteLength: 6, offset: good.length - 6 });
  validateTensorTable(header);
});

test('cut off at every byte', async (t) => {
  for (let n = 0; n < good.length; n++) t.false(await accepted(() => read(good.subarray(0, n))), `${n} bytes`);
});

const one = (entry: object) => safetensors({ a: { ...a, ...entry } }, Buffer.alloc(16));
const cases: [string, Buffer, string][] = [
  ['no bytes', Buffer.alloc(0), 'SAFETENSORS_HEADER_TOO_SMALL'],
  ['huge header', Buffer.concat([Buffer.alloc(8, 0xff), good]), 'SAFETENSORS_HEADER_TOO_LARGE'],
  [
    'header past the end',
    Buffer.concat([Buffer.from([99, 0, 0, 0, 0, 0, 0, 0]), Buffer.from('{}')]),
    'SAFETENSORS_HEADER_TRUNCATED',
  ],
  ['empty header', Buffer.alloc(8), 'SAFETENSORS_HEADER_START'],
  ['leading space', safetensors(' {}', Buffer.alloc(0)), 'SAFETENSORS_HEADER_START'],
  ['broken JSON', safetensors('{"a":', Buffer.alloc(0)), 'JSON_SYNTAX'],
  [
    'bad UTF-8',
    Buffer.concat([Buffer.from([3, 0, 0, 0, 0, 0, 0, 0]), Buffer.from([0x7b, 0xff, 0x7d])]),
    'SAFETENSORS_HEADER_NOT_UTF8',
  ],
  [
    'duplicate name',
    safetensors(`{"a":${JSON.stringify(a)},"\\u0061":${JSON.stringify(a)}}`, Buffer.alloc(16)),
    'JSON_DUPLICATE_KEY',
  ],
  [
    'duplicate member',
    safetensors('{"a":{"dtype":"F32","dtype":"F16","shape":[2,2],"data_offsets":[0,16]}}', Buffer.alloc(16)),
    'JSON_DUPLICATE_KEY',
  ],
  ['__proto__', safetensors(`{"__proto__":${JSON.stringify(a)}}`, Buffer.alloc(16)), 'JSON_PROTO_KEY'],
  ['metadata number', safetensors('{"__metadata__":{"a":1}}', Buffer.alloc(0)), 'SAFETENSORS_METADATA'],
  ['unknown dtype', one({ dtype: 'F31' }), 'SAFETENSORS_DTYPE'],
  ['dtype of prototype', one({ dtype: 'constructor' }), 'SAFETENSORS_DTYPE'],
  ['wrong dtype', one({ dtype: 'F16' }), 'SAFETENSORS_BYTES_MISMATCH'],
  ['negative shape', one({ shape: [-2, -2] }), 'SAFETENSORS_SHAPE'],
  [
    'fraction',
    safetensors('{"a":{"dtype":"F32","shape":[2.0,2],"data_offsets":[0,16]}}', Buffer.alloc(16)),
    'JSON_NOT_INTEGER',
  ],
  ['huge shape', one({ shape: [2 ** 40, 2 ** 40] }), 'SAFETENSORS_SHAPE'],
  [
    'unsafe size',
    safetensors('{"a":{"dtype":"F32","shape":[9007199254740993],"data_offsets":[0,16]}}', Buffer.alloc(16)),
    'SAFETENSORS_SHAPE',
  ],
  ['shape a string', one({ shape: '2' }), 'SAFETENSORS_SHAPE'],
  ['offsets reversed', one({ data_offsets: [16, 0] }), 'SAFETENSORS_OFFSETS'],
  ['offsets short', one({ data_offsets: [0] }), 'SAFETENSORS_OFFSETS'],
  ['member missing', safetensors('{"a":{"shape":[0]}}', Buffer.alloc(0)), 'SAFETENSORS_DTYPE'],
  ['extra member', one({ extra: 1 }), 'SAFETENSORS_ENTRY'],
  ['entry an array', safetensors('{"a":[]}', Buffer.alloc(0)), 'SAFETENSORS_ENTRY'],
  ['overlap', safetensors({ a, b: { ...b, data_offsets: [10, 16] } }, Buffer.alloc(16)), 'SAFETENSORS_OVERLAP'],
  ['hole', safetensors({ a, b: { ...b, data_offsets: [18, 24] } }, Buffer.alloc(24)), 'SAFETENSORS_HOLE'],
  ['out of bounds', safetensors({ a, b }, Buffer.alloc(20)), 'SAFETENSORS_DATA_TRUNCATED'],
  ['trailing bytes', safetensors({ a, b }, Buffer.alloc(23)), 'SAFETENSORS_TRAILING_BYTES'],
];
for (const [name, bytes, code] of cases) test(name, (t) => rejects(t, () => read(bytes), code));

test('bit flips give a named error or a valid table', async (t) => {
  const seed = Number(process.env['VED_SEED'] ?? 20260101);
  t.log(`seed ${seed}`);
  const next = random(seed);
  for (let i = 0; i < 1500; i++) {
    const bytes = Buffer.from(good);
    for (let n = next(3); n >= 0; n--) {
      const at = next(bytes.length);
      bytes[at] = (bytes[at] as number) ^ (1 << next(8));
    }
    const path = write(folder, 'flipped.safetensors', bytes);
    await accepted(async () => validateTensorTable(await readSafetensorsHeader(path)));
  }
  t.pass();
});
