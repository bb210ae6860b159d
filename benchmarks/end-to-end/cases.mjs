// What is measured: the cases, and the engines in the order they are interleaved.
const NEW_TOKENS = 20;

const CASES = [
  { name: 'batch 1, greedy', batch: 1, numBeams: 1 },
  { name: 'batch 1, beam 4', batch: 1, numBeams: 4 },
  { name: 'batch 8, greedy', batch: 8, numBeams: 1 },
];
/** Donut's encoder takes seconds per image. */
const casesOf = (model) => (model === 'donut' ? CASES.slice(0, 1) : CASES);

export const ENGINES = [
  { id: 'ours fp32', driver: 'ours', dtype: 'fp32' },
  { id: 'ours bf16', driver: 'ours', dtype: 'bf16' },
  { id: 'ours int8', driver: 'ours', dtype: 'int8' },
  { id: 'PyTorch fp32', driver: 'pytorch', dtype: 'fp32' },
  { id: 'PyTorch bf16', driver: 'pytorch', dtype: 'bf16' },
  { id: 'transformers.js fp32', driver: 'transformersjs', dtype: 'fp32' },
  { id: 'transformers.js int8', driver: 'transformersjs', dtype: 'int8' },
  // transformers.js made to keep the keys and values of cross-attention, as prepare/onnx_export.py says; its users get the two above.
  { id: 'transformers.js + cross cache fp32', driver: 'transformersjs', dtype: 'fp32', setup: 'transformersjs-kept' },
  { id: 'transformers.js + cross cache int8', driver: 'transformersjs', dtype: 'int8', setup: 'transformersjs-kept' },
];
/** TrOCR's decoder has its keys and values of cross-attention kept anyway. */
const enginesOf = (model) => ENGINES.filter(({ setup }) => !setup || model === 'vit-gpt2');

/** The cells of one round; every engine of a case runs before the next case starts. */
export function cells(model, quick) {
  return quick ? warmCells(model, 2, true) : [...warmCells(model, 1), ...coldCells(model), ...warmCells(model, 2)];
}

function warmCells(model, count, quick) {
  const list = [];
  for (const { name, batch, numBeams } of casesOf(model)) {
    for (const engine of enginesOf(model)) {
      if (numBeams > 1 && engine.driver === 'transformersjs') continue;
      const settings = { batch, numBeams, threads: count, newTokens: NEW_TOKENS, dtype: engine.dtype };
      const runs = quick ? { warmup: 1, repeats: 1, maxSeconds: 2 } : { warmup: 1, repeats: 3, maxSeconds: 3 };
      list.push({ name: `${name}, ${count} thread${count > 1 ? 's' : ''}`, engine, job: { ...settings, ...runs } });
    }
  }
  return list;
}

/** Cold starts: one process, one run, nothing warmed up. */
function coldCells(model) {
  const job = { batch: 1, numBeams: 1, threads: 2, newTokens: NEW_TOKENS, warmup: 0, repeats: 1, maxSeconds: 60 };
  return enginesOf(model).map((engine) => ({ name: 'cold start', engine, job: { ...job, dtype: engine.dtype } }));
}
