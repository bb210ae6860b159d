/** Streaming, the event loop, and memory(). */
import test from 'ava';
import { OptionError, type StreamedToken } from '../../ts/index';
import { EVERY_STEP, images, VOCAB, withModel } from './engine-fixture';

async function collect(stream: AsyncIterable<StreamedToken>): Promise<StreamedToken[]> {
  const events: StreamedToken[] = [];
  for await (const event of stream) events.push(event);
  return events;
}

for (const [name, options] of Object.entries({
  greedy: {},
  sampling: { doSample: true, seed: 3, numReturnSequences: 2, topK: 0 },
  prompted: {
    decoderInputIds: [
      [2, 8],
      [2, 9],
      [2, 10],
      [2, 11],
      [2, 12],
    ],
  },
})) {
  test(`a stream's tokens are generate()'s: ${name}`, (t) =>
    withModel(
      async (model) => {
        const want = await model.generate(images(5), options);
        const events = await collect(model.stream(images(5), options));
        const promptLength = 'decoderInputIds' in options ? 2 : 1;
        want.sequences.forEach((sequence, row) => {
          const mine = events.filter((event) => event.row === row);
          const length = want.tokenLogProbs[row]!.length;
          t.deepEqual(
            mine.map(({ tokenId }) => tokenId),
            sequence.slice(promptLength, promptLength + length),
          );
          t.deepEqual(
            mine.map(({ logProb }) => logProb),
            want.tokenLogProbs[row],
          );
          t.deepEqual(mine.map(({ finishReason }) => finishReason).filter(Boolean), [want.finishReasons[row]]);
          t.is(mine.at(-1)?.finishReason, want.finishReasons[row]);
        });
        t.is(events.length, want.tokenLogProbs.flat().length);
      },
      { maxBatch: 3 },
    ));
}

test('streaming beams throws', (t) =>
  withModel(async (model) => {
    await t.throwsAsync(collect(model.stream(images(1), { numBeams: 2 })), { instanceOf: OptionError });
  }));

test('two streams and a call interleave', (t) =>
  withModel(async (model) => {
    const want = await collect(model.stream(images(2), EVERY_STEP));
    const [first, second, call] = await Promise.all([
      collect(model.stream(images(2), EVERY_STEP)),
      collect(model.stream(images(2), EVERY_STEP)),
      model.generate(images(2), EVERY_STEP),
    ]);
    t.deepEqual(first, want);
    t.deepEqual(second, want);
    t.is(call.tokenLogProbs.flat().length, want.length);
  }));

test('the event loop stays free while the engine works', (t) =>
  withModel(
    async (model) => {
      let turns = 0;
      let done = false;
      const turn = (): void => {
        turns++;
        if (!done) setImmediate(turn);
      };
      const running = model.generate(images(600), EVERY_STEP);
      turn();
      await running;
      done = true;
      // A call that ran on this thread would leave a handful of turns, however busy the machine is.
      t.true(turns > 50, `${turns} turns`);
    },
    { maxBatch: 4 },
  ));

test('memory() grows once, with the first call', (t) =>
  withModel(
    async (model) => {
      const before = model.memory();
      t.true(before.weightBytes > 4 * VOCAB * 24);
      t.is(before.cacheBytes, 0);
      await model.generate(images(4), EVERY_STEP);
      const after = model.memory();
      // Two layers, keys and values: 24 wide, 6 rows, of 23 positions of its own and 17 of the encoder. A device has two
      // rows more, for what fills up its batches.
      const spare = process.env['VED_TEST_DEVICE'] ? 2 : 0;
      t.is(after.cacheBytes, 2 * 2 * 4 * 24 * ((6 + spare) * 23 + 6 * 17));
      t.true(after.workspaceBytes > 0);
      for (let i = 0; i < 5; i++) await model.generate(images(4), EVERY_STEP);
      t.deepEqual(model.memory(), after);
    },
    { maxBatch: 6 },
  ));
