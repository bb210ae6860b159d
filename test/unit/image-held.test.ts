/** Images handed over as they are: the native side's objects, what it refuses, and the way through the reference backend. */
import { join } from 'node:path';
import test from 'ava';
import { VedError, type Tensor } from '../../ts/index';
import { HeldPixels, holdSettled } from '../../ts/image/held';
import { holdSteps, runPlaneSteps, type ImageStep, type NativeImage } from '../../ts/image/native-image';
import { allFulfilled } from '../../ts/image/prepare';
import { ImageProcessor } from '../../ts/image/processor';
import { takesHeldPixels } from '../../ts/model';
import { loadNative } from '../../ts/native/load';
import { withModel, withVariables } from './engine-fixture';

const image = (name: string): string => join(__dirname, '..', 'golden', 'images', name);
const files = ['rgb.png', 'landscape.png', 'tiny.png'].map(image);
const size = { height: 20, width: 20 };
const processor = new ImageProcessor({ image_processor_type: 'DeiTImageProcessor', size: 23, crop_size: size });

const pixels = { data: new Uint8Array(30 * 24 * 3).map((_, i) => (i * 7) % 256), width: 30, height: 24, channels: 3 };
const steps: ImageStep[] = [
  { op: 'resize', width: 20, height: 20, filter: 2 },
  { op: 'normalize', rescale: 1 / 255 },
];
const hold = (maxBytes: number, list = steps): Promise<NativeImage> => holdSteps(pixels, list, 'image', maxBytes);

test('the reference backend computes the values of held images: those of the host', async (t) => {
  const { pixelValues } = await processor.preprocess(files);
  await withVariables({ VED_BACKEND: 'reference' }, async (model) => {
    t.true(takesHeldPixels(model));
    const held = new HeldPixels(allFulfilled(await holdSettled(processor, files, {})));
    const options = { maxNewTokens: 3, numBeams: 2, outputCrossAttentions: true };
    t.deepEqual(await model.generate(held, options), await model.generate(pixelValues, options));
    const mixed = new HeldPixels([held.images[2]!, ...allFulfilled(await holdSettled(processor, [files[0]!], {}))]);
    const [a, b] = await Promise.all([
      model.generate(mixed, { maxNewTokens: 3 }),
      model.generate(held, { maxNewTokens: 3 }),
    ]);
    t.deepEqual(a.tokenLogProbs, [b.tokenLogProbs[2], b.tokenLogProbs[0]]);
  });
});

test('what is held is prepared at once where it takes too much, or a step has no program', async (t) => {
  t.false((await hold(1e6)).prepared);
  t.true((await hold(30 * 24 * 3)).prepared);
  t.true((await hold(0)).prepared);
  t.true((await hold(1e6, [{ op: 'toGray' }, { op: 'toRgb' }, ...steps])).prepared);
  t.deepEqual((await hold(0)).dims, [3, 20, 20]);
  t.deepEqual((await hold(1e6)).dims, [3, 20, 20]);
  await t.throwsAsync(hold(1e6, steps.slice(0, 1)), { code: 'IMAGE_PROCESS_FAILED', message: /normalize/u });
  await t.throwsAsync(hold(1e6, [{ op: 'orient', orientation: 9 }, ...steps]), { code: 'IMAGE_PROCESS_FAILED' });
});

test('the CPU takes held images that are prepared, and refuses others', async (t) => {
  await withModel(async (model) => {
    t.false(takesHeldPixels(model));
    const prepared = new HeldPixels([await hold(0)]);
    const { data } = await runPlaneSteps(pixels, steps, 'image');
    const plain: Tensor = { data, dims: [1, 3, 20, 20] };
    t.deepEqual(await model.generate(prepared, { maxNewTokens: 3 }), await model.generate(plain, { maxNewTokens: 3 }));
    await t.throwsAsync(model.generate(new HeldPixels([await hold(1e6)])), {
      instanceOf: VedError,
      message: /prepares none/u,
    });
    const real = await hold(0);
    const lookalike = Object.create(Object.getPrototypeOf(real) as object) as object;
    const made = new (real.constructor as new () => object)();
    for (const bad of [{}, lookalike, made, null, 3]) {
      const fake = Object.assign(Object.create(HeldPixels.prototype) as object, {
        images: [real, bad],
        dims: [2, 3, 20, 20],
      });
      await t.throwsAsync(model.generate(fake as HeldPixels, { maxNewTokens: 3 }));
    }
    const other: NativeImage = { dims: [3, 20, 21], prepared: true };
    t.throws(() => new HeldPixels([real, other]), { code: 'IMAGE_SIZE_MISMATCH' });
  });
});

test('holdImage refuses malformed arguments', (t) => {
  const native = loadNative();
  const call = (...args: unknown[]): unknown => native.holdImage(...args);
  for (const maxBytes of [-1, 0.5, Number.NaN, '4', undefined])
    t.throws(() => call(pixels.data, 30, 24, 3, steps, maxBytes));
  t.throws(() => call(pixels.data, 31, 24, 3, steps, 100));
  t.throws(() => call(new Float32Array(4), 1, 1, 3, steps, 100));
  t.throws(() => call(pixels.data, 30, 24, 3, [{ op: 'blur' }], 100));
});
