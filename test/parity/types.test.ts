/**
 * Every golden checkpoint in the fast types. Two comparisons: with transformers' float32 logits, within what rounding the factors
 * of every matrix product can cost; and of kernels that widen with the reference backend's emulation of the rounding, without
 * fusion, which folds layer scales into weights before they are rounded.
 */
import test from 'ava';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { VisionEncoderDecoderModel, type Tensor } from '../../ts/index';
import { tensorDifference } from './compare';
import { cases, GOLDEN, readExpected, type Expected } from './golden';

/** Relative error of one factor: half a unit in the last place, or half a step of 127 (the row's maximum is 127 steps). */
const ROUNDOFF = { bfloat16: 2 ** -9, int8: 1 / 254 } as const;
/**
 * Sums in another order flip a rounding now and then, and a flip spreads. Two independent roundings would be √2 times as far from
 * each other as from the exact result.
 */
const EMULATION_SHARE = 0.75;

function rms(a: ArrayLike<number>, b: ArrayLike<number>): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += (a[i]! - b[i]!) ** 2;
  return Math.sqrt(sum / a.length);
}

async function logits(name: string, expected: Expected, dtype: 'bfloat16' | 'int8'): Promise<Tensor> {
  const { pixelValues, decoderInputIds } = expected.forwards.find((run) => run.name === 'ids')!;
  const model = await VisionEncoderDecoderModel.fromPretrained(join(GOLDEN, name), { device: 'cpu', dtype });
  try {
    if (model.dtype !== dtype) throw new Error(`expected dtype ${dtype}, got ${model.dtype}`);
    const all = expected.tensors.get(pixelValues)!;
    const data = all.data.slice(0, (all.data.length / all.dims[0]!) * 2);
    const inputs = { pixelValues: { data, dims: [2, ...all.dims.slice(1)] }, decoderInputIds };
    return (await model.forward(inputs)).logits;
  } finally {
    await model.dispose();
  }
}

interface Depths {
  num_hidden_layers?: number;
  n_layer?: number;
  n_layers?: number;
  num_layers?: number;
  decoder_layers?: number;
  num_decoder_layers?: number;
  depths?: number[];
}

/** Matrix products one after another on the way to a logit, two rounded factors in each. */
function countProducts(name: string): number {
  const config = JSON.parse(readFileSync(join(GOLDEN, name, 'config.json'), 'utf8')) as Record<string, Depths>;
  const layers = (half: Depths): number =>
    half.depths?.reduce((sum, depth) => sum + depth, 0) ??
    half.decoder_layers ??
    half.num_decoder_layers ??
    half.n_layer ??
    half.n_layers ??
    half.num_layers ??
    half.num_hidden_layers!;
  const [encoder, decoder] = [layers(config['encoder']!), layers(config['decoder']!)];
  return 1 + 6 * encoder + 1 + 10 * decoder + 1;
}

/** Under environment variables; the tests of this file run one after another. */
async function withEnvironment<T>(values: Record<string, string>, run: () => Promise<T>): Promise<T> {
  Object.assign(process.env, values);
  try {
    return await run();
  } finally {
    for (const name of Object.keys(values)) delete process.env[name];
  }
}

for (const { name, expected: folder } of cases) {
  const expected = readExpected(folder);
  const want = expected.tensors.get('ids.logits')!;
  for (const dtype of ['bfloat16', 'int8'] as const) {
    test.serial(`${name}: ${dtype} against transformers`, async (t) => {
      const allowed = 2 * countProducts(name) * ROUNDOFF[dtype];
      t.is(tensorDifference(await logits(name, expected, dtype), want, allowed), null);
    });
    test.serial(`${name}: ${dtype} against the emulation`, async (t) => {
      const run = () => logits(name, expected, dtype);
      const reference = await withEnvironment({ VED_BACKEND: 'reference' }, run);
      const got = await withEnvironment({ VED_ISA: 'scalar', VED_NO_FUSION: '1' }, run);
      const [apart, cost] = [rms(got.data, reference.data), rms(reference.data, want.data)];
      t.true(apart <= EMULATION_SHARE * cost, `apart ${apart}, rounding costs ${cost}`);
      t.not(tensorDifference(got, want, 1e-5), null, 'rounding must show, or the type was not used');
    });
  }
}
