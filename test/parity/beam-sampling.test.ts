/** Beam sampling draws texts as often as transformers does (tools/golden/beam_sampling.py), within a chi-square bound. */
import test from 'ava';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { VisionEncoderDecoderModel, type GenerateOptions } from '../../ts/index';
import { GOLDEN, readExpected } from './golden';

interface Report {
  case: string;
  options: GenerateOptions;
  samples: number;
  counts: Record<string, number>;
}
const report = JSON.parse(readFileSync(join(GOLDEN, '../decode/beam-sampling.json'), 'utf8')) as Report;
const ROWS = 100;
const ROUNDS = 40;

async function sample(options: GenerateOptions): Promise<Map<string, number>> {
  const pixels = readExpected(report.case).tensors.get('pixel_values')!;
  const [, ...side] = pixels.dims;
  const image = pixels.data.slice(0, pixels.data.length / pixels.dims[0]!);
  const data = new Float32Array(image.length * ROWS);
  for (let row = 0; row < ROWS; row++) data.set(image, row * image.length);
  const counts = new Map<string, number>();
  const model = await VisionEncoderDecoderModel.fromPretrained(join(GOLDEN, report.case), { device: 'cpu' });
  try {
    for (let seed = 1; seed <= ROUNDS; seed++) {
      const { sequences } = await model.generate({ data, dims: [ROWS, ...side] }, { ...options, seed });
      for (const row of sequences) counts.set(row.join(' '), (counts.get(row.join(' ')) ?? 0) + 1);
    }
  } finally {
    await model.dispose();
  }
  return counts;
}

/** The two-sample statistic over texts expected at least ten times, all others in one bin, and its degrees of freedom. */
function chiSquare(counts: Map<string, number>): { statistic: number; freedom: number } {
  const drawn = ROWS * ROUNDS;
  const ratio = Math.sqrt(report.samples / drawn);
  const common = Object.keys(report.counts).filter((text) => (report.counts[text]! * drawn) / report.samples >= 10);
  const bins = common.map((text) => [report.counts[text]!, counts.get(text) ?? 0] as const);
  const rest = (all: number, index: 0 | 1) => all - bins.reduce((sum, bin) => sum + bin[index], 0);
  const all = [...bins, [rest(report.samples, 0), rest(drawn, 1)] as const].filter(([a, b]) => a + b > 0);
  const statistic = all.reduce((sum, [a, b]) => sum + (a / ratio - b * ratio) ** 2 / (a + b), 0);
  return { statistic, freedom: all.length - 1 };
}

/** Exceeded by chance once in ten thousand (Wilson & Hilferty 1931: the cube root is close to normal). */
function bound(freedom: number): number {
  const spread = 2 / (9 * freedom);
  return freedom * (1 - spread + 3.719 * Math.sqrt(spread)) ** 3;
}

test('texts of beam sampling are as frequent as in transformers', async (t) => {
  const { statistic, freedom } = chiSquare(await sample(report.options));
  t.true(freedom >= 8, `${freedom} degrees of freedom`);
  t.true(statistic <= bound(freedom), `chi-square ${statistic} with ${freedom} degrees of freedom`);
});

test('another temperature would be noticed', async (t) => {
  const { statistic, freedom } = chiSquare(await sample({ ...report.options, temperature: 1.3 }));
  t.false(statistic <= bound(freedom), `chi-square ${statistic} with ${freedom} degrees of freedom`);
});
