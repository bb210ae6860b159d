/** savePretrained: every tensor and key survives, and a save that fails leaves the folder as it was. */
import test, { type ExecutionContext } from 'ava';
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { OptionError, WeightsError, type VedError } from '../../ts/errors';
import { openRepository } from '../../ts/files/repository';
import { VisionEncoderDecoderModel, type Tensor } from '../../ts/index';
import { safetensors, tempFolder } from '../hostile/helpers';
import { cases, GOLDEN, readExpected } from '../parity/golden';

const load = (folder: string) => VisionEncoderDecoderModel.fromPretrained(folder, { device: 'cpu', threads: 1 });

const digest = (data: Uint8Array) => createHash('sha256').update(data).digest('hex');

/** Every tensor of a folder as dtype, shape and digest, read through the tables that have tests of their own. */
async function tensorsOf(folder: string): Promise<Map<string, string>> {
  const { tensors } = await (await openRepository(folder)).loadTensorTable();
  const bytes = new Map<string, Buffer>();
  const content = (file: string) => bytes.get(file) ?? bytes.set(file, readFileSync(file)).get(file)!;
  return new Map(
    [...tensors].sort().map(([name, { file, offset, byteLength, dtype, shape }]) => {
      const data = content(file).subarray(offset, offset + byteLength);
      return [name, `${dtype} [${shape.join()}] ${digest(data)}`];
    }),
  );
}

const json = (folder: string, name: string) => JSON.parse(readFileSync(join(folder, name), 'utf8')) as unknown;

/** All files with their bytes. */
function snapshot(folder: string): Record<string, string> {
  const files = readdirSync(folder, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  const paths = files.map((file) => join(file.parentPath, file.name)).sort();
  return Object.fromEntries(paths.map((path) => [path, digest(readFileSync(path))]));
}

function inputs(name: string): { pixelValues: Tensor; decoderInputIds: number[][] } {
  const expected = readExpected(name);
  const run = expected.forwards.find((forward) => forward.name === 'ids')!;
  const all = expected.tensors.get('pixel_values')!;
  const data = all.data.slice(0, (all.data.length / all.dims[0]!) * 2);
  return { pixelValues: { data, dims: [2, ...all.dims.slice(1)] }, decoderInputIds: run.decoderInputIds! };
}

const logits = async (model: VisionEncoderDecoderModel, name: string) =>
  (await model.forward(inputs(name))).logits.data;

function copyOf(name: string): string {
  const folder = join(tempFolder(), name);
  cpSync(join(GOLDEN, name), folder, { recursive: true });
  return folder;
}

async function fails(t: ExecutionContext, promise: Promise<unknown>, code: string): Promise<void> {
  const error = await t.throwsAsync(promise, { instanceOf: WeightsError });
  t.is((error as VedError | undefined)?.code, code, error?.message);
}

for (const { name, expected } of cases) {
  test(`${name}: load, save, load changes no tensor and no config key`, async (t) => {
    const folder = join(tempFolder(), 'saved');
    const source = join(GOLDEN, name);
    await using model = await load(source);
    await model.savePretrained(folder);
    t.deepEqual(readdirSync(folder).sort(), ['config.json', 'generation_config.json', 'model.safetensors']);
    t.deepEqual(json(folder, 'config.json'), json(source, 'config.json'));
    t.deepEqual(json(folder, 'generation_config.json'), json(source, 'generation_config.json'));
    const [before, after] = [await tensorsOf(source), await tensorsOf(folder)];
    const dropped = [...before.keys()].filter((key) => !after.has(key));
    t.deepEqual(dropped, name === 'vit-gpt2-bin' ? ['decoder.lm_head.weight'] : []);
    for (const [key, value] of after) t.is(value, before.get(key), key);

    await using again = await load(folder);
    t.deepEqual(await logits(again, expected), await logits(model, expected));
    const second = join(tempFolder(), 'again');
    await again.savePretrained(second);
    t.deepEqual(Object.values(snapshot(second)), Object.values(snapshot(folder)));
  });
}

test('floats stay floats in the text, whole or not, and unknown keys stay', async (t) => {
  const source = copyOf('vit-gpt2');
  const config = json(source, 'config.json') as Record<string, Record<string, unknown>>;
  config['encoder']!['future'] = 'FLOAT';
  config['plain'] = { deep: [1, 'FLOAT', { x: 2 }] };
  const text = JSON.stringify(config)
    .replaceAll('"FLOAT"', '3.0')
    .replace(/"attn_pdrop":[^,]*/, '"attn_pdrop":0.0')
    .replace(/"resid_pdrop":[^,]*/, '"resid_pdrop":0');
  writeFileSync(join(source, 'config.json'), text);
  writeFileSync(join(source, 'generation_config.json'), '{"temperature": 1, "top_k": 7, "mine": [2.0, 2]}');
  const folder = join(tempFolder(), 'saved');
  await using model = await load(source);
  model.generationConfig.sequenceBias = [[[1, 2], 4]];
  model.generationConfig.exponentialDecayLengthPenalty = [5, 2];
  await model.savePretrained(folder);
  const saved = readFileSync(join(folder, 'config.json'), 'utf8');
  t.regex(saved, /"future": 3\.0/);
  t.regex(saved, /"deep": \[\s*1,\s*3\.0,\s*\{\s*"x": 2\s*\}/);
  t.regex(saved, /"attn_pdrop": 0\.0/);
  t.regex(saved, /"resid_pdrop": 0,/);
  const generation = readFileSync(join(folder, 'generation_config.json'), 'utf8');
  t.regex(generation, /"temperature": 1\.0/);
  t.regex(generation, /"top_k": 7,/);
  t.regex(generation, /"mine": \[\s*2\.0,\s*2\s*\]/);
  t.regex(generation, /"sequence_bias": \[\s*\[\s*\[\s*1,\s*2\s*\],\s*4\.0\s*\]/);
  t.regex(generation, /"exponential_decay_length_penalty": \[\s*5,\s*2\.0\s*\]/);
});

test('shards stay below maxShardSize unless one tensor is larger, and load', async (t) => {
  const folder = join(tempFolder(), 'saved');
  await using model = await load(join(GOLDEN, 'vit-gpt2'));
  const maxShardSize = 20000;
  await model.savePretrained(folder, { maxShardSize });
  const shards = readdirSync(folder).filter((name) => name.endsWith('.safetensors'));
  t.true(shards.length > 4);
  for (const shard of shards) {
    const bytes = readFileSync(join(folder, shard));
    const length = Number(bytes.readBigUInt64LE(0));
    const data = bytes.length - 8 - length;
    const header = JSON.parse(bytes.toString('utf8', 8, 8 + length)) as Record<string, unknown>;
    t.true(data <= maxShardSize || Object.keys(header).length === 2, shard);
    t.is(length % 8, 0);
    t.deepEqual(header['__metadata__'], { format: 'pt' });
  }
  const index = json(folder, 'model.safetensors.index.json') as { metadata: object; weight_map: object };
  const tensors = await tensorsOf(folder);
  t.is(Object.keys(index.weight_map).length, tensors.size);
  t.deepEqual(tensors, await tensorsOf(join(GOLDEN, 'vit-gpt2')));
  await using again = await load(folder);
  t.deepEqual(await logits(again, 'vit-gpt2'), await logits(model, 'vit-gpt2'));
});

test('a later save leaves no weights of an earlier one, and keeps other files', async (t) => {
  const folder = join(tempFolder(), 'saved');
  await using model = await load(join(GOLDEN, 'vit-gpt2'));
  mkdirSync(folder);
  writeFileSync(join(folder, 'tokenizer.json'), '{}');
  const others = ['config.json', 'generation_config.json', 'tokenizer.json'];
  const expectFiles = (weights: RegExp, count: number) => {
    const names = readdirSync(folder);
    t.deepEqual(names.filter((name) => !weights.test(name)).sort(), others);
    t.is(names.length, count + others.length, names.join());
  };
  const sharded = (count: number) => new RegExp(`^model(-0000\\d-of-0000${count})?\\.safetensors(\\.index\\.json)?$`);
  await model.savePretrained(folder, { maxShardSize: 45000 });
  expectFiles(sharded(3), 4);
  await model.savePretrained(folder, { maxShardSize: 90000 });
  expectFiles(sharded(2), 3);
  await model.savePretrained(folder);
  expectFiles(/^model\.safetensors$/, 1);
  await model.savePretrained(folder, { maxShardSize: 45000 });
  expectFiles(sharded(3), 4);
  t.false(existsSync(join(folder, 'model.safetensors')));
  t.deepEqual(await tensorsOf(folder), await tensorsOf(join(GOLDEN, 'vit-gpt2')));
});

for (const [name, options] of [
  ['vit-gpt2-sharded', {}],
  ['vit-gpt2-sharded', { maxShardSize: 50000 }],
  ['vit-gpt2', { maxShardSize: 50000 }],
  ['vit-gpt2-bin', {}],
] as const) {
  test(`${name}: saving over the source, ${JSON.stringify(options)}, and saving again`, async (t) => {
    const folder = copyOf(name);
    const before = await tensorsOf(folder);
    before.delete('decoder.lm_head.weight');
    await using model = await load(folder);
    await model.savePretrained(folder, options);
    t.deepEqual(await tensorsOf(folder), before);
    const other = join(tempFolder(), 'other');
    await model.savePretrained(other);
    await model.savePretrained(folder);
    t.deepEqual(await tensorsOf(other), before);
    t.deepEqual(await tensorsOf(folder), before);
    await using again = await load(folder);
    t.deepEqual(await logits(again, 'vit-gpt2'), await logits(model, 'vit-gpt2'));
  });
}

test('tied copies: an equal one is dropped, a different one is kept, a lone head becomes the embedding', async (t) => {
  const [embedding, head] = ['decoder.transformer.wte.weight', 'decoder.lm_head.weight'];
  const variant = async (change: (header: Record<string, unknown>, bytes: Buffer) => Buffer) => {
    const folder = copyOf('vit-gpt2');
    const path = join(folder, 'model.safetensors');
    const file = readFileSync(path);
    const start = 8 + Number(file.readBigUInt64LE(0));
    const header = JSON.parse(file.toString('utf8', 8, start)) as Record<string, unknown>;
    const data = change(header, file.subarray(start));
    const text = Buffer.from(JSON.stringify(header));
    const length = Buffer.alloc(8);
    length.writeBigUInt64LE(BigInt(text.length));
    writeFileSync(path, Buffer.concat([length, text, data]));
    const saved = join(tempFolder(), 'saved');
    await using model = await load(folder);
    await model.savePretrained(saved);
    await using again = await load(saved);
    t.deepEqual(await logits(again, 'vit-gpt2'), await logits(model, 'vit-gpt2'));
    return { tensors: await tensorsOf(saved), names: [...model.parameters()].map((parameter) => parameter.name) };
  };
  type Entry = { dtype: string; shape: number[]; data_offsets: [number, number] };
  const appendCopy = (header: Record<string, unknown>, bytes: Buffer, change: (copy: Buffer) => void) => {
    const { data_offsets: offsets, ...entry } = header[embedding] as Entry;
    const copy = Buffer.from(bytes.subarray(...offsets));
    change(copy);
    header[head] = { ...entry, data_offsets: [bytes.length, bytes.length + copy.length] };
    return Buffer.concat([bytes, copy]);
  };
  const original = await tensorsOf(join(GOLDEN, 'vit-gpt2'));
  const equal = await variant((header, bytes) => appendCopy(header, bytes, () => undefined));
  t.deepEqual(equal.tensors, original);
  const different = await variant((header, bytes) => appendCopy(header, bytes, (copy) => copy.writeFloatLE(9, 40)));
  t.is(different.tensors.size, original.size + 1);
  t.not(different.tensors.get(head), different.tensors.get(embedding));
  const lone = await variant((header, bytes) => {
    header[head] = header[embedding];
    delete header[embedding];
    return bytes;
  });
  t.deepEqual(lone.tensors, original);
  t.true(lone.names.includes(embedding) && !lone.names.includes(head));
});

const CLIP = 'clip-gpt2';
test('names that transformers has given up are saved as those of today', async (t) => {
  const source = copyOf(CLIP);
  const path = join(source, 'model.safetensors');
  const file = readFileSync(path);
  const start = 8 + Number(file.readBigUInt64LE(0));
  const header = JSON.parse(file.toString('utf8', 8, start)) as Record<string, unknown>;
  const renamed = Object.entries(header).map(([name, entry]) => [
    name.startsWith('encoder.vision_model.') ? name : name.replace(/^encoder\./, 'encoder.vision_model.'),
    entry,
  ]);
  writeFileSync(path, safetensors(Object.fromEntries(renamed) as object, file.subarray(start)));
  const folder = join(tempFolder(), 'saved');
  await using model = await load(source);
  await model.savePretrained(folder);
  const unused = /position_ids|post_layernorm/;
  const names = async (from: string) => [...(await tensorsOf(from)).keys()].filter((name) => !unused.test(name));
  t.deepEqual(
    await names(folder),
    (await names(join(GOLDEN, CLIP))).map((name) => name.replace('encoder.vision_model.', 'encoder.')),
  );
  await using again = await load(folder);
  t.deepEqual(await logits(again, CLIP), await logits(model, CLIP));
});

test('a source that changed since it was loaded is an error, and nothing is written', async (t) => {
  const source = copyOf('vit-gpt2-sharded');
  const shard = join(source, 'model-00002-of-00003.safetensors');
  const { atime, mtime } = statSync(shard);
  utimesSync(shard, atime, mtime); // a Date holds whole milliseconds only
  await using model = await load(source);
  const target = join(tempFolder(), 'deep', 'er');
  const refused = async () => {
    await fails(t, model.savePretrained(target), 'WEIGHTS_CHANGED');
    t.false(existsSync(resolve(target, '..')));
  };
  utimesSync(shard, atime, new Date(mtime.getTime() + 5000));
  await refused();
  utimesSync(shard, atime, mtime);
  writeFileSync(shard, Buffer.concat([readFileSync(shard), Buffer.from('x')]));
  utimesSync(shard, atime, mtime);
  await refused();
  cpSync(join(GOLDEN, 'vit-gpt2-sharded', 'model-00002-of-00003.safetensors'), shard);
  utimesSync(shard, atime, mtime);
  await t.notThrowsAsync(model.savePretrained(target));
});

test('aborting leaves the folder as it was', async (t) => {
  const existing = copyOf('vit-gpt2-sharded');
  const before = snapshot(existing);
  await using model = await load(join(GOLDEN, 'vit-gpt2'));
  const reason = new Error('enough');
  for (const folder of [existing, join(tempFolder(), 'new')]) {
    await t.throwsAsync(model.savePretrained(folder, { signal: AbortSignal.abort(reason) }), { is: reason });
    for (const limit of [1, 60000, 110000]) {
      const control = new AbortController();
      const onProgress = ({ loaded }: { loaded: number }) => void (loaded >= limit && control.abort(reason));
      await t.throwsAsync(model.savePretrained(folder, { signal: control.signal, onProgress }), { is: reason });
    }
  }
  t.deepEqual(snapshot(existing), before);
  t.deepEqual(readdirSync(existing), readdirSync(join(GOLDEN, 'vit-gpt2-sharded')));
});

test('a file that cannot be replaced puts those before it back', async (t) => {
  const folder = copyOf('vit-gpt2-bin');
  writeFileSync(join(folder, 'config.json'), '{"old": true}');
  mkdirSync(join(folder, 'model.safetensors'));
  writeFileSync(join(folder, 'model.safetensors', 'inside'), 'x');
  const before = snapshot(folder);
  await using model = await load(join(GOLDEN, 'vit-gpt2'));
  await t.throwsAsync(model.savePretrained(folder), { code: 'SAVE_TARGET_NOT_FILE' });
  t.deepEqual(snapshot(folder), before);
  t.false(readdirSync(folder).some((name) => name.startsWith('.saving')));
});

test('a disk that is full: a typed error, and nothing half-written', async (t) => {
  if (process.platform === 'win32') return t.pass('no such limit here');
  // The system itself refuses to let a file grow beyond 64 KiB.
  const script = `
    require('tsx/cjs');
    const { VisionEncoderDecoderModel } = require('./ts/index.ts');
    const [source, ...targets] = process.argv.slice(1);
    (async () => {
      const model = await VisionEncoderDecoderModel.fromPretrained(source, { device: 'cpu', threads: 1 });
      for (const target of targets)
        await model.savePretrained(target).then(() => console.log('saved'), (error) =>
          console.log(error.name, error.code, error.cause.code));
    })();`;
  const existing = copyOf('vit-gpt2-sharded');
  const before = snapshot(existing);
  const fresh = join(tempFolder(), 'new');
  const args = [process.execPath, '-e', script, join(GOLDEN, 'vit-gpt2'), existing, fresh];
  const { stdout } = await promisify(execFile)('sh', ['-c', `trap '' XFSZ; ulimit -f 128; exec "$0" "$@"`, ...args], {
    cwd: resolve(__dirname, '../..'),
    env: { ...process.env, TSX_DISABLE_CACHE: '1' },
  });
  t.is(stdout, 'WeightsError SAVE_FAILED EFBIG\n'.repeat(2));
  t.deepEqual(snapshot(existing), before);
  t.deepEqual(readdirSync(resolve(fresh, '..')), []);
});

test('targets and options that make no sense', async (t) => {
  await using model = await load(join(GOLDEN, 'vit-gpt2'));
  const folder = tempFolder();
  const file = join(folder, 'file');
  writeFileSync(file, 'x');
  await t.throwsAsync(model.savePretrained(file), { code: 'SAVE_TARGET_NOT_FOLDER' });
  await fails(t, model.savePretrained(join(file, 'inside')), 'SAVE_FAILED');
  for (const bad of ['', 'a\0b', 7, null]) {
    await t.throwsAsync(model.savePretrained(bad as string), { instanceOf: OptionError, message: /folder/ });
  }
  for (const maxShardSize of [0, -1, 1.5, NaN, Infinity, '5GB'])
    await t.throwsAsync(model.savePretrained(folder, { maxShardSize: maxShardSize as number }), {
      instanceOf: OptionError,
      message: /maxShardSize/,
    });
  await t.throwsAsync(model.savePretrained(folder, { maxShardsize: 1 } as object), { message: /'maxShardSize'/ });
  t.deepEqual(readdirSync(folder), ['file']);
  t.is(readFileSync(file, 'utf8'), 'x');
});

test('saves of one model at the same time end as one of them', async (t) => {
  const folder = copyOf('vit-gpt2');
  const before = await tensorsOf(folder);
  await using model = await load(folder);
  await Promise.all([1, 2, 3, 4].map((n) => model.savePretrained(folder, { maxShardSize: n * 30000 })));
  t.deepEqual(await tensorsOf(folder), before);
  t.false(readdirSync(folder).some((name) => name.startsWith('.saving')));
});

test('a disposed model does not save', async (t) => {
  const model = await load(join(GOLDEN, 'vit-gpt2'));
  await model.dispose();
  await t.throwsAsync(model.savePretrained(tempFolder()), { code: 'DISPOSED' });
});
