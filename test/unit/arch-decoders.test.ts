/** What decoders refuse and which defaults of their classes count. The maths is test/parity's. */
import test from 'ava';
import { copyFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buildModelSpec, VisionEncoderDecoderConfig } from '../../ts/arch/vision-encoder-decoder';
import { openRepository } from '../../ts/files/repository';
import { ConfigError, UnsupportedError, VisionEncoderDecoderModel } from '../../ts/index';
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
