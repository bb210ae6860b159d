/**
 * Every golden checkpoint, loaded and run as a user would, against what transformers computed with it.
 * VED_BACKEND=reference runs the same through the scalar reference backend, VED_TEST_DEVICE=cuda on the GPU.
 */
import test, { type ExecutionContext } from 'ava';
import { join } from 'node:path';
import { VisionEncoderDecoderModel, type LoadOptions, type Tensor } from '../../ts/index';
import { numberDifference, tensorDifference } from './compare';
import { cases, GOLDEN, readExpected, type Expected, type ExpectedForward, type ExpectedGeneration } from './golden';

const DEVICE = (process.env['VED_TEST_DEVICE'] ?? 'cpu') as NonNullable<LoadOptions['device']>;
/** Of the largest expected value: float32 sums in another order over at most a few layers. */
const TENSOR_TOLERANCE = 2e-4;
const NUMBER_TOLERANCE = 1e-4;

function checkTensor(
  t: ExecutionContext,
  what: string,
  got: Tensor | undefined,
  expected: Expected,
  name: string,
): void {
  const want = expected.tensors.get(name);
  if (!want) return t.fail(`${what}: the golden case has no ${name}`);
  t.is(got ? tensorDifference(got, want, TENSOR_TOLERANCE) : 'missing', null, `${what}: ${name}`);
}

function checkList(
  t: ExecutionContext,
  what: string,
  got: Tensor[] | undefined,
  expected: Expected,
  prefix: string,
): void {
  const names = [...expected.tensors.keys()].filter((name) => name.startsWith(`${prefix}.`));
  t.is(got?.length, names.length, `${what}: ${prefix} length`);
  names.forEach((_, index) => checkTensor(t, what, got?.[index], expected, `${prefix}.${index}`));
}

function pixels(expected: Expected, name: string, rows?: number): Tensor {
  const all = expected.tensors.get(name)!;
  const count = rows ?? all.dims[0]!;
  return { data: all.data.slice(0, (all.data.length / all.dims[0]!) * count), dims: [count, ...all.dims.slice(1)] };
}

async function checkForward(
  t: ExecutionContext,
  model: VisionEncoderDecoderModel,
  run: ExpectedForward,
  expected: Expected,
) {
  const { name, pixelValues, loss, ...inputs } = run;
  const everything = name === 'ids';
  const output = await model.forward({
    ...inputs,
    pixelValues: pixels(expected, pixelValues, 2),
    outputHiddenStates: everything,
    outputAttentions: everything,
  });
  checkTensor(t, name, output.logits, expected, `${name}.logits`);
  if (expected.tensors.has(`${name}.encoder_last_hidden_state`)) {
    checkTensor(t, name, output.encoderLastHiddenState, expected, `${name}.encoder_last_hidden_state`);
  }
  if (loss !== undefined) t.is(numberDifference(output.loss, loss, NUMBER_TOLERANCE), null, `${name}: loss`);
  else t.is(output.loss, undefined, `${name}: loss`);
  if (!everything) return;
  checkList(t, name, output.encoderHiddenStates, expected, `${name}.encoder_hidden_states`);
  checkList(t, name, output.decoderHiddenStates, expected, `${name}.decoder_hidden_states`);
  checkList(t, name, output.crossAttentions, expected, `${name}.cross_attentions`);
}

async function checkGeneration(
  t: ExecutionContext,
  model: VisionEncoderDecoderModel,
  run: ExpectedGeneration,
  expected: Expected,
) {
  const output = await model.generate(pixels(expected, 'pixel_values'), run.options);
  t.deepEqual(output.sequences, run.sequences, `${run.name}: ids`);
  checkNumbers(t, `${run.name}: sequenceScores`, output.sequenceScores, run.sequenceScores);
  run.tokenLogProbs?.forEach((row, index) =>
    checkNumbers(t, `${run.name}: tokenLogProbs[${index}]`, output.tokenLogProbs[index], row, 1),
  );
}

/** Relative to each number, or to `floor` where that is larger (log-probabilities near 0). */
function checkNumbers(
  t: ExecutionContext,
  what: string,
  got: number[] | undefined,
  expected: number[] | undefined,
  floor = 0,
) {
  if (!expected) return;
  t.is(got?.length, expected.length, `${what} length`);
  expected.forEach((value, index) => {
    const difference = Math.abs((got?.[index] ?? NaN) - value);
    const allowed = NUMBER_TOLERANCE * Math.max(Math.abs(value), floor);
    t.false(!(difference <= allowed), `${what}[${index}]: expected ${value}, got ${got?.[index]}`);
  });
}

async function withModel(name: string, use: (model: VisionEncoderDecoderModel) => Promise<void>): Promise<void> {
  const model = await VisionEncoderDecoderModel.fromPretrained(join(GOLDEN, name), {
    device: DEVICE,
    dtype: 'float32',
  });
  try {
    await use(model);
  } finally {
    await model.dispose();
  }
}

for (const { name, expected: folder } of cases) {
  const expected = readExpected(folder);
  for (const run of expected.forwards) {
    test(`${name}: forward ${run.name}`, (t) => withModel(name, (model) => checkForward(t, model, run, expected)));
  }
  for (const run of expected.generations) {
    test(`${name}: generate ${run.name}`, (t) => withModel(name, (model) => checkGeneration(t, model, run, expected)));
  }
}
