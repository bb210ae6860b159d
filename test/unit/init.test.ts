/** Random initialisation: every architecture has rules for all of its tensors, and what is drawn follows them. */
import test from 'ava';
import { DeiTConfig, GPT2Config, TrOCRConfig, ViTConfig } from '../../ts/arch/config';
import { decoders, encoders } from '../../ts/arch/registry';
import { buildModelSpec, VisionEncoderDecoderConfig } from '../../ts/arch/vision-encoder-decoder';
import { ConfigError, OptionError } from '../../ts/errors';
import { VisionEncoderDecoderModel } from '../../ts/model';
import { loadNative } from '../../ts/native/load';
import {
  distributionOf,
  lecunNormal,
  normal,
  truncatedNormal,
  xavierUniform,
  zeros,
  type Distribution,
  type NewTensor,
} from '../../ts/spec/init';

type AnyConfig = Parameters<typeof VisionEncoderDecoderConfig.fromEncoderDecoderConfigs>[0];

/** What would be drawn, by name; nothing is. */
function created(encoder: AnyConfig, decoder: AnyConfig): Map<string, NewTensor> {
  const config = VisionEncoderDecoderConfig.fromEncoderDecoderConfigs(encoder, decoder);
  const { source } = buildModelSpec(config, { files: [], tensors: new Map() }, 'create');
  return new Map(source.created.map((tensor) => [tensor.name, tensor]));
}

for (const [name, { config }] of Object.entries(encoders)) {
  test(`encoder ${name}: its default config has a rule for every tensor`, (t) => {
    const tensors = created(config.fromJSON({ model_type: name }), new GPT2Config());
    t.true([...tensors.keys()].filter((key) => key.startsWith('encoder.')).length > 10);
  });
}

/** Keys that a config cannot do without. */
const NEEDED: Readonly<Record<string, object>> = { xmod: { default_language: 'en_XX' } };

for (const [name, { config }] of Object.entries(decoders)) {
  test(`decoder ${name}: its default config has a rule for every tensor`, (t) => {
    const tensors = created(new ViTConfig(), config.fromJSON({ model_type: name, ...NEEDED[name] }));
    t.true([...tensors.keys()].filter((key) => key.startsWith('decoder.')).length > 10);
  });
}

const VIT = {
  hiddenSize: 24,
  numHiddenLayers: 2,
  numAttentionHeads: 2,
  intermediateSize: 36,
  imageSize: 20,
  patchSize: 5,
};
const GPT2 = { bosTokenId: 1, eosTokenId: 2, vocabSize: 301, nPositions: 40, nEmbd: 48, nLayer: 2, nHead: 2 };
const TROCR = { vocabSize: 301, dModel: 24, decoderLayers: 2, decoderAttentionHeads: 2, decoderFfnDim: 36 };

function rule(tensors: Map<string, NewTensor>, name: string): Distribution | undefined {
  return tensors.get(name)?.distribution;
}

test('ViT and GPT-2 start as modeling_vit.py and modeling_gpt2.py say', (t) => {
  const tensors = created(
    new ViTConfig({ ...VIT, initializerRange: 0.3 }),
    new GPT2Config({ ...GPT2, initializerRange: 0.5 }),
  );
  const expected: Record<string, Distribution> = {
    'encoder.embeddings.cls_token': truncatedNormal(0.3),
    'encoder.embeddings.position_embeddings': truncatedNormal(0.3),
    'encoder.embeddings.patch_embeddings.projection.weight': normal(0.3),
    'encoder.encoder.layer.1.output.dense.bias': zeros,
    'encoder.layernorm.weight': { kind: 'constant', value: 1 },
    'encoder.layernorm.bias': zeros,
    'decoder.transformer.wte.weight': normal(0.5),
    'decoder.transformer.wpe.weight': normal(0.5),
    'decoder.transformer.h.1.crossattention.q_attn.weight': normal(0.5),
    'decoder.transformer.h.0.attn.c_proj.weight': normal(0.25),
    'decoder.transformer.h.1.crossattention.c_proj.weight': normal(0.25),
    'decoder.transformer.h.1.mlp.c_proj.weight': normal(0.25),
    'decoder.transformer.h.1.mlp.c_proj.bias': zeros,
    'enc_to_dec_proj.weight': normal(0.5),
    'enc_to_dec_proj.bias': zeros,
  };
  for (const [name, distribution] of Object.entries(expected)) t.deepEqual(rule(tensors, name), distribution, name);
  t.is(tensors.get('decoder.transformer.wte.weight')?.zeroRow, null);
  t.false(tensors.has('decoder.lm_head.weight'));
});

test('DeiT starts its tokens at 0; TrOCR uses init_std, with its padding row at 0 and 0.02 for enc_to_dec_proj', (t) => {
  const tensors = created(
    new DeiTConfig(VIT),
    new TrOCRConfig({ ...TROCR, dModel: 32, initStd: 0.7, padTokenId: 3, tieWordEmbeddings: false }),
  );
  for (const name of ['cls_token', 'distillation_token', 'position_embeddings'])
    t.deepEqual(rule(tensors, `encoder.embeddings.${name}`), zeros, name);
  t.is(tensors.get('decoder.model.decoder.embed_tokens.weight')?.zeroRow, 3);
  t.is(tensors.get('decoder.model.decoder.embed_positions.weight')?.zeroRow, null);
  t.deepEqual(rule(tensors, 'decoder.model.decoder.layers.0.encoder_attn.k_proj.weight'), normal(0.7));
  t.deepEqual(rule(tensors, 'decoder.output_projection.weight'), normal(0.7));
  t.deepEqual(rule(tensors, 'enc_to_dec_proj.weight'), normal(0.02));
});

test('an initializer_range of 0 stands for 0.02, except where GPT-2 and ViT use it as it is', (t) => {
  const tensors = created(
    new ViTConfig({ ...VIT, initializerRange: 0 }),
    new GPT2Config({ ...GPT2, initializerRange: 0 }),
  );
  t.deepEqual(rule(tensors, 'encoder.layernorm.weight'), { kind: 'constant', value: 1 });
  t.deepEqual(rule(tensors, 'encoder.embeddings.cls_token'), truncatedNormal(0));
  t.deepEqual(rule(tensors, 'encoder.encoder.layer.0.output.dense.weight'), normal(0.02));
  t.deepEqual(rule(tensors, 'decoder.transformer.wte.weight'), normal(0.02));
  t.deepEqual(rule(tensors, 'decoder.transformer.h.0.mlp.c_fc.weight'), normal(0));
});

test('rules that depend on the shape', (t) => {
  const at = (draw: typeof xavierUniform, shape: number[]) =>
    distributionOf({ std: 1, special: [[/w/, draw]] }, 'w', 'w', 'weight', shape);
  t.deepEqual(at(xavierUniform, [20, 4]), { kind: 'uniform', bound: 0.5 });
  t.deepEqual(at(lecunNormal, [8, 1, 2, 2]), truncatedNormal(0.5 / 0.87962566103423978));
  t.throws(() => distributionOf({ std: 1 }, 'encoder.odd', 'odd', 'parameter', [1]), {
    instanceOf: ConfigError,
    code: 'NO_INIT_RULE',
    message: /encoder\.odd/,
  });
});

const config = (seedless = {}) =>
  VisionEncoderDecoderConfig.fromEncoderDecoderConfigs(new ViTConfig(VIT), new GPT2Config({ ...GPT2, ...seedless }), {
    decoderStartTokenId: 1,
    padTokenId: 0,
  });
const pixels = { data: Float32Array.from({ length: 2 * 3 * 400 }, (_, i) => Math.sin(i)), dims: [2, 3, 20, 20] };
const ids = [
  [1, 5, 9],
  [1, 7, 2],
];

async function logits(options: object): Promise<Float32Array> {
  await using model = await VisionEncoderDecoderModel.fromConfig(config(), { device: 'cpu', ...options });
  return (await model.forward({ pixelValues: pixels, decoderInputIds: ids })).logits.data;
}

test('fromConfig: a model that runs, the same for the same seed on any number of threads', async (t) => {
  const first = await logits({ seed: 7, threads: 1 });
  t.true(first.every(Number.isFinite));
  t.true(new Set(first).size > 500);
  t.deepEqual(await logits({ seed: 7, threads: 1 }), first);
  t.deepEqual(await logits({ seed: 7, threads: 3 }), first);
  t.notDeepEqual(await logits({ seed: 8, threads: 1 }), first);
  t.notDeepEqual(await logits({}), await logits({}));
});

test('fromConfig: every tensor is new, and counts as memory', async (t) => {
  await using model = await VisionEncoderDecoderModel.fromConfig(config(), { seed: 1, device: 'cpu' });
  const names = [...model.parameters()].map(({ name }) => name);
  t.deepEqual([...model.newlyInitialized], names);
  t.true(names.includes('enc_to_dec_proj.weight'));
  const bytes = [...model.parameters()].reduce((sum, { shape }) => sum + 4 * shape.reduce((a, b) => a * b, 1), 0);
  t.true(model.memory().weightBytes >= 2 * bytes, 'masters and packed weights');
  const { sequences } = await model.generate(pixels, { maxNewTokens: 4 });
  t.is(sequences.length, 2);
});

test('fromConfig refuses bad seeds, options and configs', async (t) => {
  const make = (value: unknown, options: object = {}) =>
    VisionEncoderDecoderModel.fromConfig(value as VisionEncoderDecoderConfig, options);
  for (const seed of [-1, 1.5, NaN, 2 ** 53, '1'])
    await t.throwsAsync(make(config(), { seed }), { instanceOf: OptionError, message: /seed/ });
  await t.throwsAsync(make(config(), { sed: 1 }), { instanceOf: OptionError, message: /seed/ });
  for (const value of [null, undefined, {}, config().toJSON()])
    await t.throwsAsync(make(value), { instanceOf: OptionError, message: /VisionEncoderDecoderConfig/ });
  const reason = new Error('stop');
  await t.throwsAsync(make(config(), { signal: AbortSignal.abort(reason) }), { is: reason });
});

test('fromConfig can be aborted while tensors are drawn', async (t) => {
  const decoder = new GPT2Config({ ...GPT2, vocabSize: 400_000, nEmbd: 128 });
  const large = VisionEncoderDecoderConfig.fromEncoderDecoderConfigs(new ViTConfig(VIT), decoder);
  const control = new AbortController();
  const reason = new Error('enough');
  setTimeout(() => control.abort(reason), 20);
  await t.throwsAsync(VisionEncoderDecoderModel.fromConfig(large, { device: 'cpu', signal: control.signal }), {
    is: reason,
  });
});

test('the native side refuses new tensors that make no sense', async (t) => {
  const { spec, source } = buildModelSpec(config(), { files: [], tensors: new Map() }, 'create');
  const options = { backend: 'cpu', isa: 'auto', dtype: 'float32', threads: 1, maxBatch: 1, fuse: true } as const;
  const load = (change: (copy: typeof source) => void) => {
    const copy = structuredClone(source);
    change(copy);
    return loadNative().loadModel(copy, spec, options).promise;
  };
  const memory = (copy: typeof source) => copy.tensors[0] as unknown as Record<string, unknown>;
  for (const change of [
    (copy: typeof source) => (memory(copy)['buffer'] = 1),
    (copy: typeof source) => (memory(copy)['byteLength'] = 4),
    (copy: typeof source) => (memory(copy)['dtype'] = 'F16'),
    (copy: typeof source) => (copy.created[0]!.shape = [1]),
    (copy: typeof source) => (copy.created[0]!.shape = [-1]),
    (copy: typeof source) => (copy.created[0]!.zeroRow = 99),
    (copy: typeof source) => (copy.created[0]!.distribution = { kind: 'normal', std: -1 }),
    (copy: typeof source) => copy.created.pop(),
  ]) {
    const error = await t.throwsAsync(load(change), undefined, change.toString());
    t.is((error as { kind?: string } | undefined)?.kind, 'weights', change.toString());
  }
  for (const change of [
    (copy: typeof source) => (memory(copy)['kind'] = 'tape'),
    (copy: typeof source) => (memory(copy)['buffer'] = 2 ** 32),
    (copy: typeof source) => (copy.created[0]!.distribution = { kind: 'cauchy' } as never),
    (copy: typeof source) => (copy.created[0]!.distribution = { kind: 'values', values: [1] } as never),
    (copy: typeof source) => delete (copy as Partial<typeof source>).created,
  ]) {
    t.throws(() => void load(change), { code: 'INVALID_ARGUMENT' }, change.toString());
  }
});
