/** The rules by which new tensors are drawn against what transformers really draws, for every golden config. */
import test, { type ExecutionContext } from 'ava';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { buildModelSpec, VisionEncoderDecoderConfig } from '../../ts/arch/vision-encoder-decoder';
import type { Distribution, NewTensor } from '../../ts/spec/init';
import { cases, GOLDEN } from '../parity/golden';
import { hasTransformers, runPython } from './python';

interface Described {
  shape: number[];
  rms: number;
  min: number;
  max: number;
  zeroRows: number[];
}
interface Stats {
  path: string;
  tensors: Record<string, Described>;
}

const pathOf = (name: string) => join(GOLDEN, name, 'config.json');
/** Copies of a case in other files have its config; half precision changes nothing; DistilBERT is no decoder there. */
const NAMES = cases
  .filter(({ name, expected, decoder }) => name === expected && !/f16$/.test(name) && decoder !== 'distilbert')
  .map(({ name }) => name);
let stats = new Map<string, Stats['tensors']>();

test.before(async (t) => {
  if (!hasTransformers) return;
  t.timeout(400_000);
  const results = await runPython<Stats>('init_stats.py', NAMES.map(pathOf));
  stats = new Map(results.map(({ path, tensors }) => [path, tensors]));
});

/** Root mean square, and the largest magnitude there can be. */
function expected(distribution: Distribution): { rms: number; most: number } {
  switch (distribution.kind) {
    case 'constant':
      return { rms: Math.abs(distribution.value), most: Math.abs(distribution.value) };
    case 'normal':
      return { rms: distribution.std, most: Infinity };
    case 'truncatedNormal': // all of these are far narrower than their bounds
      return { rms: distribution.std, most: distribution.high };
    case 'uniform':
      return { rms: distribution.bound / Math.sqrt(3), most: distribution.bound };
    case 'values':
      return { rms: rms(distribution.values), most: Infinity };
  }
}

function rms(values: Float32Array): number {
  return Math.sqrt(values.reduce((sum, value) => sum + value * value, 0) / values.length);
}

function checkTensor(t: ExecutionContext, { name, shape, distribution, zeroRow }: NewTensor, got: Described): void {
  t.deepEqual(got.shape, shape, name);
  if (zeroRow !== null) t.deepEqual(got.zeroRows, [zeroRow], name);
  else if (distribution.kind !== 'constant' && distribution.kind !== 'values') t.deepEqual(got.zeroRows, [], name);
  const count = shape.reduce((product, side) => product * side, 1);
  const drawn = zeroRow === null ? count : count - count / shape[0]!;
  const want = expected(distribution);
  // The sample's deviation lies within five of its own, σ/√(2n), of σ; the sum of n squares is divided by all elements.
  const spread = distribution.kind === 'constant' || distribution.kind === 'values' ? 1e-6 : 5 / Math.sqrt(2 * drawn);
  const scaled = got.rms * Math.sqrt(count / drawn);
  t.false(!(Math.abs(scaled - want.rms) <= spread * want.rms), `${name}: expected rms ${want.rms}, got ${scaled}`);
  const most = Math.max(-got.min, got.max);
  t.false(!(most <= want.most * (1 + 1e-6)), `${name}: expected at most ${want.most}, got ${most}`);
}

function check(t: ExecutionContext, name: string): void {
  const theirs = stats.get(pathOf(name));
  if (!theirs) return t.fail('no outcome');
  const config = VisionEncoderDecoderConfig.fromJSON(JSON.parse(readFileSync(pathOf(name), 'utf8')) as object);
  const { source } = buildModelSpec(config, { files: [], tensors: new Map() }, 'create');
  for (const tensor of source.created) {
    const got = theirs[tensor.name];
    if (got) checkTensor(t, tensor, got);
    else t.fail(`transformers has no ${tensor.name}`);
  }
  const ours = new Set(source.created.map((tensor) => tensor.name));
  const missing = Object.keys(theirs).filter((tensor) => !ours.has(tensor) && !UNUSED.test(tensor));
  t.deepEqual(missing, []);
}

/** Tensors that take no part in what a decoder reads, an untied head's second bias, and buffers that hold no weights. */
const UNUSED =
  /^decoder\.bert\.pooler\.|^encoder\.(pooler\.|embeddings\.mask_token$|post_layernorm\.|head\.|.*relative_position_index$)|^decoder\.(cls\.predictions|lm_head)\.bias$/;

const maybe = hasTransformers ? test : test.skip;
for (const name of NAMES) maybe(`new tensors start as in transformers: ${name}`, check, name);
