/** Which image sizes an encoder takes: its own, any, or any that is not too small for its windows. */
import test from 'ava';
import { join } from 'node:path';
import { ImageError, VisionEncoderDecoderModel, type Tensor } from '../../ts/index';
import { GOLDEN } from '../parity/golden';

const image = (height: number, width: number, channels = 1): Tensor => ({
  data: new Float32Array(channels * height * width).fill(0.5),
  dims: [1, channels, height, width],
});

async function tokens(name: string, height: number, width: number, interpolatePosEncoding = false): Promise<number> {
  await using model = await VisionEncoderDecoderModel.fromPretrained(join(GOLDEN, name), { device: 'cpu' });
  const output = await model.forward({
    pixelValues: image(height, width),
    decoderInputIds: [[2, 3]],
    interpolatePosEncoding,
  });
  return output.encoderLastHiddenState.dims[1]!;
}

test('encoders of one size take others only when asked to interpolate', async (t) => {
  for (const name of ['vit-msn-gpt2', 'clip-gpt2', 'siglip-trocr', 'swin-absolute-trocr']) {
    const wrong = { instanceOf: ImageError, code: 'WRONG_IMAGE_SIZE', message: /interpolatePosEncoding/ };
    await t.throwsAsync(tokens(name, 36, 40), wrong, name);
    t.true((await tokens(name, 36, 40, true)) > 1, name);
  }
});

test('an encoder whose positions are learned and never interpolated takes one size', async (t) => {
  t.is(await tokens('aimv2-bart', 9, 9), 3 * 3);
  for (const interpolate of [false, true]) {
    const wrong = { instanceOf: ImageError, code: 'WRONG_IMAGE_SIZE', message: /fit no other/ };
    await t.throwsAsync(tokens('aimv2-bart', 12, 9, interpolate), wrong);
  }
});

test('encoders that adapt drop pixels that fill no patch, or fill the patch up', async (t) => {
  t.is(await tokens('dinov2-gpt2', 10, 17), 1 + 3 * 5);
  t.is(await tokens('beit-gpt2', 14, 7), 1 + 4 * 2);
  t.is(await tokens('swinv2-bert', 9, 13), 2 * 2);
  t.is(await tokens('yolos-gpt2', 10, 17), 1 + 3 * 5 + 4);
  t.is(await tokens('aimv2-native-gpt2', 14, 7), 4 * 2);
  t.is(await tokens('swinv2-bert', 1, 1), 1);
});

test('a map smaller than a window that may not be padded is refused', async (t) => {
  t.is(await tokens('swin-gpt2', 28, 28), 4 * 4);
  for (const [height, width] of [
    [24, 28],
    [28, 24],
    [8, 80],
  ] as const) {
    const small = { instanceOf: ImageError, code: 'WRONG_IMAGE_SIZE', message: /windows of 4×4 in stage 1|in stage 0/ };
    await t.throwsAsync(tokens('swin-gpt2', height, width), small);
  }
});

test('an image is refused of which pooled cells or units would be cut', async (t) => {
  t.is(await tokens('hiera-gpt2', 16, 24, true), 2 * 12);
  for (const [height, width, message] of [
    [16, 17, /one per whole stride/],
    [24, 16, /a multiple of 8×1 cells, not 12×8/],
    [16, 18, /whole units of 16 tokens in stage 0, not 72/],
  ] as const) {
    const cut = { instanceOf: ImageError, code: 'WRONG_IMAGE_SIZE', message };
    await t.throwsAsync(tokens('hiera-gpt2', height, width, true), cut);
  }
});

test('less than a patch is refused', async (t) => {
  const none = { instanceOf: ImageError, code: 'WRONG_IMAGE_SIZE', message: /at least one patch/ };
  await t.throwsAsync(tokens('dinov2-gpt2', 2, 12), none);
  await t.throwsAsync(tokens('beit-gpt2', 12, 2), none);
});
