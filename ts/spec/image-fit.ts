/** Which image sizes the maps of an encoder fit. */
import type { EncoderSpec, EncoderStage, PatchEmbedding } from './model-spec';

/** What an image of height × width pixels lacks, or null where it fits: a phrase that goes on from "expected". */
export function imageMisfit({ embedding, stages }: EncoderSpec, height: number, width: number): string | null {
  const [rows, columns] = [gridSide(embedding, height, 'Height'), gridSide(embedding, width, 'Width')];
  if (rows === null || columns === null) {
    return `a size of which the patches of ${embedding.patchHeight}×${embedding.patchWidth} leave one per whole stride`;
  }
  if (rows < 1 || columns < 1) return `at least one patch of ${embedding.patchHeight}×${embedding.patchWidth} pixels`;
  return orderMisfit(embedding, rows, columns) ?? stagesMisfit(stages, rows, columns);
}

/** Patches along one axis; null where there are fewer or more than strides. */
function gridSide(embedding: PatchEmbedding, pixels: number, axis: 'Height' | 'Width'): number | null {
  const patch = embedding[`patch${axis}`];
  const { tiling } = embedding;
  if (tiling.kind !== 'overlap') return (tiling.kind === 'pad' ? Math.ceil : Math.floor)(pixels / patch);
  const strides = Math.floor(pixels / tiling[`stride${axis}`]);
  const patches = Math.floor((pixels + 2 * tiling[`pad${axis}`] - patch) / tiling[`stride${axis}`]) + 1;
  return patches === strides || strides < 1 ? strides : null;
}

function orderMisfit({ cellOrder }: PatchEmbedding, rows: number, columns: number): string | null {
  if (!cellOrder) return null;
  const { levels, strideHeight, strideWidth } = cellOrder;
  const [high, wide] = [strideHeight ** levels, strideWidth ** levels];
  return rows % high || columns % wide ? `a map of a multiple of ${high}×${wide} cells, not ${rows}×${columns}` : null;
}

/** No map smaller than a window where windows may not be padded to more than one, and only whole units. */
function stagesMisfit(stages: readonly EncoderStage[], rows: number, columns: number): string | null {
  for (const [index, { entry, layers, merging }] of stages.entries()) {
    const before = rows * columns;
    if (entry) [rows, columns] = [rows / entry.poolHeight, columns / entry.poolWidth];
    for (const [place, { attention }] of layers.entries()) {
      const { span } = attention;
      const tokens = place === 0 ? before : rows * columns;
      if (span.kind === 'unit' && tokens % span.tokens)
        return `whole units of ${span.tokens} tokens in stage ${index}, not ${tokens}`;
      if (span.kind !== 'window' || span.smallMap === 'moved' || Math.min(rows, columns) >= span.side) continue;
      const windows = `windows of ${span.side}×${span.side} in stage ${index}`;
      return `an image whose map fills ${windows}, not one of ${rows}×${columns}`;
    }
    if (merging) [rows, columns] = [Math.ceil(rows / 2), Math.ceil(columns / 2)];
  }
  return null;
}
