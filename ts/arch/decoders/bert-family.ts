/** What decoders descending from BERT share: tensor names, blocks, embedding. Each describes itself as {@link BertParts}. */
import { ConfigError } from '../../errors';
import type {
  Adapter,
  ConstantRow,
  DecoderLayer,
  DecoderPositions,
  DecoderSpec,
  HeadTransform,
  Linear,
  NormPosition,
  TensorRef,
  TokenMap,
} from '../../spec/model-spec';
import { baseStd } from '../../spec/init';
import { stack, type WeightScope } from '../../spec/weights';
import { activation } from '../activations';
import { headWidth, type DecoderArchitecture } from '../architecture';
import * as is from '../config-class';
import type { BaseConfig } from '../config-class';

export const BERT_FIELDS = {
  vocabSize: is.size(30522),
  hiddenSize: is.size(768),
  numHiddenLayers: is.layers(12),
  numAttentionHeads: is.size(12),
  intermediateSize: is.size(3072),
  hiddenAct: is.text('gelu'),
  hiddenDropoutProb: is.between(0.1, 0, 1),
  attentionProbsDropoutProb: is.between(0.1, 0, 1),
  maxPositionEmbeddings: is.size(512),
  typeVocabSize: is.size(2),
  initializerRange: is.between(0.02, 0, 1e6),
  layerNormEps: is.between(1e-12, 0, 1),
  padTokenId: is.tokenId(0),
  bosTokenId: is.tokenId(),
  eosTokenId: is.tokenIds(),
  useCache: is.flag(true),
  isDecoder: is.flag(false),
  addCrossAttention: is.flag(false),
  tieWordEmbeddings: is.flag(true),
  /** Of transformers 4 alone; 5 knows `absolute` only. */
  positionEmbeddingType: is.hidden(is.text('absolute')),
} satisfies is.Fields;

/** What a decoder of this family reads from its config. */
export interface BertConfigValues extends BaseConfig {
  readonly vocabSize: number;
  readonly hiddenSize: number;
  readonly numHiddenLayers: number;
  readonly numAttentionHeads: number;
  readonly intermediateSize: number;
  readonly hiddenAct: string;
  readonly maxPositionEmbeddings: number;
  readonly layerNormEps: number;
  readonly padTokenId: number | null;
  readonly isDecoder: boolean;
  readonly positionEmbeddingType: string;
  readonly addCrossAttention: boolean;
  readonly tieWordEmbeddings: boolean;
}

/** How a decoder differs from its relatives. Names of tensors are below `decoder.`. */
export interface BertParts {
  /** Prefix of the body, such as `bert.`. */
  readonly body: string;
  readonly normPosition: NormPosition;
  /** Names of a block's three norms. */
  readonly norms: { readonly self: string; readonly cross: string; readonly mlp: string };
  readonly positions: DecoderPositions;
  readonly maxPositions: number;
  readonly constants: ConstantRow[];
  readonly embeddingNorm: string | null;
  readonly finalNorm: string | null;
  readonly table: TensorRef;
  readonly embeddingWidth?: number;
  readonly embeddingScale?: number;
  /** Whether query, key and value have biases. */
  readonly attentionBias?: boolean;
  readonly selfReads?: 'text' | 'image';
  readonly tokenMap?: TokenMap | null;
  readonly embeddingProjection?: Linear | null;
  /** What stands behind the perceptron of the block whose tensors these are. */
  readonly adapter?: (block: WeightScope) => Adapter;
  readonly headTransform: HeadTransform | null;
  readonly head: Linear;
}

export const POST_NORMS = {
  self: 'attention.output.LayerNorm',
  cross: 'crossattention.output.LayerNorm',
  mlp: 'output.LayerNorm',
} as const;

export function buildBert(config: BertConfigValues, weights: WeightScope, parts: BertParts): DecoderSpec {
  requireDecoder(config);
  const { hiddenSize: hidden, layerNormEps: eps, vocabSize } = config;
  const { embeddingWidth: width = hidden } = parts;
  const body = weights.scope(parts.body);
  return {
    ...{ hiddenSize: hidden, vocabSize, maxPositions: parts.maxPositions, crossWidth: hidden, streams: null },
    embedding: {
      ...{ table: parts.table, width, scale: parts.embeddingScale ?? 1 },
      ...{ tokenMap: parts.tokenMap ?? null, tokenNorm: null },
      ...{ positions: parts.positions, constants: parts.constants },
      norm: parts.embeddingNorm === null ? null : body.norm(parts.embeddingNorm, width, eps),
      projection: parts.embeddingProjection ?? null,
    },
    normPosition: parts.normPosition,
    layers: Array.from({ length: config.numHiddenLayers }, (_, index) =>
      buildLayer(config, body.scope(`encoder.layer.${index}.`), parts),
    ),
    finalNorm: parts.finalNorm === null ? null : body.norm(parts.finalNorm, hidden, eps),
    headTransform: parts.headTransform,
    head: parts.head,
  };
}

/** transformers builds an encoder without cross-attention unless both flags are set. */
function requireDecoder(config: BertConfigValues): void {
  for (const [key, value] of [
    ['is_decoder', config.isDecoder],
    ['add_cross_attention', config.addCrossAttention],
  ] as const) {
    if (!value) throw new ConfigError('INVALID_CONFIG', `config decoder.${key}: expected true, got false`);
  }
  const { positionEmbeddingType: kind } = config;
  if (kind === 'absolute') return;
  is.refuse('decoder.position_embedding_type', '"absolute"', kind, 'transformers 5 has no other');
}

function buildLayer(config: BertConfigValues, weights: WeightScope, parts: BertParts): DecoderLayer {
  const { norms, attentionBias: bias = true, selfReads: reads = 'text' } = parts;
  const { hiddenSize: hidden, numAttentionHeads: heads, intermediateSize: inner, layerNormEps: eps } = config;
  const headDim = headWidth(hidden, heads, 'decoder.num_attention_heads');
  const shape = { heads, headDim, scale: headDim ** -0.5 };
  const project = (name: string) => weights.linear(name, hidden, hidden, bias);
  const output = (name: string) => weights.linear(`${name}.output.dense`, hidden, hidden);
  const self = () => ({
    ...shape,
    qkv: stack(project('attention.self.query'), project('attention.self.key'), project('attention.self.value')),
    relative: null,
    output: output('attention'),
  });
  const cross = (name: string) => ({
    ...shape,
    query: project(`${name}.self.query`),
    kv: stack(project(`${name}.self.key`), project(`${name}.self.value`)),
    output: output(name),
  });
  return {
    selfAttention: reads === 'image' ? { reads, ...cross('attention') } : { reads, ...self() },
    selfNorm: weights.norm(norms.self, hidden, eps),
    crossAttention: cross('crossattention'),
    crossNorm: weights.norm(norms.cross, hidden, eps),
    mlp: {
      up: weights.linear('intermediate.dense', hidden, inner),
      activation: activation(config.hiddenAct, 'decoder.hidden_act'),
      down: weights.linear('output.dense', inner, hidden),
    },
    adapter: parts.adapter?.(weights) ?? null,
    mlpNorm: weights.norm(norms.mlp, hidden, eps),
  };
}

/** Buffers of old files and the pooler, which a causal decoder does not use. */
const bertIgnorable = (body: string): RegExp[] => [
  new RegExp(`^${body}\\.embeddings\\.(position_ids|token_type_ids)$`),
  new RegExp(`^${body}\\.pooler\\.`),
];

/** A member of the family: `body` is the name of its base model. */
export function bertFamily<C extends BertConfigValues & { readonly initializerRange: number }>(
  config: DecoderArchitecture<C>['config'],
  body: string,
  build: DecoderArchitecture<C>['build'],
): DecoderArchitecture<C> {
  return {
    config,
    ignorable: bertIgnorable(body),
    basePrefix: `${body}.`,
    hiddenSize: ({ hiddenSize }) => hiddenSize,
    init: ({ initializerRange }) => ({ std: baseStd(initializerRange) }),
    crossHiddenSize: () => null,
    build,
  };
}
