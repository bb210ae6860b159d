/** forward() beyond what the golden cases show: encoder states in and out, labels, and what is refused. */
import test from 'ava';
import { join } from 'node:path';
import { ConfigError, ImageError, OptionError } from '../../ts/errors';
import { VisionEncoderDecoderModel, type ForwardInputs, type Tensor } from '../../ts/index';
import { numberDifference, tensorDifference } from '../parity/compare';
import { GOLDEN, readExpected } from '../parity/golden';

const load = (name: string) =>
  VisionEncoderDecoderModel.fromPretrained(join(GOLDEN, name), { device: 'cpu', threads: 1 });

function inputsOf(name: string): { pixelValues: Tensor; decoderInputIds: number[][]; labels: number[][] } {
  const { tensors, forwards } = readExpected(name);
  const all = tensors.get('pixel_values')!;
  const data = all.data.slice(0, (all.data.length / all.dims[0]!) * 2);
  const { decoderInputIds } = forwards.find((run) => run.name === 'ids')!;
  const { labels } = forwards.find((run) => run.name === 'labels')!;
  return {
    pixelValues: { data, dims: [2, ...all.dims.slice(1)] },
    decoderInputIds: decoderInputIds!,
    labels: labels!,
  };
}

// With and without enc_to_dec_proj, and with cross-attention of the encoder's own width.
for (const name of ['vit-gpt2', 'vit-gpt2-untied', 'vit-trocr-sinusoidal']) {
  test(`${name}: encoder states fed back give the same logits`, async (t) => {
    await using model = await load(name);
    const { pixelValues, decoderInputIds } = inputsOf(name);
    const first = await model.forward({ pixelValues, decoderInputIds });
    const width = (model.config.encoder as unknown as { hiddenSize: number }).hiddenSize;
    t.is(first.encoderLastHiddenState.dims[2], width, 'before the projection');
    const { encoderLastHiddenState } = first;
    const second = await model.forward({ encoderLastHiddenState, decoderInputIds, outputAttentions: true });
    t.is(tensorDifference(second.logits, first.logits, 1e-6), null);
    t.deepEqual(second.encoderLastHiddenState, encoderLastHiddenState);
    t.is(second.encoderHiddenStates, undefined);
    t.is(second.crossAttentions?.[0]?.dims[3], encoderLastHiddenState.dims[1]);
  });
}

test('the loss is the mean over labels that count, from the logits given back', async (t) => {
  await using model = await load('vit-gpt2');
  const { pixelValues, decoderInputIds } = inputsOf('vit-gpt2');
  const labels = decoderInputIds.map((row, index) => row.map((id, at) => ((at + index) % 3 === 0 ? -100 : id)));
  const { logits, loss } = await model.forward({ pixelValues, decoderInputIds, labels });
  const vocab = logits.dims[2]!;
  const losses = labels.flat().flatMap((label, row) => {
    if (label === -100) return [];
    const line = logits.data.subarray(row * vocab, (row + 1) * vocab);
    const most = Math.max(...line);
    return [Math.log(line.reduce((sum, x) => sum + Math.exp(x - most), 0)) + most - line[label]!];
  });
  t.true(losses.length > 4);
  t.is(numberDifference(loss, losses.reduce((a, b) => a + b, 0) / losses.length, 1e-5), null);
  const none = await model.forward({ pixelValues, decoderInputIds, labels: labels.map((row) => row.map(() => -100)) });
  t.is(none.loss, NaN);
  t.deepEqual(none.logits, logits);
});

test('labels alone are shifted right behind the start token, -100 becomes the pad token', async (t) => {
  await using model = await load('vit-gpt2');
  const { pixelValues } = inputsOf('vit-gpt2');
  const labels = [
    [17, 5, -100, 9],
    [8, -100, -100, 3],
  ];
  const { decoderStartTokenId: start, padTokenId: pad } = model.config;
  const shifted = [
    [start!, 17, 5, pad!],
    [start!, 8, pad!, pad!],
  ];
  const alone = await model.forward({ pixelValues, labels });
  const given = await model.forward({ pixelValues, labels, decoderInputIds: shifted });
  t.deepEqual(alone.logits, given.logits);
  t.is(alone.loss, given.loss);
});

test('what cannot be right is refused, and names both sides', async (t) => {
  await using model = await load('vit-gpt2');
  const { pixelValues, decoderInputIds } = inputsOf('vit-gpt2');
  const { encoderLastHiddenState } = await model.forward({ pixelValues, decoderInputIds });
  const base = { pixelValues, decoderInputIds };
  const wide = Array.from({ length: 2 }, () => Array.from({ length: 24 }, () => 1));
  const wrong: [ForwardInputs, new (...args: never[]) => Error, RegExp][] = [
    [{ decoderInputIds }, OptionError, /got none/],
    [{ ...base, encoderLastHiddenState }, OptionError, /got both/],
    [{ pixelValues }, OptionError, /decoderInputIds or labels, got neither/],
    [{ ...base, decoderInputIds: [[1]] }, OptionError, /2 rows.*got 1/],
    [{ ...base, decoderInputIds: [[1, 2], [3]] }, OptionError, /rows of one length/],
    [{ ...base, decoderInputIds: [[], []] }, OptionError, /at least 1/],
    [{ ...base, decoderInputIds: [[53], [1]] }, OptionError, /0 to 52, got 53/],
    [{ ...base, decoderInputIds: [[-100], [1]] }, OptionError, /got -100/],
    [{ ...base, decoderInputIds: wide }, OptionError, /at most 23 ids per row, got 24/],
    [{ ...base, labels: [[1], [2]] }, OptionError, /labels: expected the shape of decoderInputIds/],
    [{ ...base, labels: decoderInputIds.map((row) => row.map(() => -1)) }, OptionError, /labels.*got -1/],
    [{ ...base, decoderAttentionMask: [[2], [0]] }, OptionError, /decoderAttentionMask.*got 2/],
    [{ decoderInputIds, encoderLastHiddenState: pixelValues }, OptionError, /encoderLastHiddenState\.dims/],
    [
      { decoderInputIds, encoderLastHiddenState: { data: new Float32Array(2 * 17 * 24), dims: [2, 17, 24] } },
      OptionError,
      /a last dimension of 26, got 24/,
    ],
    [{ decoderInputIds, pixelValues: { ...pixelValues, dims: [2, 3, 20, 21] } }, OptionError, /values for dims/],
    [
      { decoderInputIds, pixelValues: { data: new Float32Array(2 * 3 * 25 * 25), dims: [2, 3, 25, 25] } },
      ImageError,
      /expected 20×20 pixels, got 25×25/,
    ],
    [{ ...base, pixel_values: 1 } as never, OptionError, /'pixelValues'/],
  ];
  for (const [inputs, Class, message] of wrong) {
    const error = await t.throwsAsync(model.forward(inputs), { instanceOf: Class as never });
    t.regex(error?.message ?? '', message);
  }
  await using fresh = await VisionEncoderDecoderModel.fromEncoderDecoderPretrained(
    join(GOLDEN, 'vit-gpt2'),
    join(GOLDEN, 'vit-gpt2'),
    { device: 'cpu', seed: 1 },
  );
  await t.throwsAsync(fresh.forward({ pixelValues, labels: decoderInputIds }), {
    instanceOf: ConfigError,
    message: /decoder_start_token_id/,
  });
});
