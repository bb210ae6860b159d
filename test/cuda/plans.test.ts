/**
 * The programs of a few golden models as CUDA runs them, compared as text: what is fused, and what lies in 16 bits.
 * VED_WRITE_PLANS=1 writes the files anew.
 */
import test from 'ava';
import { readFileSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import type { LoadOptions } from '../../ts/index';
import { loadFromFolder } from '../../ts/model/load';
import { GOLDEN } from '../parity/golden';

const PLANS = resolve(__dirname, '../golden/plans');
const DEVICE = process.env['VED_TEST_DEVICE'] as NonNullable<LoadOptions['device']>;

/** Pre-norm, post-norm, and windows. */
const MODELS = ['vit-gpt2', 'deit-bert-untied', 'donut-swin-mbart'];

async function plans(model: string, dtype: NonNullable<LoadOptions['dtype']>): Promise<string> {
  const { native } = await loadFromFolder(join(GOLDEN, model), { device: DEVICE, dtype }, new Error());
  try {
    return (['encode', 'cross', 'decode', 'head'] as const).map((entry) => native.dumpPlan(entry)).join('\n');
  } finally {
    await native.dispose();
  }
}

for (const model of MODELS)
  test(`plans: ${model} in bfloat16`, async (t) => {
    const file = join(PLANS, `${model}.txt`);
    const text = await plans(model, 'bfloat16');
    if (process.env['VED_WRITE_PLANS']) writeFileSync(file, text);
    t.is(text, readFileSync(file, 'utf8'));
  });
