/** What decoders descending from BART share: tensor names, blocks, positions. Each describes itself as {@link BartParts}. */
import type { DecoderLayer, DecoderPositions, DecoderSpec, NormPosition } from '../../spec/model-spec';
import { stack, type WeightScope } from '../../spec/weights';
import { activation } from '../activations';
import { headWidth, type DecoderArchitecture } from '../architecture';
import * as is from '../config-class';
import type { BaseConfig } from '../config-class';

export const BART_FIELDS = {
  vocabSize: is.size(50265),
  maxPositionEmbeddings: is.size(1024),
  encoderLayers: is.layers(12),
  encoderFfnDim: is.size(4096),
  encoderAttentionHeads: is.size(16),
  decoderLayers: is.layers(12),
  decoderFfnDim: is.size(4096),
  decoderAttentionHeads: is.size(16),
  encoderLayerdrop: is.between(0, 0, 1),
  decoderLayerdrop: is.between(0, 0, 1),
  activationFunction: is.text('gelu'),
  dModel: is.size(1024),
  dropout: is.between(0.1, 0, 1),
  attentionDropout: is.between(0, 0, 1),
  activationDropout: is.between(0, 0, 1),
  initStd: is.between(0.02, 0, 1e6),
  classifierDropout: is.between(0, 0, 1),
  scaleEmbedding: is.flag(false),
  useCache: is.flag(true),
  padTokenId: is.tokenId(1),
  bosTokenId: is.tokenId(0),
  eosTokenId: is.tokenIds(2),
  decoderStartTokenId: is.tokenId(2),
  forcedEosTokenId: is.tokenIds(2),
  isEncoderDecoder: is.flag(true),
  isDecoder: is.flag(false),
  tieWordEmbeddings: is.flag(true),
} satisfies is.Fields;

/** As in Hugging Face's classes, the common names mean the half that the decoder does not use. */
export const BART_ALIASES = {
  hiddenSize: 'dModel',
  numAttentionHeads: 'encoderAttentionHeads',
  numHiddenLayers: 'encoderLayers',
} as const;

/** All norms of these decoders use torch's default; the configs have no key for it. */
export const BART_EPS = 1e-5;

/** What a decoder of this family reads from its config. */
export interface BartConfigValues {
  readonly dModel: number;
  readonly vocabSize: number;
  readonly padTokenId: number | null;
  readonly maxPositionEmbeddings: number;
  readonly decoderLayers: number;
  readonly decoderAttentionHeads: number;
  readonly decoderFfnDim: number;
  readonly activationFunction: string;
  readonly scaleEmbedding: boolean;
  readonly tieWordEmbeddings: boolean;
}

/** How a decoder differs from its relatives. */
export interface BartParts {
  readonly normPosition: NormPosition;
  readonly positions: DecoderPositions;
  /** `sum`: over token and position; `tokens`: before positions are added. */
  readonly embeddingNorm: 'sum' | 'tokens' | null;
  /** Name of the norm after the last block. */
  readonly finalNorm: string | null;
  /** Tensor names below `decoder.`. */
  readonly body?: string;
  readonly head?: string;
  readonly crossWidth?: number;
  readonly attentionBias?: boolean;
  /** transformers 5 never ties this head: a new model has one of its own. Version 4 tied it, and its files lack it. */
  readonly ownHead?: boolean;
}

export function buildBart(config: BartConfigValues, weights: WeightScope, parts: BartParts): DecoderSpec {
  const { dModel: hidden, vocabSize } = config;
  const { body: prefix = 'model.decoder.', head: headName = 'lm_head', crossWidth = hidden } = parts;
  const body = weights.scope(prefix);
  const names = [`${prefix}embed_tokens.weight`, `${headName}.weight`] as const;
  const tied = config.tieWordEmbeddings && !(parts.ownHead === true && weights.invents);
  const { table, head } = weights.tiedHead(tied, ...names, [vocabSize, hidden], config.padTokenId);
  const norm = (place: BartParts['embeddingNorm']) =>
    parts.embeddingNorm === place ? body.norm('layernorm_embedding', hidden, BART_EPS) : null;
  return {
    ...{ hiddenSize: hidden, vocabSize, crossWidth, streams: null },
    maxPositions: config.maxPositionEmbeddings,
    embedding: {
      ...{ table, width: hidden, scale: config.scaleEmbedding ? Math.sqrt(hidden) : 1 },
      ...{
        tokenMap: null,
        tokenNorm: norm('tokens'),
        positions: parts.positions,
        constants: [],
        norm: norm('sum'),
        projection: null,
      },
    },
    normPosition: parts.normPosition,
    layers: Array.from({ length: config.decoderLayers }, (_, index) =>
      buildLayer(config, body.scope(`layers.${index}.`), crossWidth, parts.attentionBias ?? true),
    ),
    finalNorm: parts.finalNorm === null ? null : body.norm(parts.finalNorm, hidden, BART_EPS),
    headTransform: null,
    head,
  };
}

/** The stored table of positions, whose row `offset` belongs to the first token. */
export function bartPositions(config: BartConfigValues, weights: WeightScope, offset: number): DecoderPositions {
  const rows = config.maxPositionEmbeddings + offset;
  const table = weights.embedding('model.decoder.embed_positions.weight', [rows, config.dModel]);
  return { kind: 'table', table, rows, ids: { kind: 'sequential', offset } };
}

function buildLayer(config: BartConfigValues, weights: WeightScope, crossWidth: number, bias: boolean): DecoderLayer {
  const { dModel: hidden, decoderAttentionHeads: heads, decoderFfnDim: inner } = config;
  const headDim = headWidth(hidden, heads, 'decoder.decoder_attention_heads');
  const project = (name: string, width = hidden) => weights.linear(name, width, hidden, bias);
  const shape = { heads, headDim, scale: headDim ** -0.5 };
  return {
    selfAttention: {
      reads: 'text',
      ...shape,
      qkv: stack(project('self_attn.q_proj'), project('self_attn.k_proj'), project('self_attn.v_proj')),
      relative: null,
      output: project('self_attn.out_proj'),
    },
    selfNorm: weights.norm('self_attn_layer_norm', hidden, BART_EPS),
    crossAttention: {
      ...shape,
      query: project('encoder_attn.q_proj'),
      kv: stack(project('encoder_attn.k_proj', crossWidth), project('encoder_attn.v_proj', crossWidth)),
      output: project('encoder_attn.out_proj'),
    },
    crossNorm: weights.norm('encoder_attn_layer_norm', hidden, BART_EPS),
    mlp: {
      up: weights.linear('fc1', hidden, inner),
      activation: activation(config.activationFunction, 'decoder.activation_function'),
      down: weights.linear('fc2', inner, hidden),
    },
    adapter: null,
    mlpNorm: weights.norm('final_layer_norm', hidden, BART_EPS),
  };
}

/** A member of the family that reads its config under the common names. */
export function bartFamily<C extends BaseConfig & BartConfigValues & { readonly initStd: number }>(
  config: DecoderArchitecture<C>['config'],
  describe: (config: C, weights: WeightScope) => BartParts,
  init: DecoderArchitecture<C>['init'] = ({ initStd }) => ({ std: initStd }),
): DecoderArchitecture<C> {
  return {
    config,
    // a bias of the sequence-to-sequence class, which the causal class does not add
    ignorable: [/^final_logits_bias$/],
    basePrefix: 'model.',
    stem: 'model.decoder.',
    hiddenSize: ({ dModel }) => dModel,
    crossHiddenSize: () => null,
    init,
    build: (values, weights) => buildBart(values, weights, describe(values, weights)),
  };
}
