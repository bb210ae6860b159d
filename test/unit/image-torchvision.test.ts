import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import { OptionError, UnsupportedError } from '../../ts/errors';
import { AutoImageProcessor } from '../../ts/image/auto';
import { runPixelSteps, type ImageStep, type Resample } from '../../ts/image/native-image';
import { ImageProcessor } from '../../ts/image/processor';

const folder = join(__dirname, '..', 'golden', 'images');
const golden = JSON.parse(readFileSync(join(folder, 'torchvision.json'), 'utf8')) as {
  resizes: { from: [number, number]; to: [number, number]; filter: Resample; seed: number; sha256: string }[];
  processors: { type: string; config: Record<string, unknown>; file: string; dims: number[]; sha256: string }[];
};
const hash = (data: ArrayBufferView): string =>
  createHash('sha256')
    .update(new Uint8Array(data.buffer, data.byteOffset, data.byteLength))
    .digest('hex');

/** The same bytes as noise() of tools/golden/images_torchvision.py. */
function noise(count: number, seed: number): Uint8Array {
  let state = seed;
  return Uint8Array.from({ length: count }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state >>> 24;
  });
}

test('resize equals torchvision bit for bit', async (t) => {
  t.true(golden.resizes.length >= 150);
  for (const c of golden.resizes) {
    const [width, height] = c.from;
    const step: ImageStep = {
      op: 'resize',
      width: c.to[0],
      height: c.to[1],
      filter: c.filter,
      arithmetic: 'torchvision',
    };
    const out = await runPixelSteps(
      { data: noise(width * height * 3, c.seed), width, height, channels: 3 },
      [step],
      'x',
    );
    t.is(hash(out.data), c.sha256, `${c.from.join('x')} to ${c.to.join('x')}, filter ${c.filter}`);
  }
});

for (const c of golden.processors) {
  test(`pixel values as torchvision: ${c.type} ${JSON.stringify(c.config)} ${c.file}`, async (t) => {
    const processor = new ImageProcessor({ image_processor_type: c.type, ...c.config }, { backend: 'torchvision' });
    const { pixelValues } = await processor.preprocess(join(folder, c.file));
    t.deepEqual(pixelValues.dims, [1, ...c.dims]);
    t.is(hash(pixelValues.data), c.sha256);
  });
}

test('the backend is asked for, per processor or per call, and never from a file', async (t) => {
  const config = { image_processor_type: 'ViTImageProcessorFast', size: 33, backend: 'torchvision' };
  const file = join(folder, 'rgb.png');
  const values = async (processor: ImageProcessor, options = {}): Promise<string> =>
    hash((await processor.preprocess(file, options)).pixelValues.data);
  const pil = await values(new ImageProcessor(config));
  const other = await values(new ImageProcessor(config, { backend: 'torchvision' }));
  t.not(pil, other);
  t.is(await values(new ImageProcessor(config), { backend: 'torchvision' }), other);
  t.is(await values(new ImageProcessor(config, { backend: 'torchvision' }), { backend: 'pil' }), pil);
});

test('what torchvision lacks is refused', async (t) => {
  const box = { image_processor_type: 'ViTImageProcessor', resample: 4 };
  t.notThrows(() => new ImageProcessor(box));
  t.throws(() => new ImageProcessor(box, { backend: 'torchvision' }), { instanceOf: UnsupportedError });
  const vit = new ImageProcessor({ image_processor_type: 'ViTImageProcessor' });
  await t.throwsAsync(vit.preprocess(join(folder, 'rgb.png'), { backend: 'fast' as 'pil' }), {
    instanceOf: OptionError,
  });
  await t.throwsAsync(AutoImageProcessor.fromPretrained(folder, { bakend: 'pil' } as object), { message: /backend/u });
  const image = { data: new Uint8Array(48), width: 4, height: 4, channels: 3 };
  const bad = { op: 'resize', width: 2, height: 2, filter: 5, arithmetic: 'torchvision' } as const;
  await t.throwsAsync(runPixelSteps(image, [bad], 'x'), { message: /nearest, Lanczos, bilinear or bicubic/u });
  const unknown = { ...bad, arithmetic: 'opencv' } as unknown as ImageStep;
  await t.throwsAsync(runPixelSteps(image, [unknown], 'x'));
});
