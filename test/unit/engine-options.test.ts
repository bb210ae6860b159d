/** What callers can get wrong, what they can plug in, and the further outputs of generate(). */
import test from 'ava';
import { appendFileSync, cpSync, mkdtempSync, rmSync, statSync, truncateSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ImageError, OptionError, VisionEncoderDecoderModel, WeightsError, type GenerateOptions } from '../../ts/index';
import { EVERY_STEP, GOLDEN, images, VOCAB, withModel } from './engine-fixture';

const EOS = 38;

test('forward refuses what does not fit the model', (t) =>
  withModel(async (model) => {
    const good = {
      pixelValues: images(2),
      decoderInputIds: [
        [2, 5],
        [2, 6],
      ],
    };
    const wrong: [object, new (...args: never[]) => Error, RegExp][] = [
      [{ pixelValues: images(2, 1, 20, 20, 4) }, ImageError, /expected 3 channels, got 4/],
      [{ pixelValues: images(2, 1, 25, 20) }, ImageError, /expected 20×20 pixels, got 25×20/],
      [{ pixelValues: images(3) }, OptionError, /decoderInputIds/],
      [
        { pixelValues: { data: new Float32Array(7), dims: [2, 3, 20, 20] } },
        OptionError,
        /expected 2400 values.*got 7/,
      ],
      [{ pixelValues: { data: [1, 2], dims: [2] } }, OptionError, /pixelValues/],
      [
        {
          decoderInputIds: [
            [2, 5],
            [2, VOCAB],
          ],
        },
        OptionError,
        /from 0 to 52, got 53/,
      ],
      [
        {
          decoderInputIds: [
            [2, 5],
            [2, -1],
          ],
        },
        OptionError,
        /from 0 to 52, got -1/,
      ],
      [{ decoderInputIds: [[2, 5], [2]] }, OptionError, /decoderInputIds/],
      [{ decoderInputIds: [Array(24).fill(2), Array(24).fill(2)] }, OptionError, /at most 23.*got 24/],
      [{ decoderInputIds: undefined }, OptionError, /decoderInputIds or labels/],
      [{ decoderAttentionMask: [[1, 1]] }, OptionError, /decoderAttentionMask/],
      [{ decoderAttentionMask: [[1], [1]] }, OptionError, /decoderAttentionMask/],
      [
        {
          decoderAttentionMask: [
            [1, 2],
            [1, 1],
          ],
        },
        OptionError,
        /decoderAttentionMask/,
      ],
      [
        {
          labels: [
            [1, 2, 3],
            [1, 2, 3],
          ],
        },
        OptionError,
        /labels/,
      ],
      [{ pixelValue: images(1) }, OptionError, /did you mean 'pixelValues'/],
    ];
    for (const [change, Class, message] of wrong) {
      const error = await t.throwsAsync(
        model.forward({ ...good, ...change }),
        { instanceOf: Class },
        JSON.stringify(Object.keys(change)),
      );
      t.regex(error?.message ?? '', message);
    }
    t.deepEqual((await model.forward(good)).logits.dims, [2, 2, VOCAB]);
  }));

test('pixels that are no numbers neither crash nor hang', (t) =>
  withModel(async (model) => {
    for (const value of [NaN, Infinity, -Infinity, 3e38]) {
      const pixels = images(2);
      pixels.data.fill(value, 0, 1200);
      for (const options of [{}, { numBeams: 3 }, { doSample: true, seed: 1 }] as GenerateOptions[]) {
        const output = await model.generate(pixels, options).catch((error: unknown) => error as Error);
        if (output instanceof Error) t.truthy(output.message, `${value}`);
        else for (const id of output.sequences.flat()) t.true(id >= 0 && id < VOCAB, `${value}: id ${id}`);
      }
      await model.forward({ pixelValues: pixels, decoderInputIds: [[2], [2]] });
    }
    const fine = await model.generate(images(2), EVERY_STEP);
    t.true(fine.tokenLogProbs.flat().every((value) => value <= 0));
  }));

test('a user processor forces tokens, and sees rows and ids', (t) =>
  withModel(async (model) => {
    const seen: string[] = [];
    const force = (ids: readonly number[], scores: Float32Array, row: number): void => {
      seen.push(`${row}:${ids.length}`);
      if (scores.length !== VOCAB) throw new Error(`expected ${VOCAB} scores, got ${scores.length}`);
      scores.fill(-Infinity);
      scores[ids.length < 5 ? 10 + row : EOS] = 0;
    };
    const { sequences, finishReasons } = await model.generate(images(3), { logitsProcessors: [force] });
    t.deepEqual(
      sequences,
      [0, 1, 2].map((row) => [2, 10 + row, 10 + row, 10 + row, 10 + row, EOS]),
    );
    t.deepEqual(finishReasons, ['eos', 'eos', 'eos']);
    t.deepEqual(
      seen.sort(),
      [0, 1, 2].flatMap((row) => [1, 2, 3, 4, 5].map((length) => `${row}:${length}`)),
    );
  }));

test('user stopping criteria end a row', (t) =>
  withModel(async (model) => {
    const stop = (ids: readonly number[], _scores: Float32Array, row: number): boolean => ids.length >= 4 + row;
    const { tokenLogProbs, finishReasons } = await model.generate(images(3), {
      ...EVERY_STEP,
      stoppingCriteria: [stop],
    });
    t.deepEqual(
      tokenLogProbs.map((row) => row.length),
      [3, 4, 5],
    );
    t.deepEqual(finishReasons, ['criterion', 'criterion', 'criterion']);
  }));

test('prefixAllowedTokensFn restricts every step', (t) =>
  withModel(async (model) => {
    for (const numBeams of [1, 3]) {
      const allowed = (row: number, ids: readonly number[]): number[] => [row * 10 + (ids.length % 2), row * 10 + 5];
      const { sequences } = await model.generate(images(2), {
        maxNewTokens: 6,
        numBeams,
        prefixAllowedTokensFn: allowed,
      });
      sequences.forEach((sequence, row) =>
        sequence
          .slice(1)
          .forEach((id, at) => t.true(allowed(row, Array(at + 1)).includes(id), `row ${row}: ${sequence.join(' ')}`)),
      );
    }
  }));

test('outputScores and outputCrossAttentions have their shapes and sums', (t) =>
  withModel(async (model) => {
    const options = { ...EVERY_STEP, outputScores: true, outputCrossAttentions: true };
    for (const [extra, rows, scoreRows] of [
      [{}, 3, 3],
      [{ numBeams: 2, numReturnSequences: 2 }, 6, 6],
    ] as const) {
      const { scores, crossAttentions, sequences } = await model.generate(images(3), { ...options, ...extra });
      t.is(sequences.length, rows);
      t.is(scores?.length, 18);
      for (const { data, dims } of scores!) {
        t.deepEqual(dims, [scoreRows, VOCAB]);
        t.is(data.length, scoreRows * VOCAB);
      }
      t.is(crossAttentions?.length, 2);
      for (const { data, dims } of crossAttentions!) {
        t.deepEqual(dims, [rows, 2, 18, 17]);
        // 17 terms below 1, each rounded: 17 half units in the last place of 1.
        for (let i = 0; i < data.length; i += 17) {
          const sum = data.slice(i, i + 17).reduce((total, value) => total + value, 0);
          t.false(!(Math.abs(sum - 1) <= 17 * 2 ** -23), `row ${i / 17} sums to ${sum}`);
        }
      }
    }
  }));

test('maxTime ends rows early', (t) =>
  withModel(async (model) => {
    const slow = (): void => {
      const until = performance.now() + 20;
      while (performance.now() < until);
    };
    const { finishReasons, tokenLogProbs } = await model.generate(images(1), {
      ...EVERY_STEP,
      maxTime: 0.03,
      logitsProcessors: [slow],
    });
    t.deepEqual(finishReasons, ['time']);
    t.true(tokenLogProbs[0]!.length < 18);
  }));

test('stopStrings end where the text does', (t) =>
  withModel(async (model) => {
    const letter = (id: number): string => String.fromCharCode(65 + id);
    const plain = await model.generate(images(4), EVERY_STEP);
    const written = plain.sequences[0]!.slice(1, 5).map(letter).join('');
    const tokenizer = { tokenBytes: (id: number) => new TextEncoder().encode(letter(id)) } as unknown as NonNullable<
      GenerateOptions['tokenizer']
    >;
    const output = await model.generate(images(4), { ...EVERY_STEP, stopStrings: [written], tokenizer });
    t.is(output.finishReasons[0], 'stopString');
    t.true(output.tokenLogProbs[0]!.length <= 4);
    const text = output.sequences[0]!.slice(1, 1 + output.tokenLogProbs[0]!.length)
      .map(letter)
      .join('');
    t.true(text.endsWith(written));
    await t.throwsAsync(model.generate(images(1), { stopStrings: ['x'] }), { instanceOf: OptionError });
  }));

test('weights that change after their header was read are an error', async (t) => {
  for (const change of [
    (file: string) => truncateSync(file, statSync(file).size - 4),
    (file: string) => truncateSync(file, 20),
    (file: string) => appendFileSync(file, 'more'),
    (file: string) => rmSync(file),
  ]) {
    const folder = mkdtempSync(join(tmpdir(), 'ved-engine-'));
    t.teardown(() => rmSync(folder, { recursive: true, force: true }));
    cpSync(join(GOLDEN, 'vit-gpt2'), folder, { recursive: true });
    const onProgress = ({ loaded }: { loaded: number }): void => {
      if (loaded === 0) change(join(folder, 'model.safetensors'));
    };
    const error = await t.throwsAsync(VisionEncoderDecoderModel.fromPretrained(folder, { device: 'cpu', onProgress }), {
      instanceOf: WeightsError,
    });
    t.true(error.message.includes('model.safetensors'), error.message);
  }
});
