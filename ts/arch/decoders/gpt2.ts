/** GPT-2 with cross-attention: pre-norm blocks, learned positions, maps stored [in, out]. */
import { baseStd, normal, type InitRules } from '../../spec/init';
import type { DecoderLayer, DecoderPositions, DecoderSpec } from '../../spec/model-spec';
import type { WeightScope } from '../../spec/weights';
import { activation } from '../activations';
import { headWidth, type DecoderArchitecture } from '../architecture';
import * as is from '../config-class';

const FIELDS = {
  vocabSize: is.size(50257),
  nPositions: is.size(1024),
  nEmbd: is.size(768),
  nLayer: is.layers(12),
  nHead: is.size(12),
  nInner: is.optionalSize(),
  activationFunction: is.text('gelu_new'),
  residPdrop: is.between(0.1, 0, 1),
  embdPdrop: is.between(0.1, 0, 1),
  attnPdrop: is.between(0.1, 0, 1),
  layerNormEpsilon: is.between(1e-5, 0, 1),
  initializerRange: is.between(0.02, 0, 1e6),
  summaryType: is.text('cls_index'),
  summaryUseProj: is.flag(true),
  summaryActivation: is.optionalText(),
  summaryProjToLabels: is.flag(true),
  summaryFirstDropout: is.between(0.1, 0, 1),
  scaleAttnWeights: is.flag(true),
  useCache: is.flag(true),
  bosTokenId: is.tokenId(50256),
  eosTokenId: is.tokenIds(50256),
  padTokenId: is.tokenId(),
  scaleAttnByInverseLayerIdx: is.flag(false),
  reorderAndUpcastAttn: is.flag(false),
  addCrossAttention: is.flag(false),
  tieWordEmbeddings: is.flag(true),
} satisfies is.Fields;

export const GPT2Config = is.configClass('gpt2', FIELDS, {
  hiddenSize: 'nEmbd',
  maxPositionEmbeddings: 'nPositions',
  numAttentionHeads: 'nHead',
  numHiddenLayers: 'nLayer',
});
export type GPT2Config = InstanceType<typeof GPT2Config>;

function build(config: GPT2Config, weights: WeightScope): DecoderSpec {
  const { nEmbd: hidden, vocabSize, nPositions: rows } = config;
  const body = weights.scope('transformer.');
  const shape = [vocabSize, hidden] as const;
  const { table, head } = weights.tiedHead(config.tieWordEmbeddings, 'transformer.wte.weight', 'lm_head.weight', shape);
  const positions: DecoderPositions = {
    ...{ kind: 'table', table: body.embedding('wpe.weight', [rows, hidden]), rows },
    ids: { kind: 'sequential', offset: 0 },
  };
  return {
    ...{ hiddenSize: hidden, vocabSize, maxPositions: rows, crossWidth: hidden, streams: null },
    embedding: {
      ...{ table, width: hidden, scale: 1, tokenMap: null, tokenNorm: null },
      ...{ positions, constants: [], norm: null, projection: null },
    },
    normPosition: 'pre',
    layers: Array.from({ length: config.nLayer }, (_, index) => buildLayer(config, body.scope(`h.${index}.`), index)),
    finalNorm: body.norm('ln_f', hidden, config.layerNormEpsilon),
    headTransform: null,
    head,
  };
}

function buildLayer(config: GPT2Config, weights: WeightScope, index: number): DecoderLayer {
  const { nEmbd: hidden, nHead: heads, layerNormEpsilon: eps } = config;
  const headDim = headWidth(hidden, heads, 'n_head');
  const inner = config.nInner ?? 4 * hidden;
  const scale = (config.scaleAttnWeights ? headDim ** -0.5 : 1) / (config.scaleAttnByInverseLayerIdx ? index + 1 : 1);
  return {
    selfAttention: {
      reads: 'text',
      ...{ heads, headDim, scale },
      qkv: weights.conv1d('attn.c_attn', hidden, 3 * hidden),
      relative: null,
      output: weights.conv1d('attn.c_proj', hidden, hidden),
    },
    selfNorm: weights.norm('ln_1', hidden, eps),
    crossAttention: {
      ...{ heads, headDim, scale },
      query: weights.conv1d('crossattention.q_attn', hidden, hidden),
      kv: weights.conv1d('crossattention.c_attn', hidden, 2 * hidden),
      output: weights.conv1d('crossattention.c_proj', hidden, hidden),
    },
    crossNorm: weights.norm('ln_cross_attn', hidden, eps),
    mlp: {
      up: weights.conv1d('mlp.c_fc', hidden, inner),
      activation: activation(config.activationFunction, 'decoder.activation_function'),
      down: weights.conv1d('mlp.c_proj', inner, hidden),
    },
    adapter: null,
    mlpNorm: weights.norm('ln_2', hidden, eps),
  };
}

/** modeling_gpt2.py, GPT2PreTrainedModel._init_weights: what adds to the residual stream is scaled by the number of its sums. */
function init({ initializerRange: range, nLayer }: GPT2Config): InitRules {
  const special = [
    [/\.c_proj\.weight$/, normal(range / Math.sqrt(2 * nLayer))],
    [/\.(c_attn|q_attn|c_fc)\.weight$/, normal(range)],
  ] as const;
  return { std: baseStd(range), special };
}

export const gpt2: DecoderArchitecture<GPT2Config> = {
  config: GPT2Config,
  ignorable: [/^transformer\.h\.\d+\.(attn|crossattention)\.(bias|masked_bias)$/],
  basePrefix: 'transformer.',
  hiddenSize: (config) => config.nEmbd,
  init,
  crossHiddenSize: () => null,
  build,
};
