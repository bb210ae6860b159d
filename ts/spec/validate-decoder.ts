/** Checks the decoder of a spec. */
import { equal, fail, finite, MAX_SIZE, positive, size, within } from './checks';
import type * as m from './model-spec';
import { MAX_LAYERS, type PartsValidator } from './validate-parts';

const MAX_STREAMS = 64;

export class DecoderValidator {
  readonly #parts: PartsValidator;

  constructor(parts: PartsValidator) {
    this.#parts = parts;
  }

  validate(decoder: m.DecoderSpec): void {
    const width = size(decoder.hiddenSize, 'decoder.hiddenSize');
    const cross = size(decoder.crossWidth, 'decoder.crossWidth');
    const vocabulary = size(decoder.vocabSize, 'decoder.vocabSize');
    if (decoder.streams) this.#streams(decoder, decoder.streams);
    this.#decoderEmbedding(decoder, width, vocabulary);
    size(decoder.layers.length, 'decoder.layers', MAX_LAYERS);
    decoder.layers.forEach((layer, index) => {
      this.#decoderLayer(layer, `decoder.layers[${index}]`, width, cross);
      this.#relative(layer.selfAttention, `decoder.layers[${index}].selfAttention`, width, decoder.streams);
    });
    if (decoder.finalNorm) this.#parts.norm(decoder.finalNorm, 'decoder.finalNorm', width);
    this.#head(decoder, width, vocabulary);
  }

  /** What they start with is the table of positions, one row on. */
  #streams({ embedding, hiddenSize }: m.DecoderSpec, { count, table, buckets, maxDistance }: m.NgramStreams): void {
    const at = 'decoder.streams';
    const { positions, constants, projection } = embedding;
    this.#parts.tensor(table, `${at}.table`, size(count, `${at}.count`, MAX_STREAMS) * hiddenSize);
    if (size(buckets, `${at}.buckets`) < 2) fail(`${at}.buckets`, 'at least 2', buckets);
    if (size(maxDistance, `${at}.maxDistance`) <= Math.floor(buckets / 2))
      fail(`${at}.maxDistance`, `above ${Math.floor(buckets / 2)}`, maxDistance);
    if (positions.kind !== 'table' || positions.ids.kind !== 'sequential')
      fail('decoder.embedding.positions', 'a table read in order, with streams', positions.kind);
    if (projection || constants.length)
      fail('decoder.embedding', 'no projection and no constants, with streams', 'some');
  }

  #relative(attention: m.TextAttention, at: string, width: number, streams: m.NgramStreams | null): void {
    const relative = attention.reads === 'text' ? attention.relative : null;
    if ((relative === null) !== (streams === null)) fail(`${at}.relative`, streams ? 'one' : 'null', relative);
    if (relative && streams) this.#parts.linear(relative, `${at}.relative`, width, streams.buckets * attention.heads);
  }

  #decoderEmbedding(decoder: m.DecoderSpec, hidden: number, vocabulary: number): void {
    const at = 'decoder.embedding';
    const { embedding } = decoder;
    const width = size(embedding.width, `${at}.width`);
    this.#parts.tensor(embedding.table, `${at}.table`, vocabulary * width);
    finite(embedding.scale, `${at}.scale`);
    if (embedding.tokenMap) this.#tokenMap(embedding.tokenMap, `${at}.tokenMap`, width);
    if (embedding.tokenNorm) this.#parts.norm(embedding.tokenNorm, `${at}.tokenNorm`, width);
    this.#positions(decoder, width);
    embedding.constants.forEach(({ table, rows }, index) =>
      this.#parts.tensor(table, `${at}.constants[${index}]`, size(rows, `${at}.constants[${index}].rows`) * width),
    );
    if (embedding.norm) this.#parts.norm(embedding.norm, `${at}.norm`, width);
    if (embedding.projection) this.#parts.linear(embedding.projection, `${at}.projection`, width, hidden);
    else equal(width, hidden, `${at}.width`);
  }

  #positions(decoder: m.DecoderSpec, width: number): void {
    const at = 'decoder.embedding.positions';
    const { positions } = decoder.embedding;
    const rows = size(positions.rows, `${at}.rows`);
    const behind = decoder.streams ? 1 : 0;
    equal(
      rows,
      size(decoder.maxPositions, 'decoder.maxPositions') + this.#rowsBefore(decoder, at) + behind,
      `${at}.rows`,
    );
    if (positions.kind === 'table') this.#parts.tensor(positions.table, `${at}.table`, rows * width);
    else if (positions.kind === 'sinusoidal') within(positions.zeroRow, rows, `${at}.zeroRow`);
    else this.#parts.tensor(positions.table, `${at}.table`, rows * turnedHeadDim(decoder));
  }

  #tokenMap({ beside, map }: m.TokenMap, at: string, width: number): void {
    let sum = width;
    beside.forEach(({ table, rows, width: more }, index) => {
      sum += size(more, `${at}.beside[${index}].width`);
      this.#parts.tensor(table, `${at}.beside[${index}]`, size(rows, `${at}.beside[${index}].rows`) * more);
    });
    this.#parts.linear(map, `${at}.map`, sum, width);
    if (map.parts.some(({ layout }) => layout !== 'outIn')) fail(`${at}.map.parts`, 'layout outIn', 'inOut');
  }

  /** Rows of a position table that no token after the first reads. */
  #rowsBefore({ embedding, vocabSize }: m.DecoderSpec, at: string): number {
    const { ids } = embedding.positions;
    if (ids.kind === 'nonPad') return within(ids.padTokenId, vocabSize, `${at}.ids.padTokenId`) + 1;
    return within(ids.offset, MAX_SIZE, `${at}.ids.offset`);
  }

  #head({ headTransform: transform, head }: m.DecoderSpec, hidden: number, vocabulary: number): void {
    if (transform) {
      this.#parts.linear(transform.dense, 'decoder.headTransform.dense', hidden, transform.dense.out);
      this.#parts.norm(transform.norm, 'decoder.headTransform.norm', transform.dense.out);
    }
    this.#parts.linear(head, 'decoder.head', transform ? transform.dense.out : hidden, vocabulary);
  }

  #decoderLayer(layer: m.DecoderLayer, at: string, width: number, crossWidth: number): void {
    const self = layer.selfAttention;
    if (self.reads === 'text') this.#selfAttention(self, `${at}.selfAttention`, width);
    else this.#crossAttention(self, `${at}.selfAttention`, width, crossWidth);
    this.#parts.norm(layer.selfNorm, `${at}.selfNorm`, width);
    this.#crossAttention(layer.crossAttention, `${at}.crossAttention`, width, crossWidth);
    this.#parts.norm(layer.crossNorm, `${at}.crossNorm`, width);
    this.#parts.mlp(layer.mlp, `${at}.mlp`, width);
    if (layer.adapter) this.#parts.mlp(layer.adapter.mlp, `${at}.adapter.mlp`, width);
    if (layer.adapter?.norm) this.#parts.norm(layer.adapter.norm, `${at}.adapter.norm`, width);
    this.#parts.norm(layer.mlpNorm, `${at}.mlpNorm`, width);
  }

  #crossAttention(attention: m.CrossAttention, at: string, width: number, crossWidth: number): void {
    const inner = attentionWidth(attention, at);
    this.#parts.linear(attention.query, `${at}.query`, width, inner);
    this.#parts.linear(attention.kv, `${at}.kv`, crossWidth, 2 * inner);
    this.#parts.linear(attention.output, `${at}.output`, inner, width);
  }

  #selfAttention(attention: m.SelfAttention, at: string, width: number): void {
    const inner = attentionWidth(attention, at);
    this.#parts.linear(attention.qkv, `${at}.qkv`, width, 3 * inner);
    this.#parts.linear(attention.output, `${at}.output`, inner, width);
  }
}

/** One table of angles serves all layers, so all heads have one even width. */
function turnedHeadDim({ layers }: m.DecoderSpec): number {
  let common = 0;
  layers.forEach(({ selfAttention: { reads, headDim } }, index) => {
    const at = `decoder.layers[${index}].selfAttention`;
    if (reads !== 'text') fail(`${at}.reads`, 'text with rotary positions', reads);
    if (headDim % 2) fail(`${at}.headDim`, 'an even number to turn', headDim);
    equal(headDim, common || headDim, `${at}.headDim`);
    common = headDim;
  });
  return size(common, 'decoder.layers headDim');
}

function attentionWidth(attention: { heads: number; headDim: number; scale: number }, at: string): number {
  positive(attention.scale, `${at}.scale`);
  return size(size(attention.heads, `${at}.heads`) * size(attention.headDim, `${at}.headDim`), `${at} width`);
}
