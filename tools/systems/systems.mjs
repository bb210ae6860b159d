// The systems that people run, with the configurations they are published with. Where a value could not be confirmed from the
// published file, it is the one of the conversion script in transformers; docs/systems.md says which.
const vit = (size, width, layers, heads, extra = {}) => ({
  model_type: 'vit',
  hidden_size: width,
  num_hidden_layers: layers,
  num_attention_heads: heads,
  intermediate_size: 4 * width,
  image_size: size,
  patch_size: 16,
  ...extra,
});

const trocr = (extra) => ({
  model_type: 'trocr',
  vocab_size: 50265,
  d_model: 1024,
  decoder_layers: 12,
  decoder_attention_heads: 16,
  decoder_ffn_dim: 4096,
  activation_function: 'gelu',
  max_position_embeddings: 512,
  use_learned_position_embeddings: true,
  layernorm_embedding: true,
  scale_embedding: false,
  tie_word_embeddings: true,
  is_decoder: true,
  add_cross_attention: true,
  bos_token_id: 0,
  pad_token_id: 1,
  eos_token_id: 2,
  decoder_start_token_id: 2,
  ...extra,
});
const STAGE1 = {
  activation_function: 'relu',
  max_position_embeddings: 1024,
  use_learned_position_embeddings: false,
  layernorm_embedding: false,
  scale_embedding: true,
  tie_word_embeddings: false,
};
const trocrBase = (extra) => ({
  encoder: vit(384, 768, 12, 12, { qkv_bias: false }),
  decoder: trocr({ cross_attention_hidden_size: 768, ...extra }),
});
const trocrLarge = (extra) => ({
  encoder: vit(384, 1024, 24, 16, { qkv_bias: false }),
  decoder: trocr({ cross_attention_hidden_size: 1024, ...extra }),
});
const trocrSmall = {
  encoder: { ...vit(384, 384, 12, 6), model_type: 'deit' },
  decoder: trocr({
    vocab_size: 64044,
    d_model: 256,
    decoder_layers: 6,
    decoder_attention_heads: 8,
    decoder_ffn_dim: 1024,
    activation_function: 'relu',
    scale_embedding: true,
    tie_word_embeddings: false,
    use_cache: false,
    cross_attention_hidden_size: 384,
  }),
};

const donutSwin = (height, width, window) => ({
  model_type: 'donut-swin',
  image_size: [height, width],
  patch_size: 4,
  embed_dim: 128,
  depths: [2, 2, 14, 2],
  num_heads: [4, 8, 16, 32],
  window_size: window,
});
const mbart = (vocabulary, layers, positions, extra = {}) => ({
  model_type: 'mbart',
  vocab_size: vocabulary,
  d_model: 1024,
  decoder_layers: layers,
  decoder_attention_heads: 16,
  decoder_ffn_dim: 4096,
  max_position_embeddings: positions,
  scale_embedding: true,
  add_final_layer_norm: true,
  is_decoder: true,
  add_cross_attention: true,
  ...extra,
});

const half = {
  do_normalize: true,
  image_mean: [0.5, 0.5, 0.5],
  image_std: [0.5, 0.5, 0.5],
  resample: 2,
  do_resize: true,
};
const vitProcessor = (size) => ({ feature_extractor_type: 'ViTFeatureExtractor', ...half, size });
const donutProcessor = (height, width) => ({
  image_processor_type: 'DonutImageProcessor',
  ...half,
  do_align_long_axis: false,
  do_pad: true,
  do_rescale: true,
  do_thumbnail: true,
  rescale_factor: 1 / 255,
  size: [width, height],
});
const nougatProcessor = {
  image_processor_type: 'NougatImageProcessor',
  do_align_long_axis: false,
  do_crop_margin: true,
  do_normalize: true,
  do_pad: true,
  do_rescale: true,
  do_resize: true,
  do_thumbnail: true,
  image_mean: [0.485, 0.456, 0.406],
  image_std: [0.229, 0.224, 0.225],
  resample: 2,
  rescale_factor: 1 / 255,
  size: { height: 896, width: 672 },
};

const TROCR_IDS = { decoder_start_token_id: 2, pad_token_id: 1, eos_token_id: 2, bos_token_id: 0 };
const DONUT_GENERATION = { bos_token_id: 0, pad_token_id: 1, eos_token_id: 2, forced_eos_token_id: 2 };
const donutTokens = (...names) => [
  ...names.flatMap((name) => [`<s_${name}>`, `</s_${name}>`]),
  '<sep/>',
  '<yes/>',
  '<no/>',
];

const trocrSystem = (config, tokenizer = 'roberta', processor = vitProcessor(384)) => ({
  config: { ...config, ...TROCR_IDS, tie_word_embeddings: false },
  generation: TROCR_IDS,
  tokenizer: { kind: tokenizer, count: config.decoder.vocab_size },
  processor,
  pixels: [384, 384],
});
const deitProcessor = {
  feature_extractor_type: 'DeiTFeatureExtractor',
  ...half,
  resample: 3,
  do_center_crop: false,
  crop_size: 224,
  size: 384,
};
const donutSystem = (height, width, vocabulary, positions, added, prompt) => ({
  config: { encoder: donutSwin(height, width, 10), decoder: mbart(vocabulary, 4, positions), pad_token_id: 1 },
  generation: { ...DONUT_GENERATION, max_length: positions },
  tokenizer: { kind: 'xlmRoberta', count: vocabulary, added },
  processor: donutProcessor(height, width),
  pixels: [height, width],
  options: { postProcess: 'token2json', prompt },
});
const nougatSystem = (layers, positions) => ({
  config: {
    encoder: donutSwin(896, 672, 7),
    decoder: mbart(50000, layers, positions, { tie_word_embeddings: false }),
    pad_token_id: 1,
    decoder_start_token_id: 0,
    tie_word_embeddings: false,
  },
  generation: { ...DONUT_GENERATION, decoder_start_token_id: 0, max_length: positions, bad_words_ids: [[3]] },
  tokenizer: { kind: 'nougat', count: 50000 },
  processor: nougatProcessor,
  pixels: [896, 672],
  options: { postProcess: 'nougat', stopOnRepetition: true },
});

/** What ViT files of transformers 4 hold beside the model: a pooler that image-to-text never runs. */
const pooler = (width) => ({
  'encoder.pooler.dense.weight': ['float32', width, width],
  'encoder.pooler.dense.bias': ['float32', width],
});
const gpt2Buffers = () =>
  Object.fromEntries(
    Array.from({ length: 12 }, (_, layer) =>
      ['attn', 'crossattention'].map((part) => `decoder.transformer.h.${layer}.${part}`),
    )
      .flat()
      .flatMap((at) => [
        [`${at}.bias`, ['uint8', 1, 1, 1024, 1024]],
        [`${at}.masked_bias`, ['float32']],
      ]),
  );

/**
 * Per system: config.json, generation_config.json, tokenizer, preprocessor_config.json, the size its processor gives, how the weights
 * are stored ('safetensors' unless said) and what else the file holds, options of the call, the published number of parameters.
 */
export const SYSTEMS = {
  'trocr-small-printed': {
    ...trocrSystem(trocrSmall, 'xlmRoberta', deitProcessor),
    parameters: 61_596_672,
    extra: { added: pooler(384) },
    weights: 'bin',
  },
  'trocr-base-handwritten': trocrSystem(trocrBase({})),
  'trocr-base-stage1': trocrSystem(trocrBase(STAGE1)),
  'trocr-large-handwritten': { ...trocrSystem(trocrLarge({})), weights: 'sharded' },
  'trocr-large-printed': { ...trocrSystem(trocrLarge(STAGE1)), weights: 'sharded' },
  'vit-gpt2-image-captioning': {
    config: {
      encoder: vit(224, 768, 12, 12, { qkv_bias: true }),
      decoder: {
        model_type: 'gpt2',
        vocab_size: 50257,
        n_embd: 768,
        n_layer: 12,
        n_head: 12,
        n_positions: 1024,
        add_cross_attention: true,
        is_decoder: true,
      },
      decoder_start_token_id: 50256,
      eos_token_id: 50256,
      pad_token_id: 50256,
      bos_token_id: 50256,
    },
    generation: {
      decoder_start_token_id: 50256,
      eos_token_id: 50256,
      pad_token_id: 50256,
      bos_token_id: 50256,
      max_length: 16,
      num_beams: 4,
    },
    tokenizer: { kind: 'gpt2', count: 50257 },
    processor: vitProcessor(224),
    pixels: [224, 224],
    weights: 'bin',
    extra: {
      added: { ...pooler(768), ...gpt2Buffers() },
      copies: { 'decoder.lm_head.weight': 'decoder.transformer.wte.weight' },
    },
  },
  'donut-base': donutSystem(2560, 1920, 57525, 1536, donutTokens('synthdog'), '<s_synthdog>'),
  'donut-base-finetuned-docvqa': donutSystem(
    2560,
    1920,
    57532,
    128,
    donutTokens('docvqa', 'question', 'answer'),
    '<s_docvqa><s_question>ab</s_question><s_answer>',
  ),
  'donut-base-finetuned-cord-v2': donutSystem(
    1280,
    960,
    57580,
    768,
    donutTokens('cord-v2', 'menu', 'nm', 'price', 'total'),
    '<s_cord-v2>',
  ),
  'nougat-small': { ...nougatSystem(4, 3584), parameters: 247_383_672 },
  'nougat-base': { ...nougatSystem(10, 4096), parameters: 348_687_992 },
  'manga-ocr-base': {
    config: {
      encoder: vit(224, 768, 12, 12, { qkv_bias: true }),
      decoder: {
        model_type: 'bert',
        vocab_size: 6144,
        hidden_size: 768,
        num_hidden_layers: 2,
        num_attention_heads: 12,
        intermediate_size: 3072,
        max_position_embeddings: 512,
        is_decoder: true,
        add_cross_attention: true,
        pad_token_id: 0,
      },
      decoder_start_token_id: 2,
      eos_token_id: 3,
      pad_token_id: 0,
      num_beams: 4,
      max_length: 300,
      no_repeat_ngram_size: 3,
      length_penalty: 2.0,
      early_stopping: true,
    },
    tokenizer: { kind: 'japanese', count: 6144 },
    processor: vitProcessor(224),
    pixels: [224, 224],
    weights: 'bin',
    extra: {
      added: { ...pooler(768), 'decoder.bert.embeddings.position_ids': ['int64', 1, 512] },
      copies: {
        'decoder.cls.predictions.decoder.weight': 'decoder.bert.embeddings.word_embeddings.weight',
        'decoder.cls.predictions.decoder.bias': 'decoder.cls.predictions.bias',
      },
    },
    options: { postProcess: 'mangaOcr', grayscale: true },
  },
  'swin-bert': {
    config: {
      encoder: {
        model_type: 'swin',
        image_size: 224,
        patch_size: 4,
        embed_dim: 96,
        depths: [2, 2, 6, 2],
        num_heads: [3, 6, 12, 24],
        window_size: 7,
      },
      decoder: {
        model_type: 'bert',
        vocab_size: 30522,
        hidden_size: 768,
        num_hidden_layers: 12,
        num_attention_heads: 12,
        intermediate_size: 3072,
        is_decoder: true,
        add_cross_attention: true,
      },
      decoder_start_token_id: 2,
      eos_token_id: 3,
      pad_token_id: 0,
    },
    generation: { decoder_start_token_id: 2, eos_token_id: 3, pad_token_id: 0, max_length: 20 },
    tokenizer: { kind: 'bert', count: 30522 },
    processor: vitProcessor(224),
    pixels: [224, 224],
  },
  'beit-roberta': {
    config: {
      encoder: {
        ...vit(224, 768, 12, 12),
        model_type: 'beit',
        use_relative_position_bias: true,
        layer_scale_init_value: 0.1,
      },
      decoder: {
        model_type: 'roberta',
        vocab_size: 50265,
        hidden_size: 768,
        num_hidden_layers: 12,
        num_attention_heads: 12,
        intermediate_size: 3072,
        max_position_embeddings: 514,
        type_vocab_size: 1,
        layer_norm_eps: 1e-5,
        bos_token_id: 0,
        pad_token_id: 1,
        eos_token_id: 2,
        is_decoder: true,
        add_cross_attention: true,
      },
      decoder_start_token_id: 0,
      eos_token_id: 2,
      pad_token_id: 1,
    },
    generation: { decoder_start_token_id: 0, eos_token_id: 2, pad_token_id: 1, max_length: 20 },
    tokenizer: { kind: 'roberta', count: 50265 },
    processor: {
      image_processor_type: 'BeitImageProcessor',
      ...half,
      resample: 3,
      do_center_crop: false,
      size: { height: 224, width: 224 },
    },
    pixels: [224, 224],
  },
};
