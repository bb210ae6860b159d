import { createHash } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import { ConfigError, ImageError, OptionError, UnsupportedError } from '../../ts/errors';
import { AutoImageProcessor } from '../../ts/image/auto';
import { ImageProcessor, type BatchImageError } from '../../ts/image/processor';

const folder = join(__dirname, '..', 'golden', 'images');
const golden = JSON.parse(readFileSync(join(folder, 'expected.json'), 'utf8')) as {
  processors: { type: string; config: Record<string, unknown>; file: string; dims: number[]; sha256: string }[];
};
const file = (name: string): string => join(folder, name);
const vit = (config: object = {}): ImageProcessor =>
  new ImageProcessor({ image_processor_type: 'ViTImageProcessor', ...config });

for (const c of golden.processors) {
  test(`pixel values as transformers: ${c.type} ${JSON.stringify(c.config)} ${c.file}`, async (t) => {
    const processor = new ImageProcessor({ image_processor_type: c.type, ...c.config });
    const { pixelValues } = await processor.preprocess(file(c.file));
    t.deepEqual(pixelValues.dims, [1, ...c.dims]);
    t.is(createHash('sha256').update(new Uint8Array(pixelValues.data.buffer)).digest('hex'), c.sha256);
  });
}

test('old and suffixed names', (t) => {
  t.is(new ImageProcessor({ feature_extractor_type: 'ViTFeatureExtractor' }).type, 'ViTImageProcessor');
  t.is(
    new ImageProcessor({ feature_extractor_type: 'DonutFeatureExtractor', image_processor_type: null }).type,
    'DonutImageProcessor',
  );
  t.is(new ImageProcessor({ image_processor_type: 'DeiTImageProcessorFast' }).type, 'DeiTImageProcessor');
  t.is(new ImageProcessor({ image_processor_type: 'CLIPImageProcessorPil' }).type, 'CLIPImageProcessor');
  const unknown = t.throws(() => new ImageProcessor({ image_processor_type: 'SamImageProcessor' }), {
    instanceOf: UnsupportedError,
  });
  t.regex(unknown.message, /image_processor_type.*SamImageProcessor/u);
  t.throws(() => new ImageProcessor({}), { instanceOf: ConfigError, message: /neither/u });
  t.throws(() => new ImageProcessor({ image_processor_type: 3 }), { instanceOf: ConfigError });
});

const bad: [string, unknown][] = [
  ['do_resize', 'yes'],
  ['do_normalize', 1],
  ['resample', 6],
  ['resample', '2'],
  ['size', 0],
  ['size', -3],
  ['size', 1e9],
  ['size', 2.5],
  ['size', [1]],
  ['size', {}],
  ['size', { height: 3 }],
  ['size', { height: 3, width: 'a' }],
  ['size', 'big'],
  ['crop_size', []],
  ['rescale_factor', '1/255'],
  ['image_mean', [0.5, 0.5]],
  ['image_std', [1, 0, 1]],
  ['image_std', 'x'],
];
for (const [key, value] of bad) {
  test(`refused config: ${key} ${JSON.stringify(value)}`, (t) => {
    const error = t.throws(() => vit({ [key]: value }), { instanceOf: ConfigError });
    t.true(error.message.startsWith(`${key}: expected`) && error.message.includes(JSON.stringify(value)));
  });
}

test('null keeps the default, unknown keys are kept and ignored, do_pad is refused', (t) => {
  t.deepEqual(vit({ size: null, resample: null }).settings, vit().settings);
  t.deepEqual(vit({ other: 1 }).toJSON(), { image_processor_type: 'ViTImageProcessor', other: 1 });
  t.throws(() => vit({ do_pad: true }), { instanceOf: UnsupportedError, message: /doPad/u });
});

test('options of a call override, and unknown names are refused', async (t) => {
  const { pixelValues } = await vit().preprocess(file('rgb.png'), {
    size: { height: 8, width: 6 },
    doNormalize: false,
    doRescale: false,
  });
  t.deepEqual(pixelValues.dims, [1, 3, 8, 6]);
  t.true(pixelValues.data.every((value) => Number.isInteger(value) && value >= 0 && value <= 255));
  await t.throwsAsync(vit().preprocess(file('rgb.png'), { do_resize: false } as object), {
    instanceOf: OptionError,
    message: /doResize/u,
  });
  await t.throwsAsync(vit().preprocess(file('rgb.png'), { doResize: 3 } as object), { instanceOf: OptionError });
  await t.throwsAsync(vit().preprocess([]), { instanceOf: OptionError });
});

test('a batch keeps its order', async (t) => {
  const names = ['rgb.png', 'page.png', 'landscape.png', 'tiny.png', 'jpeg420.jpg', 'rgba.png', 'exif6.jpg'];
  const { pixelValues } = await vit({ size: 16 }).preprocess(names.map(file));
  t.deepEqual(pixelValues.dims, [names.length, 3, 16, 16]);
  for (const [i, name] of names.entries()) {
    const single = await vit({ size: 16 }).preprocess(file(name));
    t.deepEqual(pixelValues.data.slice(i * 768, (i + 1) * 768), single.pixelValues.data);
  }
});

test('a bad image fails alone, and says which it is', async (t) => {
  const images = [file('rgb.png'), Buffer.from('broken'), file('page.png'), file('absent.png')];
  const outcomes = await vit().preprocessSettled(images);
  t.deepEqual(
    outcomes.map((outcome) => outcome.status),
    ['fulfilled', 'rejected', 'fulfilled', 'rejected'],
  );
  t.deepEqual(
    outcomes.map((o) => (o.status === 'rejected' ? o.reason.index : undefined)),
    [undefined, 1, undefined, 3],
  );
  const error = await t.throwsAsync<BatchImageError>(vit().preprocess(images), { instanceOf: ImageError });
  t.is(error.index, 1);
});

test('images of different sizes cannot share a batch', async (t) => {
  const error = await t.throwsAsync<BatchImageError>(
    vit({ do_resize: false }).preprocess([file('rgb.png'), file('page.png')]),
    { code: 'IMAGE_SIZE_MISMATCH' },
  );
  t.is(error.index, 1);
});

test('an aborted signal rejects the whole call with its reason', async (t) => {
  const reason = new Error('enough');
  t.is(await t.throwsAsync(vit().preprocessSettled([file('rgb.png')], { signal: AbortSignal.abort(reason) })), reason);
});

test('AutoImageProcessor reads preprocessor_config.json and the nested processor_config.json', async (t) => {
  const at = mkdtempSync(join(tmpdir(), 'ved-image-'));
  t.teardown(() => rmSync(at, { recursive: true }));
  await t.throwsAsync(AutoImageProcessor.fromPretrained(at), { instanceOf: ConfigError });
  writeFileSync(
    join(at, 'preprocessor_config.json'),
    '{"feature_extractor_type":"DeiTFeatureExtractor","size":384,"do_center_crop":false}',
  );
  writeFileSync(join(at, 'processor_config.json'), '{"processor_class":"TrOCRProcessor"}');
  const first = await AutoImageProcessor.fromPretrained(at);
  t.is(first.type, 'DeiTImageProcessor');
  t.deepEqual(first.settings.size, { kind: 'exact', height: 384, width: 384 });
  writeFileSync(
    join(at, 'processor_config.json'),
    '{"image_processor":{"image_processor_type":"ViTImageProcessorFast"}}',
  );
  t.is((await AutoImageProcessor.fromPretrained(at)).type, 'ViTImageProcessor');
  await t.throwsAsync(AutoImageProcessor.fromPretrained(at, { revison: 'x' } as object), {
    instanceOf: OptionError,
    message: /revision/u,
  });
});
