/** Checks a whole spec against its tensors, knowing nothing of the architecture that wrote it. */
import { equal, fail, finite, MAX_SIZE, positive, size, within } from './checks';
import type * as m from './model-spec';

const MAX_LAYERS = 1000;
const MAX_LEVELS = 16;
/** Scores of one window and head are held at once: side⁴ floats at most. */
const MAX_WINDOW = 256;
const MAX_STREAMS = 64;

/** Throws unless every reference, shape and number of the spec is consistent. */
export function validateModelSpec(spec: m.ModelSpec, source: m.ModelSource): void {
  new Validator(source).model(spec);
}

class Validator {
  readonly #source: m.ModelSource;

  constructor(source: m.ModelSource) {
    this.#source = source;
  }

  model(spec: m.ModelSpec): void {
    const { encoder, projection, decoder } = spec;
    this.#encoder(encoder);
    this.#decoder(decoder);
    const width = projection ? projection.out : encoder.hiddenSize;
    if (projection) this.#linear(projection, 'projection', encoder.hiddenSize, decoder.hiddenSize);
    equal(decoder.crossWidth, width, 'decoder.crossWidth');
  }

  #encoder(encoder: m.EncoderSpec): void {
    size(encoder.stages.length, 'encoder.stages', MAX_LAYERS);
    this.#patches(encoder.embedding, size(encoder.stages[0]!.width, 'encoder.stages[0].width'));
    encoder.stages.forEach((_, index) => this.#stage(encoder.stages, index, `encoder.stages[${index}]`));
    const width = encoder.stages.at(-1)!.width;
    equal(encoder.hiddenSize, width, 'encoder.hiddenSize');
    if (encoder.finalNorm) this.#norm(encoder.finalNorm, 'encoder.finalNorm', width);
    if (encoder.embedding.positions.kind === 'rotary') this.#rotaryHeads(encoder);
    for (const tokens of ['prefixTokens', 'suffixTokens'] as const) {
      if (encoder.embedding[tokens].length > 0 && encoder.stages.length > 1)
        fail(`encoder.embedding.${tokens}`, 'none before merged cells', 'some');
    }
    const biased = encoder.stages.some(({ layers }) =>
      layers.some(({ attention: { span } }) => span.kind === 'all' && span.bias),
    );
    if (biased && encoder.embedding.suffixTokens.length > 0)
      fail('encoder.embedding.suffixTokens', 'none with biases of a grid', 'some');
    this.#cellOrder(encoder);
    if (encoder.layerPositions) this.#layerPositions(encoder, encoder.layerPositions);
  }

  #layerPositions({ embedding, stages: [stage, ...more] }: m.EncoderSpec, positions: m.GridPositions): void {
    if (more.length) fail('encoder.layerPositions', 'null with more than one stage', 'some');
    const tables = size(stage!.layers.length - 1, 'encoder.layerPositions of the layers but the first');
    this.#gridPositions(positions, embedding, 'encoder.layerPositions', stage!.width, tables);
  }

  /** One table of angles serves all layers. */
  #rotaryHeads({ embedding, stages: [stage, ...more] }: m.EncoderSpec): void {
    const [first, ...layers] = stage!.layers;
    const { headDim } = first!.attention;
    if (headDim % 4) fail('encoder.stages[0].layers[0].attention.headDim', 'a multiple of 4 to turn', headDim);
    if (more.length) fail('encoder.stages', 'one stage with rotary positions', more.length + 1);
    for (const { attention } of [first!, ...layers]) {
      equal(attention.headDim, headDim, 'encoder.stages[0] headDim');
      if (attention.span.kind !== 'all')
        fail('encoder.stages[0] span', 'all with rotary positions', attention.span.kind);
    }
    if (embedding.suffixTokens.length) fail('encoder.embedding.suffixTokens', 'none with rotary positions', 'some');
  }

  #stage(stages: readonly m.EncoderStage[], index: number, at: string): void {
    const [before, stage, next] = [stages[index - 1], stages[index]!, stages[index + 1]];
    const width = size(stage.width, `${at}.width`);
    size(stage.layers.length, `${at}.layers`, MAX_LAYERS);
    const { entry, merging } = stage;
    const pool = entry ? this.#entry(entry, `${at}.entry`, before, width) : 1;
    stage.layers.forEach((layer, place) => {
      const takesOver = place === 0 && entry && before;
      this.#encoderLayer(layer, `${at}.layers[${place}]`, width, takesOver ? before.width : width);
      if (!takesOver) return;
      const { span } = layer.attention;
      if (span.kind === 'window') fail(`${at}.layers[0].attention.span`, 'no windows with an entry', span.kind);
      if (span.kind === 'unit' && span.tokens % pool)
        fail(`${at}.layers[0].attention.span.tokens`, `a multiple of ${pool}`, span.tokens);
    });
    const merged = next !== undefined && !next.entry;
    if ((merging !== null) !== merged) fail(`${at}.merging`, merged ? 'one' : 'null', merging);
    if (!merging || !next) return;
    this.#linear(merging.reduction, `${at}.merging.reduction`, 4 * width, next.width);
    this.#norm(merging.norm, `${at}.merging.norm`, merging.normPosition === 'pre' ? 4 * width : next.width);
  }

  /** The number of tokens that become one. */
  #entry(entry: m.StageEntry, at: string, before: m.EncoderStage | undefined, width: number): number {
    if (!before) return fail(at, 'null in the first stage', 'one');
    this.#linear(entry.projection, `${at}.projection`, before.width, width);
    return size(size(entry.poolHeight, `${at}.poolHeight`) * size(entry.poolWidth, `${at}.poolWidth`), at);
  }

  /** Cells out of their rows serve only what asks for no neighbours; pooled cells must lie in such an order. */
  #cellOrder({ embedding, normPosition, stages, layerPositions }: m.EncoderSpec): void {
    const { cellOrder, positions } = embedding;
    const at = 'encoder.embedding.cellOrder';
    let pooled = 0;
    for (const { entry, layers, merging } of stages) {
      if (entry && normPosition !== 'pre') fail('encoder.normPosition', 'pre with an entry', normPosition);
      if (entry && entry.poolHeight * entry.poolWidth > 1) {
        pooled += 1;
        equal(entry.poolHeight, cellOrder?.strideHeight ?? 1, `${at} of pooled cells: poolHeight`);
        equal(entry.poolWidth, cellOrder?.strideWidth ?? 1, `${at} of pooled cells: poolWidth`);
      }
      if (!cellOrder) continue;
      const spatial = layers.some(
        ({ attention: { span } }) => span.kind === 'window' || (span.kind === 'all' && span.bias),
      );
      if (spatial || merging) fail(at, 'null with windows, biases or merged cells', 'one');
    }
    if (!cellOrder) return;
    const levels = size(cellOrder.levels, `${at}.levels`, MAX_LEVELS);
    if (levels < pooled) fail(`${at}.levels`, `at least ${pooled}`, levels);
    for (const key of ['strideHeight', 'strideWidth'] as const) size(cellOrder[key] ** levels, `${at}.${key}`);
    if (positions.kind === 'rotary') fail(at, 'null with rotary positions', 'one');
    if (layerPositions) fail(at, 'null with positions before layers', 'one');
    if (embedding.prefixTokens.length + embedding.suffixTokens.length) fail(at, 'null beside learned tokens', 'one');
  }

  #encoderLayer(layer: m.EncoderLayer, at: string, width: number, read: number): void {
    const { attention, mlp } = layer;
    const { heads, headDim, span } = attention;
    const inner = size(size(heads, `${at}.heads`) * size(headDim, `${at}.headDim`), `${at}.attention width`);
    this.#linear(attention.qkv, `${at}.attention.qkv`, read, 3 * inner);
    this.#linear(attention.output, `${at}.attention.output`, inner, width);
    this.#span(span, `${at}.attention.span`, heads);
    this.#norm(layer.attentionNorm, `${at}.attentionNorm`, read);
    if (layer.attentionScale !== null) this.#tensor(layer.attentionScale, `${at}.attentionScale`, width);
    this.#linear(mlp.up, `${at}.mlp.up`, width, mlp.up.out);
    const gated = mlp.kind === 'gated';
    if (gated && mlp.up.out % 2) fail(`${at}.mlp.up.out`, 'an even number', mlp.up.out);
    this.#linear(mlp.down, `${at}.mlp.down`, gated ? mlp.up.out / 2 : mlp.up.out, width);
    this.#norm(layer.mlpNorm, `${at}.mlpNorm`, width);
    if (layer.mlpScale !== null) this.#tensor(layer.mlpScale, `${at}.mlpScale`, width);
  }

  #span(span: m.AttentionSpan, at: string, heads: number): void {
    if (span.kind === 'all') return this.#allSpan(span, at, heads);
    if (span.kind === 'window') return this.#windowSpan(span, at, heads);
    positive(span.scale, `${at}.scale`);
    size(span.tokens, `${at}.tokens`);
  }

  #allSpan(span: m.AttentionSpan & { kind: 'all' }, at: string, heads: number): void {
    positive(span.scale, `${at}.scale`);
    if (!span.bias) return;
    const { gridHeight, gridWidth, tables } = span.bias;
    const rows =
      (2 * size(gridHeight, `${at}.bias.gridHeight`) - 1) * (2 * size(gridWidth, `${at}.bias.gridWidth`) - 1);
    size(tables.length, `${at}.bias.tables`, 2);
    tables.forEach((ref, index) => this.#tensor(ref, `${at}.bias.tables[${index}]`, (rows + 3) * heads));
  }

  #windowSpan(span: m.WindowSpan, at: string, heads: number): void {
    const { side, shift, similarity, bias } = span;
    size(side, `${at}.side`, MAX_WINDOW);
    if (!(Number.isSafeInteger(shift) && shift >= 0 && shift < side)) fail(`${at}.shift`, `0 to ${side - 1}`, shift);
    finite(span.mask, `${at}.mask`);
    if (similarity.kind === 'dot') positive(similarity.scale, `${at}.similarity.scale`);
    else {
      this.#tensor(similarity.logScale, `${at}.similarity.logScale`, heads);
      finite(similarity.maxLogScale, `${at}.similarity.maxLogScale`);
    }
    if (bias.kind === 'table') return this.#tensor(bias.table, `${at}.bias.table`, (2 * side - 1) ** 2 * heads);
    size(bias.unit, `${at}.bias.unit`);
    this.#linear(bias.hidden, `${at}.bias.hidden`, 2, bias.hidden.out);
    this.#linear(bias.output, `${at}.bias.output`, bias.hidden.out, heads);
  }

  #patches(patches: m.PatchEmbedding, width: number): void {
    const at = 'encoder.embedding';
    const { channels, patchHeight, patchWidth, positions } = patches;
    for (const key of ['channels', 'imageHeight', 'imageWidth', 'patchHeight', 'patchWidth'] as const) {
      size(patches[key], `${at}.${key}`);
    }
    if (patches.tiling.kind === 'overlap') this.#overlap(patches, patches.tiling);
    this.#linear(patches.projection, `${at}.projection`, channels * patchHeight * patchWidth, width);
    if (patches.patchNorm) this.#norm(patches.patchNorm, `${at}.patchNorm`, width);
    for (const key of ['prefixTokens', 'suffixTokens'] as const) {
      patches[key].forEach(({ tensor, count }, index) =>
        this.#tensor(tensor, `${at}.${key}[${index}]`, size(count, `${at}.${key}[${index}].count`) * width),
      );
    }
    if (patches.norm) this.#norm(patches.norm, `${at}.norm`, width);
    switch (positions.kind) {
      case 'none':
        return;
      case 'rotary':
        return positive(positions.base, `${at}.positions.base`);
      case 'waves':
        if (width % 4) fail('encoder.stages[0].width', 'a multiple of 4 for positions of waves', width);
        return positive(positions.base, `${at}.positions.base`);
      case 'grid':
        return this.#gridPositions(positions, patches, `${at}.positions`, width);
    }
  }

  #overlap({ patchHeight, patchWidth }: m.PatchEmbedding, tiling: m.PatchTiling & { kind: 'overlap' }): void {
    const at = 'encoder.embedding.tiling';
    size(tiling.strideHeight, `${at}.strideHeight`);
    size(tiling.strideWidth, `${at}.strideWidth`);
    within(tiling.padHeight, patchHeight, `${at}.padHeight`);
    within(tiling.padWidth, patchWidth, `${at}.padWidth`);
  }

  #gridPositions(
    positions: m.GridPositions,
    { prefixTokens, suffixTokens }: m.PatchEmbedding,
    at: string,
    width: number,
    tables = 1,
  ): void {
    const { prefix, suffix, gridHeight, gridWidth } = positions;
    within(prefix, countOf(prefixTokens) + 1, `${at}.prefix`);
    within(suffix, countOf(suffixTokens) + 1, `${at}.suffix`);
    const cells = size(size(gridHeight, `${at}.gridHeight`) * size(gridWidth, `${at}.gridWidth`), at);
    this.#tensor(positions.table, `${at}.table`, tables * (prefix + cells + suffix) * width);
  }

  #decoder(decoder: m.DecoderSpec): void {
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
    if (decoder.finalNorm) this.#norm(decoder.finalNorm, 'decoder.finalNorm', width);
    this.#head(decoder, width, vocabulary);
  }

  /** What they start with is the table of positions, one row on. */
  #streams({ embedding, hiddenSize }: m.DecoderSpec, { count, table, buckets, maxDistance }: m.NgramStreams): void {
    const at = 'decoder.streams';
    const { positions, constants, projection } = embedding;
    this.#tensor(table, `${at}.table`, size(count, `${at}.count`, MAX_STREAMS) * hiddenSize);
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
    if (relative && streams) this.#linear(relative, `${at}.relative`, width, streams.buckets * attention.heads);
  }

  #decoderEmbedding(decoder: m.DecoderSpec, hidden: number, vocabulary: number): void {
    const at = 'decoder.embedding';
    const { embedding } = decoder;
    const width = size(embedding.width, `${at}.width`);
    this.#tensor(embedding.table, `${at}.table`, vocabulary * width);
    finite(embedding.scale, `${at}.scale`);
    if (embedding.tokenMap) this.#tokenMap(embedding.tokenMap, `${at}.tokenMap`, width);
    if (embedding.tokenNorm) this.#norm(embedding.tokenNorm, `${at}.tokenNorm`, width);
    this.#positions(decoder, width);
    embedding.constants.forEach(({ table, rows }, index) =>
      this.#tensor(table, `${at}.constants[${index}]`, size(rows, `${at}.constants[${index}].rows`) * width),
    );
    if (embedding.norm) this.#norm(embedding.norm, `${at}.norm`, width);
    if (embedding.projection) this.#linear(embedding.projection, `${at}.projection`, width, hidden);
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
    if (positions.kind === 'table') this.#tensor(positions.table, `${at}.table`, rows * width);
    else if (positions.kind === 'sinusoidal') within(positions.zeroRow, rows, `${at}.zeroRow`);
    else this.#tensor(positions.table, `${at}.table`, rows * turnedHeadDim(decoder));
  }

  #tokenMap({ beside, map }: m.TokenMap, at: string, width: number): void {
    let sum = width;
    beside.forEach(({ table, rows, width: more }, index) => {
      sum += size(more, `${at}.beside[${index}].width`);
      this.#tensor(table, `${at}.beside[${index}]`, size(rows, `${at}.beside[${index}].rows`) * more);
    });
    this.#linear(map, `${at}.map`, sum, width);
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
      this.#linear(transform.dense, 'decoder.headTransform.dense', hidden, transform.dense.out);
      this.#norm(transform.norm, 'decoder.headTransform.norm', transform.dense.out);
    }
    this.#linear(head, 'decoder.head', transform ? transform.dense.out : hidden, vocabulary);
  }

  #decoderLayer(layer: m.DecoderLayer, at: string, width: number, crossWidth: number): void {
    const self = layer.selfAttention;
    if (self.reads === 'text') this.#selfAttention(self, `${at}.selfAttention`, width);
    else this.#crossAttention(self, `${at}.selfAttention`, width, crossWidth);
    this.#norm(layer.selfNorm, `${at}.selfNorm`, width);
    this.#crossAttention(layer.crossAttention, `${at}.crossAttention`, width, crossWidth);
    this.#norm(layer.crossNorm, `${at}.crossNorm`, width);
    this.#mlp(layer.mlp, `${at}.mlp`, width);
    if (layer.adapter) this.#mlp(layer.adapter.mlp, `${at}.adapter.mlp`, width);
    if (layer.adapter?.norm) this.#norm(layer.adapter.norm, `${at}.adapter.norm`, width);
    this.#norm(layer.mlpNorm, `${at}.mlpNorm`, width);
  }

  #crossAttention(attention: m.CrossAttention, at: string, width: number, crossWidth: number): void {
    const inner = attentionWidth(attention, at);
    this.#linear(attention.query, `${at}.query`, width, inner);
    this.#linear(attention.kv, `${at}.kv`, crossWidth, 2 * inner);
    this.#linear(attention.output, `${at}.output`, inner, width);
  }

  #selfAttention(attention: m.SelfAttention, at: string, width: number): void {
    const inner = attentionWidth(attention, at);
    this.#linear(attention.qkv, `${at}.qkv`, width, 3 * inner);
    this.#linear(attention.output, `${at}.output`, inner, width);
  }

  #mlp(mlp: m.Mlp, at: string, width: number): void {
    this.#linear(mlp.up, `${at}.up`, width, mlp.up.out);
    this.#linear(mlp.down, `${at}.down`, mlp.up.out, width);
  }

  #norm(norm: m.Norm, at: string, width: number): void {
    this.#tensor(norm.weight, `${at}.weight`, width);
    if (norm.kind === 'layer') this.#tensor(norm.bias, `${at}.bias`, width);
    if (!(finite(norm.eps, `${at}.eps`) >= 0)) fail(`${at}.eps`, 'at least 0', norm.eps);
  }

  #linear(linear: m.Linear, at: string, width: number, out: number): void {
    equal(linear.in, size(width, `${at}.in`), `${at}.in`);
    equal(linear.out, size(out, `${at}.out`), `${at}.out`);
    let rows = 0;
    linear.parts.forEach((part, index) => {
      rows += size(part.out, `${at}.parts[${index}].out`);
      this.#tensor(part.weight, `${at}.parts[${index}].weight`, part.out * width);
      if (part.bias !== null) this.#tensor(part.bias, `${at}.parts[${index}].bias`, part.out);
    });
    equal(rows, out, `${at}.parts`);
  }

  #tensor(ref: m.TensorRef, at: string, elements: number): void {
    const place = Number.isSafeInteger(ref) ? this.#source.tensors[ref] : undefined;
    if (!place) return fail(at, `a tensor below ${this.#source.tensors.length}`, ref);
    equal(
      place.shape.reduce((product, side) => product * side, 1),
      elements,
      `${at} (${place.name}) elements`,
    );
    this.#place(place, at);
  }

  #place(place: m.TensorPlace, at: string): void {
    const { files, created } = this.#source;
    switch (place.kind) {
      case 'file':
        if (!files[place.file]) fail(`${at}.file`, `a file below ${files.length}`, place.file);
        break;
      case 'memory':
        if (created[place.buffer]?.name !== place.name)
          fail(`${at}.buffer`, `the new tensor ${place.name}`, place.buffer);
        break;
    }
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

const countOf = (tokens: readonly m.LearnedTokens[]): number => tokens.reduce((sum, { count }) => sum + count, 0);

function attentionWidth(attention: { heads: number; headDim: number; scale: number }, at: string): number {
  positive(attention.scale, `${at}.scale`);
  return size(size(attention.heads, `${at}.heads`) * size(attention.headDim, `${at}.headDim`), `${at} width`);
}
