/** What decoders refuse and which defaults of their classes count. The maths is test/parity's. */
import test from 'ava';
import { copyFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { decoders, refusedDecoders } from '../../ts/arch/registry';
import { buildModelSpec, VisionEncoderDecoderConfig } from '../../ts/arch/vision-encoder-decoder';
import { openRepository } from '../../ts/files/repository';
import { ConfigError, UnsupportedError, VisionEncoderDecoderModel } from '../../ts/index';
import { interleavedSinusoids, sinusoids, type Draw } from '../../ts/spec/init';
import { GOLDEN } from '../parity/golden';

type Json = Record<string, unknown> & { decoder: Record<string, unknown> };

const readConfig = (name: string) => JSON.parse(readFileSync(join(GOLDEN, name, 'config.json'), 'utf8')) as Json;

async function buildWith(name: string, change: (decoder: Record<string, unknown>) => void) {
  const json = readConfig(name);
  change(json.decoder);
  const repository = await openRepository(join(GOLDEN, name));
  return buildModelSpec(VisionEncoderDecoderConfig.fromJSON(json), await repository.loadTensorTable());
}

test('a BERT that is no decoder is refused by key', async (t) => {
  for (const key of ['is_decoder', 'add_cross_attention']) {
    const message = new RegExp(`decoder\\.${key}: expected true, got false`);
    await t.throwsAsync(
      buildWith('vit-bert', (decoder) => (decoder[key] = false)),
      { instanceOf: ConfigError, message },
    );
    await t.throwsAsync(
      buildWith('vit-roberta', (decoder) => delete decoder[key]),
      { instanceOf: ConfigError, message },
    );
  }
});

test('decoders that cannot work are refused with the reason', (t) => {
  const encoder = { model_type: 'vit' };
  const reasons: [string, RegExp][] = [
    ['opt', /got "opt": it has no cross-attention$/],
    ['biogpt', /the image would be ignored$/],
    ['megatron-bert', /cross-attention fails/],
    ['llama', /got "llama"$/],
  ];
  for (const [modelType, message] of reasons) {
    const decoder = { model_type: modelType };
    t.throws(() => VisionEncoderDecoderConfig.fromJSON({ model_type: 'vision-encoder-decoder', encoder, decoder }), {
      instanceOf: UnsupportedError,
      code: 'UNSUPPORTED_ARCHITECTURE',
      message,
    });
  }
  for (const name of Object.keys(refusedDecoders)) t.false(Object.hasOwn(decoders, name), name);
});

test('values that change the maths in ways this package has not are refused by key', async (t) => {
  const refuse = (name: string, key: string, value: unknown) =>
    t.throwsAsync(
      buildWith(name, (decoder) => (decoder[key] = value)),
      { instanceOf: UnsupportedError, code: 'UNSUPPORTED_CONFIG', message: new RegExp(`decoder\\.${key}: expected`) },
    );
  await refuse('vit-mvp', 'use_prompt', true);
  await refuse('vit-marian', 'decoder_vocab_size', 40);
  await refuse('vit-xglm', 'add_cross_attention', false);
});

test('tables of sinusoids are those of transformers', (t) => {
  // row 2 of Marian's and DistilBERT's create_weight for width 5
  const expected: [Draw, number[]][] = [
    [sinusoids, [0.9092974, 0.0502166, 0.0012619, -0.4161468, 0.9987384]],
    [interleavedSinusoids, [0.9092974, -0.4161468, 0.0502166, 0.9987384, 0.0012619]],
  ];
  for (const [draw, row] of expected) {
    const drawn = typeof draw === 'function' ? draw([3, 5]) : draw;
    const values = drawn.kind === 'values' ? [...drawn.values] : [];
    t.is(values.length, 15);
    row.forEach((value, index) => t.true(Math.abs(values[10 + index]! - value) < 1e-6, `column ${index}`));
  }
});

test('X-MOD runs in the language of the config, and the adapters of the others are kept', async (t) => {
  const adapters = (language: string) => new RegExp(`output\\.adapter_modules\\.${language}\\.`);
  const { spec, source } = await buildWith('vit-xmod', () => undefined);
  for (const language of ['en_XX', 'de_DE'])
    t.is(source.tensors.filter(({ name }) => adapters(language).test(name)).length, 4);
  const used = (built: typeof spec) => {
    const { up, down } = built.decoder.layers[0]!.adapter!.mlp;
    return [up, down].map(({ parts: [part] }) => source.tensors[part!.weight]!.name);
  };
  t.true(used(spec).every((name) => adapters('de_DE').test(name)));
  const other = await buildWith('vit-xmod', (decoder) => (decoder['default_language'] = 'en_XX'));
  t.true(used(other.spec).every((name) => adapters('en_XX').test(name)));
  await t.throwsAsync(
    buildWith('vit-xmod', (decoder) => (decoder['default_language'] = null)),
    { instanceOf: UnsupportedError, message: /decoder\.default_language: expected one of en_XX, de_DE, got null/ },
  );
  const wrong: [string, unknown, RegExp][] = [
    ['default_language', 'fr_XX', /decoder\.default_language: expected one of en_XX, de_DE, got fr_XX/],
    ['languages', ['en_XX', 'en_XX'], /languages: expected a list of 1 to 1000 different names/],
    ['languages', ['a.b'], /languages: expected a list/],
    ['adapter_reduction_factor', 17, /adapter_reduction_factor: expected at most the hidden size 16, got 17/],
  ];
  for (const [key, value, message] of wrong)
    await t.throwsAsync(
      buildWith('vit-xmod', (decoder) => (decoder[key] = value)),
      { instanceOf: ConfigError, message },
    );
});

test('RoFormer turns pairs, and RoCBert pads inside its tables', async (t) => {
  await t.throwsAsync(
    buildWith('vit-roformer', (decoder) => (decoder['num_attention_heads'] = 4)),
    { instanceOf: ConfigError, message: /decoder\.num_attention_heads: expected heads of an even width/ },
  );
  await t.throwsAsync(
    buildWith('vit-roc-bert', (decoder) => (decoder['pad_token_id'] = 6)),
    { instanceOf: ConfigError, message: /decoder\.shape_vocab_size: expected more than pad_token_id 6, got 5/ },
  );
  const { spec, source } = await buildWith('deit-roc-bert-sum', () => undefined);
  t.is(spec.decoder.embedding.tokenMap, null);
  t.true(source.tensors.some(({ name }) => name.endsWith('embeddings.shape_embed.weight')));
});

test('ProphetNet refuses what transformers cannot run', async (t) => {
  await t.throwsAsync(
    buildWith('vit-prophetnet', (decoder) => (decoder['pad_token_id'] = 1)),
    { instanceOf: UnsupportedError, message: /decoder\.pad_token_id: expected 0, got 1/ },
  );
  const wrong: [string, unknown, RegExp][] = [
    ['num_buckets', 1, /decoder\.num_buckets: expected at least 2, got 1/],
    ['relative_max_distance', 2, /decoder\.relative_max_distance: expected more than half of num_buckets, 2, got 2/],
    ['add_cross_attention', false, /decoder\.add_cross_attention: expected true, got false/],
    ['max_position_embeddings', 2, /decoder\.max_position_embeddings: expected at least 3, got 2/],
  ];
  for (const [key, value, message] of wrong)
    await t.throwsAsync(
      buildWith('vit-prophetnet', (decoder) => (decoder[key] = value)),
      { instanceOf: ConfigError, message },
    );
  const { spec } = await buildWith('vit-prophetnet', () => undefined);
  t.is(spec.decoder.maxPositions, 17);
});

test('relative positions of transformers 4 are refused by key', async (t) => {
  const refused = { instanceOf: UnsupportedError, message: /decoder\.position_embedding_type: .* got "relative_key"/ };
  await t.throwsAsync(
    buildWith('vit-bert', (decoder) => (decoder['position_embedding_type'] = 'relative_key')),
    refused,
  );
  await t.notThrowsAsync(buildWith('vit-bert', (decoder) => (decoder['position_embedding_type'] = 'absolute')));
});

test('RoBERTa positions need a pad token inside the vocabulary and the table', async (t) => {
  for (const pad of [null, -1, 43]) {
    await t.throwsAsync(
      buildWith('vit-roberta', (decoder) => (decoder['pad_token_id'] = pad)),
      { instanceOf: ConfigError, message: /decoder\.pad_token_id/ },
    );
  }
  await t.throwsAsync(
    buildWith('vit-roberta', (decoder) => (decoder['pad_token_id'] = 18)),
    { instanceOf: ConfigError, message: /max_position_embeddings: expected more than pad_token_id \+ 1 = 19, got 19/ },
  );
  const { spec } = await buildWith('vit-roberta', () => undefined);
  t.is(spec.decoder.maxPositions, 17);
});

test("without generation_config.json the decoder's class defaults count", async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'ved-defaults-'));
  try {
    const json = readConfig('vit-bart');
    for (const key of [
      'forced_eos_token_id',
      'decoder_start_token_id',
      'pad_token_id',
      'eos_token_id',
      'bos_token_id',
    ]) {
      delete json[key];
      delete json.decoder[key];
    }
    writeFileSync(join(folder, 'config.json'), JSON.stringify(json));
    copyFileSync(join(GOLDEN, 'vit-bart', 'model.safetensors'), join(folder, 'model.safetensors'));
    const model = await VisionEncoderDecoderModel.fromPretrained(folder, { device: 'cpu' });
    const { forcedEosTokenId, decoderStartTokenId, padTokenId, eosTokenId, bosTokenId } = model.generationConfig;
    await model.dispose();
    t.deepEqual([forcedEosTokenId, decoderStartTokenId, padTokenId, eosTokenId, bosTokenId], [2, 2, 1, 2, 0]);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});
