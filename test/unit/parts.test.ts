/** fromEncoderDecoderPretrained: whatever form the two checkpoints have, and what becomes of what they lack. */
import test from 'ava';
import { createHash } from 'node:crypto';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ConfigError, OptionError, UnsupportedError, WeightsError, type VedError } from '../../ts/errors';
import { GPT2Config, VisionEncoderDecoderModel, type FromPartsOptions } from '../../ts/index';
import { safetensors, tempFolder } from '../hostile/helpers';
import { GOLDEN, readExpected } from '../parity/golden';

interface Entry {
  dtype: string;
  shape: number[];
  data: Buffer;
}
type Tensors = Map<string, Entry>;
type Json = Record<string, unknown>;

function readTensors(path: string): Tensors {
  const bytes = readFileSync(path);
  const start = 8 + Number(bytes.readBigUInt64LE(0));
  const header = JSON.parse(bytes.toString('utf8', 8, start)) as Record<
    string,
    { dtype: string; shape: number[]; data_offsets: [number, number] }
  >;
  delete header['__metadata__'];
  const entries = Object.entries(header).map(
    ([
      name,
      {
        data_offsets: [from, to],
        ...entry
      },
    ]) => {
      return [name, { ...entry, data: bytes.subarray(start + from, start + to) }] as const;
    },
  );
  return new Map(entries);
}

function write(config: Json, tensors: Tensors): string {
  const folder = join(tempFolder(), 'checkpoint');
  mkdirSync(folder);
  const header: Json = {};
  let at = 0;
  for (const [name, { dtype, shape, data }] of tensors)
    header[name] = { dtype, shape, data_offsets: [at, (at += data.length)] };
  const data = Buffer.concat([...tensors.values()].map((entry) => entry.data));
  writeFileSync(join(folder, 'model.safetensors'), safetensors(header, data));
  writeFileSync(join(folder, 'config.json'), JSON.stringify(config));
  return folder;
}

const zeros = (...shape: number[]): Entry => {
  return { dtype: 'F32', shape, data: Buffer.alloc(shape.reduce((product, side) => product * side, 4)) };
};

/** One half of a golden model under the names `rename` gives; null leaves a tensor out. */
function half(name: string, side: 'encoder' | 'decoder', rename: (tensor: string) => string | null): Tensors {
  const tensors: Tensors = new Map();
  for (const [full, entry] of readTensors(join(GOLDEN, name, 'model.safetensors'))) {
    const to = full.startsWith(`${side}.`) ? rename(full.slice(side.length + 1)) : null;
    if (to !== null) tensors.set(to, entry);
  }
  return tensors;
}

const configOf = (name: string, side: 'encoder' | 'decoder'): Json => {
  const json = JSON.parse(readFileSync(join(GOLDEN, name, 'config.json'), 'utf8')) as Record<string, Json>;
  return json[side]!;
};
const plain = (json: Json): Json => ({ ...json, is_decoder: false, add_cross_attention: false });
const same = (name: string) => name;
const noCross = (name: string) => (/crossattention|ln_cross_attn/.test(name) ? null : name);
const whole = (name: string) => join(GOLDEN, name);

const vit = () => write(configOf('vit-gpt2', 'encoder'), half('vit-gpt2', 'encoder', same));
const gpt2 = () => write(plain(configOf('vit-gpt2', 'decoder')), half('vit-gpt2', 'decoder', noCross));

const CROSS = [0, 1].flatMap((layer) =>
  [
    'crossattention.c_attn.bias',
    'crossattention.c_attn.weight',
    'crossattention.c_proj.bias',
    'crossattention.c_proj.weight',
    'crossattention.q_attn.bias',
    'crossattention.q_attn.weight',
    'ln_cross_attn.bias',
    'ln_cross_attn.weight',
  ].map((name) => `decoder.transformer.h.${layer}.${name}`),
);
const PROJECTION = ['enc_to_dec_proj.bias', 'enc_to_dec_proj.weight'];

const build = (encoder: string, decoder: string, options: FromPartsOptions = {}) =>
  VisionEncoderDecoderModel.fromEncoderDecoderPretrained(encoder, decoder, {
    device: 'cpu',
    threads: 1,
    seed: 5,
    ...options,
  });

/** What a model is made of, as it saves it. */
async function stateOf(model: VisionEncoderDecoderModel): Promise<{ tensors: Tensors; config: Json }> {
  const folder = join(tempFolder(), 'saved');
  await model.savePretrained(folder);
  const config = JSON.parse(readFileSync(join(folder, 'config.json'), 'utf8')) as Json;
  return { tensors: readTensors(join(folder, 'model.safetensors')), config };
}

const digest = ({ data }: Entry) => createHash('sha256').update(data).digest('hex');

async function checkSame(t: { is: (a: unknown, b: unknown, message: string) => void }, state: Tensors, name: string) {
  const golden = readTensors(join(GOLDEN, name, 'model.safetensors'));
  return (tensor: string) => t.is(digest(state.get(tensor)!), digest(golden.get(tensor)!), tensor);
}

const encoders: Record<string, () => string> = {
  'bare model': vit,
  'with a head': () => {
    const tensors = half('vit-gpt2', 'encoder', (name) => `vit.${name}`);
    tensors.set('classifier.weight', zeros(7, 26)).set('classifier.bias', zeros(7));
    return write({ ...configOf('vit-gpt2', 'encoder'), architectures: ['ViTForImageClassification'] }, tensors);
  },
  'half of a whole': () => whole('vit-gpt2'),
};
const decoders: Record<string, () => string> = {
  'causal model': gpt2,
  'bare model': () =>
    write(
      plain(configOf('vit-gpt2', 'decoder')),
      half('vit-gpt2', 'decoder', (name) => noCross(name)?.replace('transformer.', '') ?? null),
    ),
};

for (const [encoderForm, encoder] of Object.entries(encoders)) {
  for (const [decoderForm, decoder] of Object.entries(decoders)) {
    test(`ViT ${encoderForm}, GPT-2 ${decoderForm}: the rest is taken over, cross-attention is new`, async (t) => {
      await using model = await build(encoder(), decoder());
      t.deepEqual([...model.newlyInitialized].sort(), [...CROSS, ...PROJECTION].sort());
      const { tensors, config } = await stateOf(model);
      const check = await checkSame(t, tensors, 'vit-gpt2');
      for (const name of tensors.keys()) if (!model.newlyInitialized.includes(name)) check(name);
      t.like(config['decoder'], { is_decoder: true, add_cross_attention: true });
      t.like(config['encoder'], { model_type: 'vit' });
      t.like(config, { is_encoder_decoder: true, tie_word_embeddings: false });
      t.deepEqual([model.config.decoderStartTokenId, model.config.padTokenId], [null, null]);
      t.false('decoder_start_token_id' in config || 'pad_token_id' in config);
    });
  }
}

test('both halves of one checkpoint: the same model where no projection is needed', async (t) => {
  const name = 'vit-gpt2-untied';
  await using model = await build(whole(name), whole(name));
  t.deepEqual([...model.newlyInitialized], []);
  const expected = readExpected(name);
  const all = expected.tensors.get('pixel_values')!;
  const pixelValues = {
    data: all.data.slice(0, (all.data.length / all.dims[0]!) * 2),
    dims: [2, ...all.dims.slice(1)],
  };
  const { decoderInputIds } = expected.forwards.find((forward) => forward.name === 'ids')!;
  const inputs = { pixelValues, decoderInputIds: decoderInputIds! };
  await using original = await VisionEncoderDecoderModel.fromPretrained(whole(name), { device: 'cpu', threads: 1 });
  t.deepEqual((await model.forward(inputs)).logits, (await original.forward(inputs)).logits);
});

test('a mixed pair brings its own cross-attention, and sequence-to-sequence names lead to the decoder half', async (t) => {
  const rename = (name: string) => (name === 'model.decoder.embed_tokens.weight' ? 'model.shared.weight' : name);
  const tensors = half('deit-trocr', 'decoder', rename);
  tensors.set('model.encoder.layers.0.fc1.weight', zeros(3, 3)).set('final_logits_bias', zeros(1, 47));
  const folder = write(configOf('deit-trocr', 'decoder'), tensors);
  const bare: Tensors = new Map([...tensors].map(([name, entry]) => [name.replace(/^model\./, ''), entry]));
  bare.delete('output_projection.weight');
  for (const [decoder, fresh] of [
    [whole('deit-trocr'), []],
    [folder, []],
    [write(configOf('deit-trocr', 'decoder'), bare), ['decoder.output_projection.weight']],
  ] as const) {
    await using model = await build(vit(), decoder);
    t.deepEqual([...model.newlyInitialized].sort(), [...fresh, ...PROJECTION].sort());
    const state = await stateOf(model);
    const check = await checkSame(t, state.tensors, 'deit-trocr');
    check('decoder.model.decoder.embed_tokens.weight');
    check('decoder.model.decoder.layers.1.encoder_attn.k_proj.weight');
    t.false([...state.tensors.keys()].some((name) => /shared|model\.encoder|final_logits/.test(name)));
  }
});

test('what is new follows the rules of the decoder, and the seed', async (t) => {
  const { tensors } = await stateOf(await build(vit(), gpt2(), { decoderConfig: { initializerRange: 0.5 } }));
  const values = (name: string) => {
    const { data } = tensors.get(name)!;
    return new Float32Array(data.buffer.slice(data.byteOffset, data.byteOffset + data.length));
  };
  const deviation = (name: string) => Math.sqrt(values(name).reduce((sum, x) => sum + x * x, 0) / values(name).length);
  // Of n normal values the sample deviation is within 4 σ/√(2n) of σ; n is 576 at least.
  const near = (name: string, std: number) => t.true(Math.abs(deviation(name) - std) < std * 0.12, name);
  near('decoder.transformer.h.0.crossattention.q_attn.weight', 0.5);
  near('decoder.transformer.h.1.crossattention.c_attn.weight', 0.5);
  near('decoder.transformer.h.0.crossattention.c_proj.weight', 0.25);
  near('enc_to_dec_proj.weight', 0.5);
  t.true(values('decoder.transformer.h.0.ln_cross_attn.weight').every((x) => x === 1));
  t.true(values('decoder.transformer.h.1.crossattention.c_attn.bias').every((x) => x === 0));
  const again = await stateOf(await build(vit(), gpt2(), { decoderConfig: { initializerRange: 0.5 } }));
  const other = await stateOf(await build(vit(), gpt2(), { seed: 6 }));
  const name = 'enc_to_dec_proj.weight';
  t.is(digest(again.tensors.get(name)!), digest(tensors.get(name)!));
  t.not(digest(other.tensors.get(name)!), digest(tensors.get(name)!));
});

test('configs can be changed: other values, fewer layers, a config of its own, keys of the composite', async (t) => {
  const options = {
    encoderConfig: { numHiddenLayers: 1, hiddenDropoutProb: 0 },
    decoderConfig: { numHiddenLayers: 1, activationFunction: 'relu' },
    config: { decoderStartTokenId: 2, padTokenId: 1 },
  };
  await using model = await build(vit(), gpt2(), options);
  t.like(model.config, { decoderStartTokenId: 2, padTokenId: 1 });
  const { tensors, config } = await stateOf(model);
  t.like(config['encoder'], { num_hidden_layers: 1 });
  t.like(config['decoder'], { n_layer: 1, activation_function: 'relu', vocab_size: 53 });
  t.false([...tensors.keys()].some((name) => /layer\.1\.|h\.1\./.test(name)));
  t.deepEqual([...model.newlyInitialized].sort(), [...CROSS.filter((n) => n.includes('.h.0.')), ...PROJECTION].sort());

  const { n_layer: _, ...rest } = configOf('vit-gpt2', 'decoder');
  const own = GPT2Config.fromJSON({ ...rest, n_layer: 1 });
  await using second = await build(vit(), gpt2(), { decoderConfig: own });
  t.is((second.config.decoder as InstanceType<typeof GPT2Config>).nLayer, 1);
});

async function refused(t: { is: (a: unknown, b: unknown, c?: string) => void }, run: () => Promise<unknown>) {
  try {
    await run();
  } catch (error) {
    return error as VedError;
  }
  t.is('nothing thrown', 'an error');
  throw new Error('unreachable');
}

test('what cannot be right is refused', async (t) => {
  const strange = half('vit-gpt2', 'encoder', (name) => `odd.${name}`);
  const extra = half('vit-gpt2', 'decoder', noCross).set('transformer.h.2.ln_1.weight', zeros(24));
  const small = half('vit-gpt2', 'decoder', noCross).set('transformer.wpe.weight', zeros(9, 24));
  const config = (json: Json) => write(json, half('vit-gpt2', 'encoder', same));
  const encoderJson = configOf('vit-gpt2', 'encoder');
  const decoderJson = plain(configOf('vit-gpt2', 'decoder'));
  const cases: [() => Promise<unknown>, new (...args: never[]) => VedError, RegExp][] = [
    [() => build(write(encoderJson, strange), gpt2()), WeightsError, /expected|got/],
    [() => build(vit(), write(decoderJson, extra)), WeightsError, /transformer\.h\.2\.ln_1\.weight/],
    [() => build(vit(), write(decoderJson, small)), WeightsError, /wpe\.weight.*\[23, 24\], got \[9, 24\]/],
    [() => build(vit(), write(decoderJson, new Map([['x', zeros(1)]]))), WeightsError, /decoder|transformer/],
    [() => build(gpt2(), gpt2()), UnsupportedError, /encoder\.model_type.*gpt2/],
    [() => build(vit(), vit()), UnsupportedError, /decoder\.model_type.*vit/],
    [() => build(config({}), gpt2()), ConfigError, /encoder\.model_type/],
    [() => build(config({ model_type: 'vision-encoder-decoder' }), gpt2()), ConfigError, /encoder/],
    [() => build(vit(), gpt2(), { decoderConfig: { nLayers: 1 } }), OptionError, /'nLayer'/],
    [() => build(vit(), gpt2(), { decoderConfig: { nLayer: 0 } }), ConfigError, /n_layer/],
    [() => build(vit(), gpt2(), { encoderConfig: 7 as never }), OptionError, /encoderConfig/],
    [() => build(vit(), gpt2(), { config: { padTokenid: 1 } }), OptionError, /'padTokenId'/],
    [() => build(vit(), gpt2(), { encoder_config: {} } as never), OptionError, /'encoderConfig'/],
    [() => build(vit(), gpt2(), { seed: -1 }), OptionError, /seed/],
    [() => build('/nowhere/at/all', gpt2()), Error as never, /nowhere/],
  ];
  for (const [run, Class, message] of cases) {
    const error = await refused(t, run);
    t.true(error instanceof Class, `${run.toString()}: ${error.name} ${error.message}`);
    t.regex(error.message, message, run.toString());
  }
});
