/**
 * Images whose pixel values the device computes: what comes out equals what pixel values from the host give, bit for bit.
 * Raw pixels, as there is no decoder on a machine that gpu-check runs on.
 */
import { join } from 'node:path';
import test from 'ava';
import { VisionEncoderDecoderModel, type ImageInput, type LoadOptions, type Tensor } from '../../ts/index';
import { HeldPixels, holdSettled } from '../../ts/image/held';
import { allFulfilled } from '../../ts/image/prepare';
import { ImageProcessor } from '../../ts/image/processor';
import { takesHeldPixels } from '../../ts/model';
import { GOLDEN } from '../parity/golden';

const DEVICE = process.env['VED_TEST_DEVICE'] as NonNullable<LoadOptions['device']>;
const onDevice = process.env['VED_TEST_DEVICE'] ? test : test.skip;

function noise(width: number, height: number, seed: number) {
  const data = new Uint8Array(width * height * 3);
  let state = seed >>> 0;
  for (let i = 0; i < data.length; i++) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    data[i] = state >>> 24;
  }
  return { data, width, height, channels: 3 } as const;
}

const IMAGES: ImageInput[] = [noise(61, 47, 1), noise(90, 33, 2), noise(5, 4, 3), noise(38, 70, 4)];

/** vit-gpt2 takes 20 x 20 pixels. */
const size = { height: 20, width: 20 };
const PROCESSORS: [string, object][] = [
  ['ViTImageProcessor', { size }],
  ['CLIPImageProcessor', { size: { shortest_edge: 24 }, crop_size: size }],
  ['DonutImageProcessor', { size, do_align_long_axis: true }],
  ['NougatImageProcessor', { size }],
];

async function load(): Promise<VisionEncoderDecoderModel> {
  return VisionEncoderDecoderModel.fromPretrained(join(GOLDEN, 'vit-gpt2'), { device: DEVICE, dtype: 'float32' });
}

async function states(model: VisionEncoderDecoderModel, pixelValues: Tensor): Promise<Float32Array> {
  const decoderInputIds = Array.from({ length: pixelValues.dims[0]! }, () => [1]);
  return (await model.forward({ pixelValues, decoderInputIds })).encoderLastHiddenState.data;
}

for (const [type, config] of PROCESSORS)
  for (const backend of ['pil', 'torchvision'] as const)
    onDevice(`images: ${type}, ${backend}`, async (t) => {
      const model = await load();
      t.teardown(() => model.dispose());
      t.true(takesHeldPixels(model));
      const processor = new ImageProcessor({ image_processor_type: type, ...config }, { backend });
      const { pixelValues } = await processor.preprocess(IMAGES);
      const images = allFulfilled(await holdSettled(processor, IMAGES, {}));
      t.true(images.every(({ prepared }) => !prepared));
      const held = new HeldPixels(images);
      t.deepEqual(held.dims, pixelValues.dims);
      t.deepEqual(await states(model, held), await states(model, pixelValues));
      const options = { maxNewTokens: 4, numBeams: 2, outputCrossAttentions: true };
      t.deepEqual(await model.generate(held, options), await model.generate(pixelValues, options));
    });

onDevice('images: steps that no device has, and images that are too large, are prepared on the host', async (t) => {
  const model = await load();
  t.teardown(() => model.dispose());
  const processor = new ImageProcessor({ image_processor_type: 'ViTImageProcessor', size });
  const side = 4800; // with what the passes leave more than 64 MiB
  const data = new Uint8Array(side * side * 3).fill(90);
  for (let i = 0; i < data.length; i += 4099) data[i] = i % 251;
  const large = { data, width: side, height: side, channels: 3 } as const;
  const inputs = [large, IMAGES[0]!];
  const images = allFulfilled(await holdSettled(processor, inputs, { grayscale: true }));
  t.deepEqual(
    images.map(({ prepared }) => prepared),
    [true, false],
  );
  const { pixelValues } = await processor.preprocess(inputs, { grayscale: true });
  t.deepEqual(await states(model, new HeldPixels(images)), await states(model, pixelValues));
});

test('images: a bad one fails alone, and sizes must agree', async (t) => {
  const processor = new ImageProcessor({ image_processor_type: 'ViTImageProcessor', size });
  const short: ImageInput = { data: new Uint8Array(5), width: 2, height: 2, channels: 3 };
  const outcomes = await holdSettled(processor, [IMAGES[0]!, short], {});
  t.deepEqual(
    outcomes.map(({ status }) => status),
    ['fulfilled', 'rejected'],
  );
  const free = new ImageProcessor({ image_processor_type: 'ViTImageProcessor', do_resize: false });
  const images = allFulfilled(await holdSettled(free, IMAGES.slice(0, 2), {}));
  t.throws(() => new HeldPixels(images), { code: 'IMAGE_SIZE_MISMATCH' });
});
