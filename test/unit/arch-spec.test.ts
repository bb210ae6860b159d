import test, { type ExecutionContext } from 'ava';
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { decoders, encoders } from '../../ts/arch/registry';
import { buildModelSpec, VisionEncoderDecoderConfig } from '../../ts/arch/vision-encoder-decoder';
import { ConfigError, UnsupportedError, WeightsError } from '../../ts/errors';
import type { TensorTable } from '../../ts/files/tensor-table';
import type { EncoderSpec, GridBias, WindowSpan } from '../../ts/spec/model-spec';
import { validateModelSpec } from '../../ts/spec/validate';

const GOLDEN = join(__dirname, '../golden/models');
type Json = Record<string, unknown> & { encoder: Record<string, unknown>; decoder: Record<string, unknown> };
const cases = JSON.parse(readFileSync(join(GOLDEN, 'cases.json'), 'utf8')) as {
  name: string;
  encoder: string;
  decoder: string;
}[];
const readJson = (name: string) => JSON.parse(readFileSync(join(GOLDEN, name, 'config.json'), 'utf8')) as Json;

/** The tensor table of a golden case, read without the package's own reader. */
function readTable(name: string): TensorTable {
  const folder = join(GOLDEN, name);
  const table: TensorTable = { files: [], tensors: new Map() };
  for (const file of readdirSync(folder).filter((entry) => /^model.*\.safetensors$/.test(entry))) {
    const path = join(folder, file);
    const bytes = readFileSync(path);
    const start = 8 + Number(bytes.readBigUInt64LE(0));
    table.files.push({ path, size: bytes.length, mtimeMs: statSync(path).mtimeMs });
    const header = JSON.parse(bytes.toString('utf8', 8, start)) as Record<string, never>;
    for (const [key, entry] of Object.entries<{ dtype: string; shape: number[]; data_offsets: [number, number] }>(
      header,
    )) {
      if (key === '__metadata__') continue;
      const [from, to] = entry.data_offsets;
      table.tensors.set(key, {
        file: path,
        offset: start + from,
        byteLength: to - from,
        dtype: entry.dtype,
        shape: entry.shape,
      });
    }
  }
  return table;
}

const build = (json: object, table: TensorTable) => buildModelSpec(VisionEncoderDecoderConfig.fromJSON(json), table);
const gpt2 = () => [readJson('vit-gpt2'), readTable('vit-gpt2')] as const;

test('every registered architecture has a golden case', (t) => {
  for (const name of Object.keys(encoders))
    t.true(
      cases.some(({ encoder }) => encoder === name),
      `encoder ${name}`,
    );
  for (const name of Object.keys(decoders))
    t.true(
      cases.some(({ decoder }) => decoder === name),
      `decoder ${name}`,
    );
  for (const { config } of [...Object.values(encoders), ...Object.values(decoders)]) {
    t.true(Object.hasOwn(encoders, config.modelType) || Object.hasOwn(decoders, config.modelType));
  }
});

for (const { name } of cases.filter((entry) => !entry.name.endsWith('-bin'))) {
  test(`${name}: every tensor is placed, the spec is plain data`, (t) => {
    const table = readTable(name);
    const { spec, source } = build(readJson(name), table);
    const { encoder } = readJson(name);
    const { ignorable } = encoders[encoder['model_type'] as string]!;
    const placed = new Set(source.tensors.map((place) => place.name));
    const left = [...table.tensors.keys()].filter((key) => key.startsWith('encoder.') && !placed.has(key));
    const unused = left.filter((key) => ignorable.some((pattern) => pattern.test(key.slice('encoder.'.length))));
    t.is(source.tensors.length, table.tensors.size - unused.length);
    t.deepEqual(JSON.parse(JSON.stringify(spec)), spec);
  });
}

test('specs say what the configs say', (t) => {
  const vit = build(...gpt2()).spec;
  t.like(vit.projection, { in: 26, out: 24 });
  t.is(vit.decoder.head.parts[0]!.weight, vit.decoder.embedding.table);
  const untied = build(readJson('vit-gpt2-untied'), readTable('vit-gpt2-untied')).spec;
  t.is(untied.projection, null);
  t.deepEqual(
    untied.encoder.stages[0]!.layers[0]!.attention.qkv.parts.map(({ bias }) => bias),
    [null, null, null],
  );
  t.deepEqual(
    untied.decoder.layers.map(({ crossAttention }) => crossAttention.scale),
    [1, 1 / 2],
  );
  t.deepEqual(
    untied.decoder.layers.map(({ selfAttention }) => selfAttention.scale),
    [1, 1 / 2],
  );
  t.is(untied.decoder.layers[0]!.mlp.up.out, 96);
  const deit = build(readJson('deit-trocr'), readTable('deit-trocr')).spec;
  t.like(deit.encoder.embedding.positions, { prefix: 2 });
  t.like(deit.decoder.embedding, { scale: Math.sqrt(24), positions: { kind: 'table', rows: 23 } });
  t.deepEqual(deit.decoder.embedding.positions.ids, { kind: 'sequential', offset: 2 });
  t.not(deit.decoder.head.parts[0]!.weight, deit.decoder.embedding.table);
  const sinus = build(readJson('vit-trocr-sinusoidal'), readTable('vit-trocr-sinusoidal')).spec;
  t.is(sinus.projection, null);
  t.like(sinus.decoder, { crossWidth: 30, hiddenSize: 24, finalNorm: null });
  t.deepEqual(sinus.decoder.embedding.positions, {
    ...{ kind: 'sinusoidal', rows: 23, zeroRow: 1 },
    ids: { kind: 'nonPad', padTokenId: 1 },
  });
  const flat = build(readJson('vit-trocr-rectangular'), readTable('vit-trocr-rectangular')).spec.encoder.embedding;
  t.like(flat, {
    imageHeight: 15,
    imageWidth: 28,
    patchHeight: 5,
    patchWidth: 7,
    positions: { gridHeight: 3, gridWidth: 4 },
  });
});

test('a config that contradicts the tensors is refused', (t) => {
  const refuse = (change: (json: Json, table: TensorTable) => void, code: string, message: RegExp) => {
    const [json, table] = gpt2();
    change(json, table);
    t.throws(() => build(json, table), { instanceOf: WeightsError, code, message });
  };
  refuse((json) => (json.encoder['hidden_size'] = 28), 'SHAPE_MISMATCH', /encoder\./);
  refuse((json) => (json.encoder['num_hidden_layers'] = 1), 'UNEXPECTED_TENSOR', /layer\.1/);
  refuse((json) => (json.decoder['n_layer'] = 3), 'MISSING_TENSOR', /h\.2/);
  refuse((json) => (json.encoder['qkv_bias'] = false), 'UNEXPECTED_TENSOR', /query\.bias/);
  refuse((json) => (json.decoder['tie_word_embeddings'] = false), 'MISSING_TENSOR', /lm_head/);
  refuse((_, table) => table.tensors.delete('enc_to_dec_proj.bias'), 'MISSING_TENSOR', /enc_to_dec_proj\.bias/);
});

test('unusable combinations name the key', (t) => {
  const change = (edit: (json: Json) => void) => {
    const [json, table] = gpt2();
    edit(json);
    return () => build(json, table);
  };
  t.throws(
    change((json) => (json.encoder['num_attention_heads'] = 3)),
    { instanceOf: ConfigError, message: /num_attention_heads/ },
  );
  t.throws(
    change((json) => (json.encoder['hidden_act'] = 'prelu')),
    { instanceOf: UnsupportedError, message: /encoder\.hidden_act/ },
  );
  const json = readJson('vit-trocr-sinusoidal');
  json.decoder['cross_attention_hidden_size'] = 29;
  const cross = { instanceOf: ConfigError, message: /cross_attention_hidden_size/ };
  t.throws(() => build(json, readTable('vit-trocr-sinusoidal')), cross);
});

test('buffers of old files are ignored, others are not', (t) => {
  const [json, table] = gpt2();
  const file = table.files[0]!.path;
  const mask = { file, offset: 0, byteLength: 25, dtype: 'U8', shape: [1, 1, 5, 5] };
  table.tensors.set('decoder.transformer.h.0.attn.bias', mask).set('encoder.embeddings.mask_token', mask);
  t.notThrows(() => build(json, table));
  table.tensors.set('decoder.transformer.h.0.attn.biases', mask);
  t.throws(() => build(json, table), { code: 'UNEXPECTED_TENSOR', message: /attn\.biases$/ });
});

test('validation refuses a damaged spec', (t) => {
  const damage: [string, (built: ReturnType<typeof build>) => unknown][] = [
    ['reference', ({ spec }) => (spec.decoder.head.parts[0]!.weight = 10_000)],
    ['negative reference', ({ spec }) => (spec.decoder.layers[0]!.selfNorm.weight = -1)],
    ['heads', ({ spec }) => (spec.encoder.stages[0]!.layers[1]!.attention.heads = 3)],
    ['scale', ({ spec }) => (spec.decoder.layers[1]!.crossAttention.scale = NaN)],
    ['eps', ({ spec }) => (spec.encoder.stages[0]!.layers[0]!.mlpNorm.eps = Infinity)],
    ['hidden size', ({ spec }) => (spec.encoder.hiddenSize = 2 ** 25)],
    ['grid', ({ spec }) => Object.assign(spec.encoder.embedding.positions, { gridWidth: 5 })],
    ['cross width', ({ spec }) => (spec.decoder.crossWidth = 26)],
    ['no layers', ({ spec }) => (spec.decoder.layers = [])],
    ['rows', ({ spec }) => (spec.decoder.maxPositions = 22)],
    ['file', ({ source }) => (source.tensors[0]!.file = 1)],
  ];
  for (const [name, edit] of damage) {
    const built = build(...gpt2());
    edit(built);
    t.throws(
      () => validateModelSpec(built.spec, built.source),
      { instanceOf: ConfigError, code: 'INVALID_SPEC' },
      name,
    );
  }
});

/** The spec of a golden case, changed in one place, does not pass as a whole. */
const refuses = (name: string, edit: (encoder: EncoderSpec) => unknown) => (t: ExecutionContext) => {
  const built = build(readJson(name), readTable(name));
  edit(built.spec.encoder);
  t.throws(() => validateModelSpec(built.spec, built.source), { instanceOf: ConfigError, code: 'INVALID_SPEC' });
};
const span = (encoder: EncoderSpec, layer = 0, stage = 0) => encoder.stages[stage]!.layers[layer]!.attention.span;
const UNROLLED = { levels: 1, strideHeight: 1, strideWidth: 1 };
const DAMAGE: [string, string, (encoder: EncoderSpec) => unknown][] = [
  ['a window of no cells', 'swin-gpt2', (encoder) => Object.assign(span(encoder), { side: 0 })],
  ['a window of too many', 'swin-gpt2', (encoder) => Object.assign(span(encoder), { side: 257 })],
  ['a shift of a window', 'swin-gpt2', (encoder) => Object.assign(span(encoder, 1), { shift: 4 })],
  ['an endless mask', 'swin-gpt2', (encoder) => Object.assign(span(encoder, 1), { mask: -Infinity })],
  ['a table of another window', 'swin-gpt2', (encoder) => Object.assign(span(encoder), { side: 3 })],
  ['no merging between stages', 'swin-gpt2', (encoder) => (encoder.stages[0]!.merging = null)],
  ['a merging at the end', 'swin-gpt2', (encoder) => (encoder.stages[1]!.merging = encoder.stages[0]!.merging)],
  ['a width of another stage', 'swin-gpt2', (encoder) => (encoder.hiddenSize = encoder.stages[0]!.width)],
  ['no stages', 'swin-gpt2', (encoder) => (encoder.stages = [])],
  [
    'no unit of distance',
    'swinv2-bert',
    (encoder) => Object.assign(span(encoder), { bias: { ...swinv2Bias(encoder), unit: 0 } }),
  ],
  ['two biases of one map', 'beit-gpt2', (encoder) => beitBias(encoder).tables.push(0)],
  ['no tables', 'beit-gpt2', (encoder) => (beitBias(encoder).tables = [])],
  ['a bias of another grid', 'beit-gpt2', (encoder) => (beitBias(encoder).gridWidth = 9)],
  ['an odd gate', 'dinov2-swiglu-gpt2', (encoder) => (encoder.stages[0]!.layers[0]!.mlp.up.out = 7)],
  ['an ungated gate', 'dinov2-swiglu-gpt2', (encoder) => (encoder.stages[0]!.layers[0]!.mlp.kind = 'plain')],
  ['a scale that is no tensor', 'dinov2-gpt2', (encoder) => (encoder.stages[0]!.layers[0]!.mlpScale = -1)],
  [
    'more registers than there are',
    'dinov2-registers-gpt2',
    (encoder) => (encoder.embedding.prefixTokens[1]!.count = 9),
  ],
  ['heads that cannot turn', 'dinov3-gpt2', (encoder) => turn(encoder, { headDim: 6, heads: 4 })],
  ['angles of no base', 'dinov3-gpt2', (encoder) => Object.assign(encoder.embedding.positions, { base: 0 })],
  ['detection tokens of another number', 'yolos-gpt2', (encoder) => (encoder.embedding.suffixTokens[0]!.count = 5)],
  [
    'positions for more tokens behind',
    'yolos-bert',
    (encoder) => Object.assign(encoder.embedding.positions, { suffix: 4 }),
  ],
  ['a table per layer too many', 'yolos-gpt2', (encoder) => encoder.stages[0]!.layers.pop()],
  ['a table per layer of one layer', 'yolos-gpt2', (encoder) => (encoder.stages[0]!.layers.length = 1)],
  [
    'detection tokens among turned patches',
    'dinov3-gpt2',
    (encoder) => (encoder.embedding.suffixTokens = encoder.embedding.prefixTokens),
  ],
  [
    'detection tokens beside a bias of the grid',
    'beit-gpt2',
    (encoder) => (encoder.embedding.suffixTokens = encoder.embedding.prefixTokens),
  ],
  ['waves of no base', 'aimv2-native-gpt2', (encoder) => Object.assign(encoder.embedding.positions, { base: 0 })],
  ['an entry into the first stage', 'hiera-gpt2', (encoder) => (encoder.stages[0]!.entry = encoder.stages[1]!.entry)],
  ['a stage without an entry', 'hiera-gpt2', (encoder) => (encoder.stages[1]!.entry = null)],
  ['an entry of another width', 'hiera-gpt2', (encoder) => (encoder.stages[2]!.entry = encoder.stages[1]!.entry)],
  ['a pool of other blocks', 'hiera-gpt2', (encoder) => (encoder.stages[1]!.entry!.poolWidth = 2)],
  ['pooled rows', 'hiera-gpt2', (encoder) => (encoder.embedding.cellOrder = null)],
  ['more pools than levels', 'hiera-gpt2', (encoder) => (encoder.embedding.cellOrder!.levels = 1)],
  ['half a pooled query', 'hiera-gpt2', (encoder) => Object.assign(span(encoder, 0, 1), { tokens: 15 })],
  ['a unit of nothing', 'hiera-gpt2', (encoder) => Object.assign(span(encoder), { tokens: 0 })],
  ['unrolled windows', 'swin-gpt2', (encoder) => (encoder.embedding.cellOrder = UNROLLED)],
  ['unrolled cells beside a bias of the grid', 'beit-gpt2', (encoder) => (encoder.embedding.cellOrder = UNROLLED)],
  ['unrolled cells that are turned', 'dinov3-gpt2', (encoder) => (encoder.embedding.cellOrder = UNROLLED)],
  ['unrolled cells beside a class token', 'dinov2-gpt2', (encoder) => (encoder.embedding.cellOrder = UNROLLED)],
  ['patches without a stride', 'hiera-gpt2', (encoder) => Object.assign(encoder.embedding.tiling, { strideWidth: 0 })],
  ['a frame wider than a patch', 'hiera-gpt2', (encoder) => Object.assign(encoder.embedding.tiling, { padHeight: 3 })],
  ['a negative epsilon', 'aimv2-bart', (encoder) => (encoder.finalNorm!.eps = -1)],
  [
    'a weight of another width',
    'aimv2-bart',
    (encoder) => (encoder.finalNorm!.weight = encoder.embedding.projection.parts[0]!.weight),
  ],
  ['positions for more tokens', 'dinov2-gpt2', (encoder) => Object.assign(encoder.embedding.positions, { prefix: 2 })],
];
function swinv2Bias(encoder: EncoderSpec) {
  return (span(encoder) as WindowSpan).bias;
}
function turn(encoder: EncoderSpec, heads: object): void {
  for (const { attention } of encoder.stages[0]!.layers) Object.assign(attention, heads);
}
function beitBias(encoder: EncoderSpec): GridBias {
  return (span(encoder) as { bias: GridBias }).bias;
}
for (const [what, name, edit] of DAMAGE) test(`validation refuses ${what}`, refuses(name, edit));

test('both names of a vision tower load', (t) => {
  for (const name of ['clip-gpt2', 'siglip-trocr', 'aimv2-bart']) {
    const [json, table] = [readJson(name), readTable(name)];
    const renamed: TensorTable = { files: table.files, tensors: new Map() };
    for (const [key, place] of table.tensors)
      renamed.tensors.set(key.replace(/^encoder\./, 'encoder.vision_model.'), place);
    const [plain, old] = [build(json, table), build(json, renamed)];
    t.deepEqual(old.spec, plain.spec, name);
    t.deepEqual(
      old.source.tensors.map((place) => place.name),
      plain.source.tensors.map((place) => place.name),
      'saved as transformers 5 does',
    );
  }
});

test('what transformers cannot run is refused with its key', (t) => {
  const edits = [
    ['yolos-gpt2', 'image_size', [13, 9], ConfigError],
    ['yolos-gpt2', 'image_size', 12, ConfigError],
    ['yolos-gpt2', 'patch_size', [3, 3], ConfigError],
    ['yolos-gpt2', 'num_detection_tokens', 0, ConfigError],
    ['aimv2-native-gpt2', 'hidden_size', 10, UnsupportedError],
    ['hiera-gpt2', 'image_size', [8, 32], UnsupportedError],
    ['hiera-gpt2', 'image_size', [17, 17], UnsupportedError],
    ['hiera-gpt2', 'embed_dim_multiplier', 1, UnsupportedError],
    ['hiera-gpt2', 'masked_unit_size', [4, 2], ConfigError],
    ['hiera-gpt2', 'masked_unit_attention', [true], ConfigError],
    ['hiera-gpt2', 'num_heads', [2], ConfigError],
    ['hiera-gpt2', 'num_query_pool', 4, ConfigError],
    ['hiera-gpt2', 'patch_size', [3, 3, 3], ConfigError],
  ] as const;
  for (const [name, key, value, instanceOf] of edits) {
    const json = readJson(name);
    json.encoder[key] = value;
    t.throws(() => build(json, readTable(name)), { instanceOf, message: new RegExp(key) }, `${name}: ${key}`);
  }
  for (const name of ['donut-swin-mbart', 'swinv2-bert']) {
    const json = readJson(name);
    json.encoder['use_absolute_embeddings'] = true;
    const refusal = {
      instanceOf: UnsupportedError,
      code: 'UNSUPPORTED_CONFIG',
      message: /encoder\.use_absolute_embeddings/,
    };
    t.throws(() => build(json, readTable(name)), refusal);
  }
  const json = readJson('swin-gpt2');
  json.encoder['num_heads'] = [2];
  t.throws(() => build(json, readTable('swin-gpt2')), { instanceOf: ConfigError, message: /encoder\.num_heads/ });
});
