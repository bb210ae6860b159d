/** What a call returns depends on nothing but the call: not on other traffic, batch size, threads or instruction set. */
import test from 'ava';
import { VisionEncoderDecoderModel, OutOfMemoryError } from '../../ts/index';
import { loadNative } from '../../ts/native/load';
import { largest, tensorDifference } from '../parity/compare';
import {
  alone,
  EVERY_STEP,
  GOLDEN,
  ids,
  imageOf,
  images,
  MIX,
  SEED,
  together,
  withModel,
  withVariables,
} from './engine-fixture';

test.before((t) => t.log(`seed ${SEED}`));

test('eight calls at once return what each returns alone', async (t) => {
  for (const maxBatch of [3, 32]) {
    await withModel(
      async (model) => {
        const want = await alone(model);
        for (let round = 0; round < 3; round++) t.deepEqual(await together(model), want, `maxBatch ${maxBatch}`);
      },
      { maxBatch },
    );
  }
});

test('the mix is worth comparing: rows differ and end at different steps', async (t) => {
  const outputs = await withModel(alone);
  const lengths = outputs.flatMap((output) => output.tokenLogProbs.map((row) => row.length));
  t.true(new Set(lengths).size > 3, `lengths ${lengths.join(' ')}`);
  t.true(new Set(outputs.flatMap((output) => output.sequences.map(String))).size > MIX.length);
});

test('calls larger than maxBatch are split with equal results', async (t) => {
  const run = (maxBatch: number) =>
    withModel(
      async (model) => [
        await model.generate(images(11), { outputScores: true }),
        await model.generate(images(5), { doSample: true, seed: 9, numReturnSequences: 3 }),
        await model.generate(images(3), { numBeams: 2, outputScores: true }),
      ],
      { maxBatch },
    );
  const want = await run(32);
  for (const maxBatch of [2, 3, 5]) t.deepEqual(await run(maxBatch), want, `maxBatch ${maxBatch}`);
});

test('one image whose beams exceed maxBatch throws', (t) =>
  withModel(
    async (model) => {
      const error = await t.throwsAsync(model.generate(images(1), { numBeams: 3 }), { instanceOf: OutOfMemoryError });
      t.regex(error.message, /at most maxBatch \(2\), got 3/);
      t.is((await model.generate(images(3), { numBeams: 2 })).sequences.length, 3);
    },
    { maxBatch: 2 },
  ));

/** What only the CPU has: instruction sets, int8. */
const onCpu = !process.env['VED_TEST_DEVICE'];

test('any number of threads gives the same bits', async (t) => {
  for (const dtype of ['float32', 'bfloat16', ...(onCpu ? (['int8'] as const) : [])] as const) {
    const want = await withModel(together, { dtype });
    for (const threads of [2, 4])
      t.deepEqual(await withModel(together, { dtype, threads }), want, `${dtype}, threads ${threads}`);
  }
});

(onCpu ? test.serial : test.skip)('every instruction set and the reference backend give the same ids', async (t) => {
  const { isas } = loadNative().cpuFeatures();
  t.true(isas.includes('scalar'));
  const want = ids(await withModel(alone));
  for (const isa of isas) {
    await withVariables({ VED_ISA: isa }, async (model) => {
      t.true(model.backend.includes(isa), `${model.backend} for ${isa}`);
      t.deepEqual(ids(await together(model)), want, isa);
    });
  }
  await withVariables({ VED_BACKEND: 'reference' }, async (model) => {
    t.regex(model.backend, /reference/);
    t.deepEqual(ids(await together(model)), want, 'reference');
  });
});

test.serial('fusion changes no result beyond rounding', async (t) => {
  const inputs = {
    pixelValues: images(2),
    decoderInputIds: [
      [2, 5, 9, 11],
      [2, 7, 7, 40],
    ],
  };
  const fused = await withModel((model) => model.forward(inputs));
  const unfused = await withVariables({ VED_NO_FUSION: '1' }, (model) => model.forward(inputs));
  t.true(largest(fused.logits.data) > 0);
  t.is(tensorDifference(fused.logits, unfused.logits, 1e-5), null);
});

test('an image alone and in a batch gives the same bits', (t) =>
  withModel(async (model) => {
    const batch = images(9);
    const rows = Array.from({ length: 9 }, (_, row) => [2, row + 3, 2 * row + 3]);
    const all = await model.forward({ pixelValues: batch, decoderInputIds: rows });
    const width = all.logits.data.length / 9;
    for (let row = 0; row < 9; row++) {
      const one = await model.forward({ pixelValues: imageOf(batch, row), decoderInputIds: [rows[row]!] });
      t.deepEqual(one.logits.data, all.logits.data.slice(row * width, (row + 1) * width), `image ${row}`);
    }
    const generated = await model.generate(batch, EVERY_STEP);
    for (let row = 0; row < 9; row++) {
      const one = await model.generate(imageOf(batch, row), EVERY_STEP);
      t.deepEqual(one.sequences[0], generated.sequences[row]);
      t.deepEqual(one.tokenLogProbs[0], generated.tokenLogProbs[row]);
    }
  }));

test('images of several sizes at once do not disturb each other', (t) =>
  withModel(
    async (model) => {
      const sizes = [
        [20, 20],
        [35, 25],
        [10, 40],
        [20, 20],
        [60, 60],
      ] as const;
      const run = ([height, width]: readonly [number, number]) =>
        model.generate(images(3, SEED, height, width), { interpolatePosEncoding: true });
      const want = [];
      for (const size of sizes) want.push(await run(size));
      t.deepEqual(await Promise.all(sizes.map(run)), want);
    },
    { maxBatch: 4 },
  ));

test('without a seed sampling differs from call to call, with one it does not', (t) =>
  withModel(async (model) => {
    const sample = (seed?: number) =>
      model.generate(images(4), { ...EVERY_STEP, doSample: true, topK: 0, ...(seed !== undefined && { seed }) });
    t.notDeepEqual((await sample()).sequences, (await sample()).sequences);
    t.deepEqual(await sample(3), await sample(3));
    t.notDeepEqual((await sample(3)).sequences, (await sample(4)).sequences);
  }));

test('many models live side by side', async (t) => {
  const models = await Promise.all(
    Array.from({ length: 4 }, () =>
      VisionEncoderDecoderModel.fromPretrained(`${GOLDEN}/vit-gpt2`, { device: 'cpu', threads: 2 }),
    ),
  );
  const outputs = await Promise.all(models.map(together));
  for (const output of outputs) t.deepEqual(output, outputs[0]);
  await Promise.all(models.map((model) => model.dispose()));
});

test('models with more threads together than there are cores do not hinder each other', async (t) => {
  const dtypes = ['float32', 'bfloat16', 'int8'] as const;
  const models = await Promise.all(
    dtypes.map((dtype) =>
      VisionEncoderDecoderModel.fromPretrained(`${GOLDEN}/vit-gpt2`, { device: 'cpu', dtype, threads: 5 }),
    ),
  );
  const want = [];
  for (const model of models) want.push(await together(model));
  for (let round = 0; round < 3; round++) t.deepEqual(await Promise.all(models.map(together)), want);
  await Promise.all(models.map((model) => model.dispose()));
});
