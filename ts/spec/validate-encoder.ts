/** Checks the encoder of a spec. */
import { equal, fail, finite, positive, size, within } from './checks';
import type * as m from './model-spec';
import { MAX_LAYERS, type PartsValidator } from './validate-parts';

const MAX_LEVELS = 16;
/** Scores of one window and head are held at once: side⁴ floats at most. */
const MAX_WINDOW = 256;

export class EncoderValidator {
  readonly #parts: PartsValidator;

  constructor(parts: PartsValidator) {
    this.#parts = parts;
  }

  validate(encoder: m.EncoderSpec): void {
    size(encoder.stages.length, 'encoder.stages', MAX_LAYERS);
    this.#patches(encoder.embedding, size(encoder.stages[0]!.width, 'encoder.stages[0].width'));
    encoder.stages.forEach((_, index) => this.#stage(encoder.stages, index, `encoder.stages[${index}]`));
    const width = encoder.stages.at(-1)!.width;
    equal(encoder.hiddenSize, width, 'encoder.hiddenSize');
    if (encoder.finalNorm) this.#parts.norm(encoder.finalNorm, 'encoder.finalNorm', width);
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
    this.#parts.linear(merging.reduction, `${at}.merging.reduction`, 4 * width, next.width);
    this.#parts.norm(merging.norm, `${at}.merging.norm`, merging.normPosition === 'pre' ? 4 * width : next.width);
  }

  /** The number of tokens that become one. */
  #entry(entry: m.StageEntry, at: string, before: m.EncoderStage | undefined, width: number): number {
    if (!before) return fail(at, 'null in the first stage', 'one');
    this.#parts.linear(entry.projection, `${at}.projection`, before.width, width);
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
    this.#parts.linear(attention.qkv, `${at}.attention.qkv`, read, 3 * inner);
    this.#parts.linear(attention.output, `${at}.attention.output`, inner, width);
    this.#span(span, `${at}.attention.span`, heads);
    this.#parts.norm(layer.attentionNorm, `${at}.attentionNorm`, read);
    if (layer.attentionScale !== null) this.#parts.tensor(layer.attentionScale, `${at}.attentionScale`, width);
    this.#parts.linear(mlp.up, `${at}.mlp.up`, width, mlp.up.out);
    const gated = mlp.kind === 'gated';
    if (gated && mlp.up.out % 2) fail(`${at}.mlp.up.out`, 'an even number', mlp.up.out);
    this.#parts.linear(mlp.down, `${at}.mlp.down`, gated ? mlp.up.out / 2 : mlp.up.out, width);
    this.#parts.norm(layer.mlpNorm, `${at}.mlpNorm`, width);
    if (layer.mlpScale !== null) this.#parts.tensor(layer.mlpScale, `${at}.mlpScale`, width);
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
    tables.forEach((ref, index) => this.#parts.tensor(ref, `${at}.bias.tables[${index}]`, (rows + 3) * heads));
  }

  #windowSpan(span: m.WindowSpan, at: string, heads: number): void {
    const { side, shift, similarity, bias } = span;
    size(side, `${at}.side`, MAX_WINDOW);
    if (!(Number.isSafeInteger(shift) && shift >= 0 && shift < side)) fail(`${at}.shift`, `0 to ${side - 1}`, shift);
    finite(span.mask, `${at}.mask`);
    if (similarity.kind === 'dot') positive(similarity.scale, `${at}.similarity.scale`);
    else {
      this.#parts.tensor(similarity.logScale, `${at}.similarity.logScale`, heads);
      finite(similarity.maxLogScale, `${at}.similarity.maxLogScale`);
    }
    if (bias.kind === 'table') return this.#parts.tensor(bias.table, `${at}.bias.table`, (2 * side - 1) ** 2 * heads);
    size(bias.unit, `${at}.bias.unit`);
    this.#parts.linear(bias.hidden, `${at}.bias.hidden`, 2, bias.hidden.out);
    this.#parts.linear(bias.output, `${at}.bias.output`, bias.hidden.out, heads);
  }

  #patches(patches: m.PatchEmbedding, width: number): void {
    const at = 'encoder.embedding';
    const { channels, patchHeight, patchWidth, positions } = patches;
    for (const key of ['channels', 'imageHeight', 'imageWidth', 'patchHeight', 'patchWidth'] as const) {
      size(patches[key], `${at}.${key}`);
    }
    if (patches.tiling.kind === 'overlap') this.#overlap(patches, patches.tiling);
    this.#parts.linear(patches.projection, `${at}.projection`, channels * patchHeight * patchWidth, width);
    if (patches.patchNorm) this.#parts.norm(patches.patchNorm, `${at}.patchNorm`, width);
    for (const key of ['prefixTokens', 'suffixTokens'] as const) {
      patches[key].forEach(({ tensor, count }, index) =>
        this.#parts.tensor(tensor, `${at}.${key}[${index}]`, size(count, `${at}.${key}[${index}].count`) * width),
      );
    }
    if (patches.norm) this.#parts.norm(patches.norm, `${at}.norm`, width);
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
    this.#parts.tensor(positions.table, `${at}.table`, tables * (prefix + cells + suffix) * width);
  }
}

const countOf = (tokens: readonly m.LearnedTokens[]): number => tokens.reduce((sum, { count }) => sum + count, 0);
