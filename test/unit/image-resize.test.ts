import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import { runPixelSteps, runPlaneSteps, type ImageStep, type Resample } from '../../ts/image/native-image';

const folder = join(__dirname, '..', 'golden', 'images');
const golden = JSON.parse(readFileSync(join(folder, 'expected.json'), 'utf8')) as {
  resizes: {
    from: [number, number];
    to: [number, number];
    filter: Resample;
    gap: number | null;
    channels: number;
    seed: number;
    sha256: string;
  }[];
};

/** The same bytes as noise() of tools/golden/images.py. */
function noise(count: number, seed: number): Uint8Array {
  const data = new Uint8Array(count);
  let state = seed;
  for (let i = 0; i < count; i++) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    data[i] = state >>> 24;
  }
  return data;
}

const pixels = (width: number, height: number, channels: number, seed = 1) => ({
  data: noise(width * height * channels, seed),
  width,
  height,
  channels,
});

test('resize equals Pillow bit for bit', async (t) => {
  let wrong = 0;
  for (const c of golden.resizes) {
    const step: ImageStep = {
      op: 'resize',
      width: c.to[0],
      height: c.to[1],
      filter: c.filter,
      ...(c.gap !== null && { reducingGap: c.gap }),
    };
    const out = await runPixelSteps(pixels(c.from[0], c.from[1], c.channels, c.seed), [step], 'noise');
    if (createHash('sha256').update(out.data).digest('hex') !== c.sha256 && wrong++ < 5) {
      t.fail(`${c.from.join('x')} to ${c.to.join('x')}, filter ${c.filter}, gap ${c.gap}, ${c.channels} channels`);
    }
  }
  t.is(wrong, 0);
  t.true(golden.resizes.length > 400);
});

test('normalize is float32(float64(px) * rescale), then float32 arithmetic', async (t) => {
  const image = pixels(16, 16, 3);
  const mean = [0.485, 0.456, 0.406];
  const std = [0.229, 0.224, 0.225];
  const { data, dims } = await runPlaneSteps(image, [{ op: 'normalize', rescale: 1 / 255, mean, std }], 'noise');
  t.deepEqual([...dims], [3, 16, 16]);
  for (let c = 0; c < 3; c++) {
    for (let i = 0; i < 256; i++) {
      const value = Math.fround((image.data[i * 3 + c] as number) * (1 / 255));
      const want = Math.fround(Math.fround(value - Math.fround(mean[c] as number)) / Math.fround(std[c] as number));
      if (data[c * 256 + i] !== want) return t.fail(`channel ${c}, pixel ${i}`);
    }
  }
});

const hostile: [string, ImageStep][] = [
  ['huge resize', { op: 'resize', width: 2 ** 26, height: 2 ** 26, filter: 2 }],
  ['beyond 32 bits', { op: 'resize', width: 2 ** 33, height: 1, filter: 2 }],
  ['zero', { op: 'resize', width: 0, height: 4, filter: 2 }],
  ['negative', { op: 'resize', width: 4, height: -1, filter: 2 }],
  ['fraction', { op: 'resize', width: 1.5, height: 4, filter: 2 }],
  ['NaN', { op: 'resize', width: Number.NaN, height: 4, filter: 2 }],
  ['filter', { op: 'resize', width: 4, height: 4, filter: 9 as Resample }],
  ['gap', { op: 'resize', width: 4, height: 3, filter: 2, reducingGap: 0.5 }],
  ['gap NaN', { op: 'resize', width: 4, height: 3, filter: 2, reducingGap: Number.NaN }],
  ['crop outside', { op: 'crop', x: 2, y: 0, width: 4, height: 1 }],
  ['crop overflow', { op: 'crop', x: 2 ** 53 - 1, y: 0, width: 2 ** 53 - 1, height: 1 }],
  ['pad', { op: 'pad', left: 2 ** 52, top: 0, right: 2 ** 52, bottom: 0, value: 0 }],
  ['pad smaller', { op: 'padCentered', width: 2, height: 2, value: 0 }],
  ['pad value', { op: 'padCentered', width: 9, height: 9, value: 256 }],
  ['orientation', { op: 'orient', orientation: 9 }],
  ['mean count', { op: 'normalize', mean: [1], std: [1] }],
  ['mean without std', { op: 'normalize', mean: [1, 1, 1] }],
  ['unknown', { op: 'blur' } as unknown as ImageStep],
  ['cmyk of rgb', { op: 'cmykToRgb' }],
];

for (const [name, step] of hostile) {
  test(`refused: ${name}`, async (t) => {
    const error = await t.throwsAsync(runPixelSteps(pixels(4, 4, 3), [step], 'noise'));
    t.is((error as { code?: string }).code, 'IMAGE_PROCESS_FAILED');
    t.regex(error.message, /^noise: /u);
  });
}

test('refused: wrong data length, too many steps, normalize in the middle', async (t) => {
  await t.throwsAsync(runPixelSteps({ ...pixels(4, 4, 3), width: 5 }, [], 'noise'), {
    message: /expected 60 bytes .* got 48/u,
  });
  await t.throwsAsync(runPixelSteps(pixels(4, 4, 3), new Array<ImageStep>(65).fill({ op: 'toRgb' }), 'noise'), {
    message: /at most 64/u,
  });
  await t.throwsAsync(runPixelSteps(pixels(4, 4, 3), [{ op: 'normalize' }, { op: 'toRgb' }], 'noise'), {
    message: /last step/u,
  });
});

test('the input is copied: changing or transferring it while the job runs has no effect', async (t) => {
  const image = pixels(64, 64, 3);
  const want = await runPixelSteps(image, [{ op: 'rotate90', turns: 1 }], 'noise');
  const running = runPixelSteps(image, [{ op: 'rotate90', turns: 1 }], 'noise');
  structuredClone(image.data, { transfer: [image.data.buffer] });
  t.deepEqual((await running).data, want.data);
});
