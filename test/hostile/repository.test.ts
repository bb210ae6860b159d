import { mkdirSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { openRepository } from '../../ts/files/repository.js';
import { rejects, safetensors, tempFolder, write } from './helpers.js';

const part = (...names: string[]) => {
  const header = Object.fromEntries(
    names.map((name, i) => [name, { dtype: 'U8', shape: [1], data_offsets: [i, i + 1] }]),
  );
  return safetensors(header, Buffer.alloc(names.length));
};

/** A folder with shards s1 (a) and s2 (b, c) and the given index. */
function sharded(index: unknown): string {
  const folder = tempFolder();
  write(folder, 's1.safetensors', part('a'));
  write(folder, 's2.safetensors', part('b', 'c'));
  write(folder, 'model.safetensors.index.json', typeof index === 'string' ? index : JSON.stringify(index));
  return folder;
}

const load = async (folder: string) => (await openRepository(folder)).loadTensorTable();
const map = { a: 's1.safetensors', b: 's2.safetensors', c: 's2.safetensors' };

test('shards become one table', async (t) => {
  const table = await load(sharded({ weight_map: map }));
  t.deepEqual([...table.tensors.keys()], ['a', 'b', 'c']);
  t.is(table.files.length, 2);
});

test('one file wins over an index, safetensors over torch', async (t) => {
  const folder = sharded({ weight_map: map });
  write(folder, 'pytorch_model.bin', 'junk');
  write(folder, 'model.safetensors', part('only'));
  t.deepEqual([...(await load(folder)).tensors.keys()], ['only']);
});

const indices: [string, unknown, string][] = [
  ['no map', {}, 'INDEX_WEIGHT_MAP'],
  ['map a list', { weight_map: [] }, 'INDEX_WEIGHT_MAP'],
  ['shard a number', { weight_map: { a: 1 } }, 'INDEX_WEIGHT_MAP'],
  ['empty map', { weight_map: {} }, 'INDEX_WEIGHT_MAP'],
  ['path escape', { weight_map: { a: '../s1.safetensors' } }, 'INDEX_SHARD_PATH'],
  ['absolute path', { weight_map: { a: '/etc/x.safetensors' } }, 'INDEX_SHARD_PATH'],
  ['wrong extension', { weight_map: { a: 's1.bin' } }, 'INDEX_SHARD_PATH'],
  ['missing shard', { weight_map: { ...map, d: 's3.safetensors' } }, 'INDEX_SHARD_MISSING'],
  ['tensor not in its shard', { weight_map: { ...map, d: 's1.safetensors' } }, 'INDEX_TENSOR_MISSING'],
  ['tensor not listed', { weight_map: { a: map.a, b: map.b } }, 'INDEX_TENSOR_UNLISTED'],
  ['duplicate key', '{"weight_map":{"a":"s1.safetensors","a":"s2.safetensors"}}', 'JSON_DUPLICATE_KEY'],
];
for (const [name, index, code] of indices) test(name, (t) => rejects(t, () => load(sharded(index)), code));

test('a tensor in two shards', async (t) => {
  const folder = sharded({ weight_map: map });
  write(folder, 's1.safetensors', part('a', 'b'));
  await rejects(t, () => load(folder), 'INDEX_TENSOR_DUPLICATE');
});

const escape = (t: ExecutionContext, action: () => Promise<unknown>) => rejects(t, action, 'REPOSITORY_PATH_ESCAPES');

test('names and links do not leave the folder', async (t) => {
  const outside = tempFolder();
  const folder = tempFolder();
  write(outside, 'secret.json', '{}');
  symlinkSync(join(outside, 'secret.json'), join(folder, 'link.json'));
  symlinkSync(outside, join(folder, 'sub'));
  const repository = await openRepository(folder);
  for (const name of ['../x', '/etc/passwd', 'a/../../x', '', 'x\0y', 'link.json', 'sub/secret.json']) {
    await escape(t, () => repository.readText(name));
  }
  await rejects(t, () => repository.readText('nothing'), 'FILE_NOT_FOUND');
  t.false(await repository.exists('nothing'));
});

test('a cache snapshot may link to its blobs and the shared store, and nowhere else', async (t) => {
  const cache = tempFolder();
  const snapshot = join(cache, 'models--o--n', 'snapshots', 'a'.repeat(40));
  for (const folder of [
    snapshot,
    join(cache, 'models--o--n', 'blobs'),
    join(cache, 'blobs', 'ab'),
    join(cache, 'models--o--other', 'blobs'),
  ]) {
    mkdirSync(folder, { recursive: true });
  }
  write(join(cache, 'models--o--n', 'blobs'), 'e1', '{"a":1}');
  write(join(cache, 'blobs', 'ab'), 'x', '{"a":2}');
  write(join(cache, 'models--o--other', 'blobs'), 'e3', '{}');
  symlinkSync('../../../blobs/ab/x'.replace('../', ''), join(cache, 'models--o--n', 'blobs', 'e2'));
  symlinkSync('../../blobs/e1', join(snapshot, 'config.json'));
  symlinkSync('../../blobs/e2', join(snapshot, 'shared.json'));
  symlinkSync('../../../models--o--other/blobs/e3', join(snapshot, 'other.json'));
  const repository = await openRepository(snapshot);
  t.deepEqual(await repository.readJson('config.json'), { a: 1 });
  t.deepEqual(await repository.readJson('shared.json'), { a: 2 });
  await escape(t, () => repository.readJson('other.json'));
});

test('JSON files', async (t) => {
  const folder = tempFolder();
  const repository = await openRepository(folder);
  const cases: [string, string | Uint8Array, string][] = [
    ['inf', '{"a":-Infinity}', 'JSON_NON_FINITE'],
    ['nan', '{"t":"NaN","a":NaN}', 'JSON_NON_FINITE'],
    ['big', '{"a":1e999}', 'JSON_NON_FINITE'],
    ['proto', '{"a":{"__proto__":{}}}', 'JSON_PROTO_KEY'],
    ['array', '[]', 'JSON_NOT_OBJECT'],
    ['null', 'null', 'JSON_NOT_OBJECT'],
    ['deep', `{"a":${'['.repeat(500)}${']'.repeat(500)}}`, 'JSON_TOO_DEEP'],
    ['empty', '', 'JSON_SYNTAX'],
    ['utf8', Buffer.from([0xff]), 'FILE_NOT_UTF8'],
  ];
  for (const [name, bytes, code] of cases) {
    write(folder, name, bytes);
    await rejects(t, () => repository.readJson(name), code);
  }
  write(folder, 'bom', '\ufeff{"a":1,"a":2}');
  t.deepEqual(await repository.readJson('bom'), { a: 2 });
  await rejects(t, () => repository.readJson('bom', { maxBytes: 3 }), 'FILE_TOO_LARGE');
  mkdirSync(join(folder, 'dir'));
  await rejects(t, () => repository.readJson('dir'), 'FILE_NOT_REGULAR');
});
