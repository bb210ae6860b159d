/** Shared by the engine tests: the golden ViT + GPT-2 checkpoint and seeded pixels. */
import { join } from 'node:path';
import {
  VisionEncoderDecoderModel,
  type GenerateOptions,
  type GenerateOutput,
  type LoadOptions,
  type Tensor,
} from '../../ts/index';

export const GOLDEN = join(__dirname, '../golden/models');
export const EVERY_STEP: GenerateOptions = { minNewTokens: 18, maxNewTokens: 18 };
export const SEED = Number(process.env['VED_SEED'] ?? 20);
export const VOCAB = 53;

/** VED_TEST_DEVICE=cuda runs the same on the GPU. */
const DEVICE = (process.env['VED_TEST_DEVICE'] ?? 'cpu') as NonNullable<LoadOptions['device']>;

/** Deterministic pixels in [-1, 1). */
export function images(count: number, seed = SEED, height = 20, width = 20, channels = 3): Tensor {
  const data = new Float32Array(count * channels * height * width);
  let state = seed >>> 0;
  for (let i = 0; i < data.length; i++) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    data[i] = state / 2 ** 31 - 1;
  }
  return { data, dims: [count, channels, height, width] };
}

/** One image of a batch. */
export function imageOf(batch: Tensor, index: number): Tensor {
  const size = batch.data.length / batch.dims[0]!;
  return { data: batch.data.slice(index * size, (index + 1) * size), dims: [1, ...batch.dims.slice(1)] };
}

export async function withModel<T>(
  use: (model: VisionEncoderDecoderModel) => Promise<T>,
  options: LoadOptions = {},
  name = 'vit-gpt2',
): Promise<T> {
  const model = await VisionEncoderDecoderModel.fromPretrained(join(GOLDEN, name), {
    device: DEVICE,
    dtype: 'float32',
    threads: 1,
    ...options,
  });
  try {
    return await use(model);
  } finally {
    await model.dispose();
  }
}

/** Loads with environment variables set; they are read while fromPretrained() checks its options, before its first await. */
export function withVariables<T>(
  variables: Record<string, string>,
  use: (model: VisionEncoderDecoderModel) => Promise<T>,
  options: LoadOptions = {},
): Promise<T> {
  const before = Object.keys(variables).map((name) => [name, process.env[name]] as const);
  Object.assign(process.env, variables);
  const running = withModel(use, options);
  for (const [name, value] of before) {
    if (value === undefined) delete process.env[name];
    else process.env[name] = value;
  }
  return running;
}

/** Greedy, beam search, sampling and several sequences, as a busy server would mix them. */
export const MIX: { pixels: Tensor; options: GenerateOptions }[] = [
  { pixels: images(3, 1), options: {} },
  { pixels: images(2, 2), options: { numBeams: 3, numReturnSequences: 2, outputScores: true } },
  { pixels: images(2, 3), options: { doSample: true, seed: 5, topK: 0, temperature: 1.5 } },
  { pixels: images(1, 4), options: { numBeams: 2, earlyStopping: true, lengthPenalty: 0.5 } },
  { pixels: images(5, 5), options: { ...EVERY_STEP, repetitionPenalty: 1.3, outputScores: true } },
  { pixels: images(2, 6), options: { doSample: true, seed: 6, numReturnSequences: 3, topP: 0.9 } },
  { pixels: images(1, 7), options: { decoderInputIds: [[2, 7, 9]], noRepeatNgramSize: 2 } },
  { pixels: images(4, 8), options: { doSample: true, seed: 2 ** 40, minP: 0.02 } },
];

export async function alone(model: VisionEncoderDecoderModel): Promise<GenerateOutput[]> {
  const outputs: GenerateOutput[] = [];
  for (const { pixels, options } of MIX) outputs.push(await model.generate(pixels, options));
  return outputs;
}

export const together = (model: VisionEncoderDecoderModel): Promise<GenerateOutput[]> =>
  Promise.all(MIX.map(({ pixels, options }) => model.generate(pixels, options)));

export const ids = (outputs: GenerateOutput[]): number[][][] => outputs.map(({ sequences }) => sequences);
