import test from 'ava';
import { activation } from '../../ts/arch/activations';
import { DeiTConfig, GPT2Config, TrOCRConfig, ViTConfig, VisionEncoderDecoderConfig } from '../../ts/arch/config';
import { ConfigError, OptionError, UnsupportedError } from '../../ts/errors';

test('defaults are those of transformers 5.18', (t) => {
  t.like(new ViTConfig(), {
    hiddenSize: 768,
    imageSize: 224,
    patchSize: 16,
    qkvBias: true,
    layerNormEps: 1e-12,
    hiddenAct: 'gelu',
  });
  t.is(new DeiTConfig().modelType, 'deit');
  t.like(new GPT2Config(), {
    nEmbd: 768,
    nPositions: 1024,
    nInner: null,
    eosTokenId: 50256,
    padTokenId: null,
    layerNormEpsilon: 1e-5,
  });
  const trocr = new TrOCRConfig();
  t.like(trocr, { dModel: 1024, decoderLayers: 12, maxPositionEmbeddings: 512, useLearnedPositionEmbeddings: true });
  t.like(trocr, { padTokenId: 1, bosTokenId: 0, eosTokenId: 2, decoderStartTokenId: 2, tieWordEmbeddings: true });
  t.like(new GPT2Config().toJSON(), { model_type: 'gpt2', n_embd: 768, scale_attn_by_inverse_layer_idx: false });
});

test('common names are aliases of the own ones', (t) => {
  const gpt2 = new GPT2Config({ hiddenSize: 64, nHead: 4 });
  t.like(gpt2, { nEmbd: 64, hiddenSize: 64, numAttentionHeads: 4, numHiddenLayers: 12 });
  t.like(gpt2.toJSON(), { n_embd: 64, n_head: 4 });
  t.false('hidden_size' in gpt2.toJSON());
  t.is(new TrOCRConfig({ hiddenSize: 48 }).dModel, 48);
  t.is(TrOCRConfig.fromJSON({ hidden_size: 32, d_model: 24 }).dModel, 32);
});

test('unknown options name the nearest one', (t) => {
  const bad = (options: object) => () => new ViTConfig(options);
  t.throws(bad({ hiddenSze: 1 }), { instanceOf: OptionError, message: /did you mean 'hiddenSize'/ });
  t.throws(bad({ hidden_size: 1 }), { instanceOf: OptionError, message: /did you mean 'hiddenSize'/ });
  t.throws(bad({ zzzzzzzzzzzz: 1 }), { instanceOf: OptionError, message: /'zzzzzzzzzzzz'$/ });
});

test('JSON survives a round trip, unknown keys and maps verbatim', (t) => {
  const json = { model_type: 'vit', hidden_size: 24, id2label: { '0': 'snake_case' }, future_key: { a_b: [1] } };
  const config = ViTConfig.fromJSON(json);
  t.deepEqual(config.toJSON(), json);
  t.like(config, { hiddenSize: 24, intermediateSize: 3072 });
  (config.toJSON() as typeof json).future_key.a_b.push(2);
  t.deepEqual(config.toJSON(), json);
});

test('hostile numbers are refused by key', (t) => {
  for (const value of [-1, 0, 1.5, 2 ** 40, Infinity, NaN, '768', null, [768], true, {}]) {
    t.throws(
      () => ViTConfig.fromJSON({ hidden_size: value }),
      { instanceOf: ConfigError, message: /hidden_size/ },
      String(value),
    );
  }
  const refuse = (json: object, key: RegExp) =>
    t.throws(() => ViTConfig.fromJSON(json), { instanceOf: ConfigError, message: key });
  refuse({ num_hidden_layers: 1001 }, /num_hidden_layers/);
  refuse({ layer_norm_eps: NaN }, /layer_norm_eps/);
  refuse({ image_size: [224] }, /image_size/);
  refuse({ image_size: [224, 0] }, /image_size/);
  refuse({ qkv_bias: 1 }, /qkv_bias/);
  t.deepEqual(ViTConfig.fromJSON({ image_size: [32, 48] }).imageSize, [32, 48]);
  t.throws(() => TrOCRConfig.fromJSON({ eos_token_id: [2, 'x'] }), { message: /eos_token_id/ });
});

test('the composite needs both halves with a known model_type', (t) => {
  const vit = { model_type: 'vit' };
  const gpt2 = { model_type: 'gpt2' };
  const refuse = (json: object, message: RegExp, error: typeof ConfigError | typeof UnsupportedError = ConfigError) =>
    t.throws(() => VisionEncoderDecoderConfig.fromJSON(json), { instanceOf: error, message });
  refuse({ decoder: gpt2 }, /encoder/);
  refuse({ encoder: vit }, /decoder/);
  refuse({ encoder: {}, decoder: gpt2 }, /encoder\.model_type/);
  refuse({ encoder: vit, decoder: { model_type: 'opt' } }, /decoder\.model_type.*opt/, UnsupportedError);
  refuse({ encoder: gpt2, decoder: gpt2 }, /encoder\.model_type/, UnsupportedError);
  refuse({ encoder: { model_type: 'toString' }, decoder: gpt2 }, /encoder\.model_type/, UnsupportedError);
  refuse({ model_type: 'bert', encoder: vit, decoder: gpt2 }, /model_type/);
  refuse({ encoder: vit, decoder: gpt2, pad_token_id: 'x' }, /pad_token_id/);
});

test('fromEncoderDecoderConfigs makes the decoder a decoder', (t) => {
  const extra = { decoderStartTokenId: 3, padTokenId: 0 };
  const config = VisionEncoderDecoderConfig.fromEncoderDecoderConfigs(
    new ViTConfig({ hiddenSize: 64 }),
    new GPT2Config(),
    extra,
  );
  t.like(config, { decoderStartTokenId: 3, padTokenId: 0, eosTokenId: null });
  const json = config.toJSON();
  t.like(json, { model_type: 'vision-encoder-decoder', is_encoder_decoder: true, decoder_start_token_id: 3 });
  t.like(json['decoder'], { is_decoder: true, add_cross_attention: true });
  t.deepEqual(VisionEncoderDecoderConfig.fromJSON(json).toJSON(), json);
  const misspelled = () =>
    VisionEncoderDecoderConfig.fromEncoderDecoderConfigs(new ViTConfig(), new GPT2Config(), { padTokenid: 1 });
  t.throws(misspelled, { instanceOf: OptionError, message: /padTokenId/ });
});

test('activation names map as ACT2FN does, others are refused by key', (t) => {
  const pairs = {
    gelu: 'gelu',
    gelu_new: 'geluTanh',
    gelu_fast: 'geluTanh',
    swish: 'silu',
    linear: 'identity',
    quick_gelu: 'quickGelu',
  };
  for (const [name, kind] of Object.entries(pairs)) t.is(activation(name, 'k'), kind as never);
  t.throws(() => activation('laplace', 'encoder.hidden_act'), {
    instanceOf: UnsupportedError,
    message: /encoder\.hidden_act.*laplace/,
  });
});
