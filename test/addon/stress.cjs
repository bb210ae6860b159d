// Lifetimes of the addon under load: garbage collection, dispose, abort, workers, exit. Run by each supported Node:
//   node test/addon/stress.cjs        (after npm run build)
// Prints one line per check and a closing "N passed, N failed".
'use strict';
const assert = require('node:assert/strict');
const { spawnSync } = require('node:child_process');
const path = require('node:path');
const { isMainThread, parentPort, Worker } = require('node:worker_threads');
const { VisionEncoderDecoderModel, DisposedError } = require('../../dist/index.js');

const FOLDER = path.join(__dirname, '..', 'golden', 'models', 'vit-gpt2');
const SEED = Number(process.env.VED_SEED ?? 7);
const EVERY_STEP = { minNewTokens: 20, maxNewTokens: 20 }; // nothing ends early

/** Deterministic pixels in [-1, 1): a linear congruential sequence. */
function images(count, seed = SEED) {
  const data = new Float32Array(count * 3 * 20 * 20);
  let state = seed >>> 0;
  for (let i = 0; i < data.length; i++) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    data[i] = state / 2 ** 31 - 1;
  }
  return { data, dims: [count, 3, 20, 20] };
}

const load = (options = {}) =>
  VisionEncoderDecoderModel.fromPretrained(FOLDER, { device: 'cpu', threads: 1, maxBatch: 4, ...options });
const tick = () => new Promise((resolve) => setImmediate(resolve));
const reasonOf = (promise) =>
  promise.then(
    () => assert.fail('expected a rejection'),
    (error) => error,
  );

async function withModel(use, options) {
  const model = await load(options);
  try {
    await use(model);
  } finally {
    await model.dispose();
  }
}

/** Runs `act` once the call has reached its second step. */
function atSecondStep(act) {
  let steps = 0;
  return () => {
    if (++steps === 2) act();
  };
}

const checks = {
  'models dropped without dispose are collected': async () => {
    for (let round = 0; round < 12; round++) {
      const model = await load();
      const running = model.generate(images(3), EVERY_STEP);
      if (round % 2) await running;
      else running.catch(() => undefined);
      globalThis.gc();
      await tick();
    }
    for (let i = 0; i < 5; i++) {
      globalThis.gc();
      await tick();
    }
  },

  'garbage collection while calls run': () =>
    withModel(async (model) => {
      const want = await model.generate(images(6), EVERY_STEP);
      let collecting = true;
      const collector = (async () => {
        while (collecting) {
          globalThis.gc();
          await tick();
        }
      })();
      const got = await Promise.all(Array.from({ length: 6 }, () => model.generate(images(6), EVERY_STEP)));
      collecting = false;
      await collector;
      for (const output of got) assert.deepEqual(output, want);
    }),

  'dispose twice': async () => {
    const model = await load();
    await Promise.all([model.dispose(), model.dispose()]);
    await model.dispose();
    assert.ok((await reasonOf(model.generate(images(1)))) instanceof DisposedError);
    assert.throws(() => model.memory(), DisposedError);
  },

  'dispose while calls run': async () => {
    const model = await load();
    const calls = [
      model.generate(images(300), EVERY_STEP),
      model.generate(images(2), { numBeams: 4 }),
      model.forward({ pixelValues: images(1), decoderInputIds: [[2]] }),
    ];
    const outcomes = Promise.allSettled(calls);
    await tick();
    await model.dispose();
    for (const outcome of await outcomes)
      assert.ok(outcome.status === 'fulfilled' || outcome.reason instanceof DisposedError, outcome.reason);
    assert.equal((await outcomes)[0].status, 'rejected');
  },

  'dispose, then abort before the rejection arrives': async () => {
    for (let round = 0; round < 20; round++) {
      const model = await load();
      const controller = new AbortController();
      const call = reasonOf(model.generate(images(300), { ...EVERY_STEP, signal: controller.signal }));
      await tick();
      const gone = model.dispose();
      const until = process.hrtime.bigint() + 3_000_000n; // the engine goes away while the event loop is held
      while (process.hrtime.bigint() < until);
      controller.abort(new Error('late'));
      await call;
      await gone;
    }
  },

  'dispose inside a user callback': async () => {
    const model = await load();
    let gone;
    const stop = atSecondStep(() => (gone = model.dispose()));
    assert.ok(
      (await reasonOf(model.generate(images(40), { ...EVERY_STEP, logitsProcessors: [stop] }))) instanceof
        DisposedError,
    );
    await gone;
  },

  'abort in the middle gives the reason': () =>
    withModel(async (model) => {
      for (const reason of [new Error('enough'), 'a string', 0]) {
        const controller = new AbortController();
        const act = atSecondStep(() => controller.abort(reason));
        const call = model.generate(images(40), { ...EVERY_STEP, signal: controller.signal, logitsProcessors: [act] });
        assert.equal(await reasonOf(call), reason);
      }
      assert.equal((await model.generate(images(9), EVERY_STEP)).sequences.length, 9);
    }),

  'abort while queued': () =>
    withModel(async (model) => {
      const controller = new AbortController();
      const first = model.generate(images(40), EVERY_STEP);
      const second = model.generate(images(40), { ...EVERY_STEP, signal: controller.signal });
      const third = model.forward({ pixelValues: images(1), decoderInputIds: [[2]], signal: controller.signal });
      controller.abort('queued');
      assert.deepEqual(await Promise.all([reasonOf(second), reasonOf(third)]), ['queued', 'queued']);
      assert.equal((await first).sequences.length, 40);
    }),

  'abort before the start': () =>
    withModel(async (model) => {
      const reason = new Error('never');
      const signal = AbortSignal.abort(reason);
      assert.equal(await reasonOf(model.generate(images(1), { signal })), reason);
      assert.equal(await reasonOf(model.forward({ pixelValues: images(1), decoderInputIds: [[2]], signal })), reason);
      assert.equal(await reasonOf(model.stream(images(1), { signal }).next()), reason);
      assert.equal(await reasonOf(load({ signal })), reason);
    }),

  'AbortSignal.timeout': () =>
    withModel(async (model) => {
      const error = await reasonOf(model.generate(images(3000), { ...EVERY_STEP, signal: AbortSignal.timeout(15) }));
      assert.equal(error.name, 'TimeoutError');
    }),

  'a load that is aborted': async () => {
    for (let delay = 0; delay < 12; delay++) {
      const controller = new AbortController();
      const loading = load({ signal: controller.signal });
      const settled = loading.then(
        (model) => model.dispose(),
        (error) => assert.equal(error, 'stop'),
      );
      for (let i = 0; i < delay; i++) await tick();
      controller.abort('stop');
      await settled;
    }
  },

  'a stream that is left frees its rows': () =>
    withModel(async (model) => {
      const want = await model.generate(images(8), EVERY_STEP);
      for (let round = 0; round < 8; round++) {
        for await (const { tokenId } of model.stream(images(4), EVERY_STEP)) {
          assert.ok(tokenId >= 0);
          break;
        }
      }
      const beams = await model.generate(images(2), { numBeams: 4 });
      assert.equal(beams.sequences.length, 2);
      assert.deepEqual(await model.generate(images(8), EVERY_STEP), want);
    }),

  'what a user function throws is what rejects': () =>
    withModel(async (model) => {
      for (const name of ['logitsProcessors', 'stoppingCriteria', 'prefixAllowedTokensFn']) {
        for (const thrown of [new RangeError('mine'), { plain: 'object' }, 'text', undefined]) {
          const fail = () => {
            throw thrown;
          };
          const options = { ...EVERY_STEP, [name]: name === 'prefixAllowedTokensFn' ? fail : [fail] };
          assert.equal(await reasonOf(model.generate(images(5), options)), thrown, name);
        }
      }
      assert.equal((await model.generate(images(9), EVERY_STEP)).sequences.length, 9);
    }),

  'a queued buffer that is transferred away': () =>
    withModel(async (model) => {
      const want = await model.generate(images(20), EVERY_STEP);
      const pixels = images(20);
      const first = model.generate(images(20), EVERY_STEP);
      const second = model.generate(pixels, EVERY_STEP);
      structuredClone(pixels.data.buffer, { transfer: [pixels.data.buffer] });
      globalThis.gc();
      assert.equal(pixels.data.length, 0);
      assert.deepEqual(await second, want);
      await first;
    }),

  'workers terminated in flight': async () => {
    for (let round = 0; round < 5; round++) {
      const workers = Array.from({ length: 4 }, () => new Worker(__filename, { argv: ['work'] }));
      await Promise.all(
        workers.map(
          (worker) => new Promise((resolve, reject) => worker.once('message', resolve).once('error', reject)),
        ),
      );
      for (let i = 0; i < round * 3; i++) await tick();
      for (const code of await Promise.all(workers.map((worker) => worker.terminate()))) assert.equal(code, 1);
    }
  },

  'workers terminated while they load': async () => {
    for (let round = 0; round < 4; round++) {
      const workers = Array.from({ length: 4 }, () => new Worker(__filename, { argv: ['load'] }));
      await Promise.all(
        workers.map(
          (worker) => new Promise((resolve, reject) => worker.once('message', resolve).once('error', reject)),
        ),
      );
      for (let i = 0; i < round; i++) await tick();
      await Promise.all(workers.map((worker) => worker.terminate()));
    }
  },

  'process.exit in flight': () => {
    for (const how of ['exit', 'exit-in-callback', 'exit-while-loading']) expectExit(how, 7);
  },
  'an idle model does not keep the process': () => expectExit('idle', 0),
  'a process ends after its calls': () => expectExit('finish', 0),
};

function expectExit(how, code) {
  const child = spawnSync(process.execPath, [...process.execArgv, __filename, how], {
    encoding: 'utf8',
    timeout: 60_000,
  });
  assert.equal(child.status, code, `${how}: signal ${child.signal}\n${child.stderr}`);
}

/** What the children of this file do: workers, and processes that end in various ways. */
const roles = {
  async work() {
    const model = await load();
    const calls = [0, 1].map((seed) => model.generate(images(2000, seed), EVERY_STEP));
    calls.push(model.generate(images(500), { ...EVERY_STEP, logitsProcessors: [() => undefined] }));
    void load();
    setImmediate(() => parentPort.postMessage('running'));
    await Promise.all(calls);
  },
  load() {
    parentPort.postMessage('loading');
    return Promise.all(Array.from({ length: 20 }, () => load()));
  },
  async exit() {
    const model = await load();
    void model.generate(images(2000), EVERY_STEP);
    setImmediate(() => process.exit(7));
  },
  async 'exit-in-callback'() {
    const model = await load();
    void model.generate(images(50), { ...EVERY_STEP, logitsProcessors: [atSecondStep(() => process.exit(7))] });
  },
  'exit-while-loading'() {
    void load();
    setTimeout(() => process.exit(7), 5);
  },
  async idle() {
    globalThis.kept = await load();
  },
  async finish() {
    const model = await load();
    const { sequences } = await model.generate(images(2), EVERY_STEP);
    process.exitCode = sequences.length === 2 ? 0 : 1;
  },
};

function exposeGc() {
  require('node:v8').setFlagsFromString('--expose-gc');
  globalThis.gc ??= require('node:vm').runInNewContext('gc');
}

async function main() {
  exposeGc();
  console.log(`node ${process.version}, seed ${SEED}`);
  let passed = 0;
  let failed = 0;
  for (const [name, check] of Object.entries(checks)) {
    if (process.argv[2] && !name.includes(process.argv[2])) continue;
    try {
      await check();
      passed++;
      console.log(`ok ${name}`);
    } catch (error) {
      failed++;
      console.log(`not ok ${name}\n${error instanceof Error ? error.stack : String(error)}`);
    }
  }
  console.log(`${passed} passed, ${failed} failed`);
  process.exitCode = failed ? 1 : 0;
}

const role = roles[process.argv[2]];
if (role) role();
else if (isMainThread) main();
