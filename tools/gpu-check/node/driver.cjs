// Our half of the benchmark: requests as JSON lines on stdin, one JSON line back for each, as in torch_half.py.
//   node driver.cjs PACKAGE FOLDER VARIANT_JSON
// Variant: device, dtype (float32, float16, bfloat16), maxBatch, threads. With VED_TRACE=1 the engine prints one line per program
// it runs; `phases` adds them up.
'use strict';
const { readFileSync } = require('node:fs');
const path = require('node:path');
const { performance } = require('node:perf_hooks');
const readline = require('node:readline');

const [packageFolder, folder, variantJson] = process.argv.slice(2);
const variant = JSON.parse(variantJson);
const ved = require(path.join(packageFolder, 'dist', 'index.js'));
const bench = JSON.parse(readFileSync(path.join(folder, 'bench.json'), 'utf8'));
const imageSize = bench.pixelShape.reduce((a, b) => a * b);

function readImages() {
  const bytes = readFileSync(path.join(folder, 'pixels.f32'));
  return new Float32Array(bytes.buffer, bytes.byteOffset, bench.images * imageSize);
}

/** The images again and again, as the other half takes them. */
function pixels(images, batch) {
  const data = new Float32Array(batch * imageSize);
  for (let i = 0; i < batch; i++)
    data.set(images.subarray((i % bench.images) * imageSize).subarray(0, imageSize), i * imageSize);
  return { data, dims: [batch, ...bench.pixelShape] };
}

function options({ beams, tokens }) {
  const length = { maxNewTokens: tokens, minNewTokens: tokens, doSample: false };
  return beams > 1 ? { ...length, numBeams: beams, lengthPenalty: 1, earlyStopping: false } : length;
}

async function timed({ warmup = 0, most, seconds }, work) {
  for (let i = 0; i < warmup; i++) await work();
  const ms = [];
  const began = performance.now();
  while (ms.length < most && (ms.length === 0 || performance.now() - began < seconds * 1000)) {
    const start = performance.now();
    await work();
    ms.push(performance.now() - start);
  }
  return { ms };
}

let kept = { batch: 0, pixelValues: undefined };

async function generate(model, images, request) {
  if (kept.batch !== request.batch) kept = { batch: request.batch, pixelValues: pixels(images, request.batch) };
  let sequences;
  const answer = await timed(request, async () => {
    ({ sequences } = await model.generate(kept.pixelValues, options(request)));
  });
  return request.ids ? { ...answer, ids: sequences.map((row) => row.slice(1)) } : answer;
}

/** Marks standard error, where the engine traces, so that the reader knows which lines belong to one run. */
async function phases(model, images, request) {
  const answer = await generate(model, images, { ...request, most: 1, seconds: 0 });
  process.stderr.write('ved-bench: begin\n');
  await generate(model, images, { ...request, warmup: 0, most: 1, seconds: 0 });
  process.stderr.write('ved-bench: end\n');
  return answer;
}

async function main() {
  const images = readImages();
  const { device, dtype, maxBatch, threads } = variant;
  const load = { device, dtype, maxBatch, ...(threads ? { threads } : {}) };
  const model = await ved.VisionEncoderDecoderModel.fromPretrained(folder, load);
  const { version } = JSON.parse(readFileSync(path.join(packageFolder, 'package.json'), 'utf8'));
  const say = (answer) => process.stdout.write(`${JSON.stringify(answer)}\n`);
  say({
    ready: true,
    version,
    node: process.versions.node,
    device: model.device,
    dtype: model.dtype,
    backend: model.backend,
  });
  const operations = { generate, phases };
  for await (const line of readline.createInterface({ input: process.stdin })) {
    const request = JSON.parse(line);
    try {
      const work = operations[request.op];
      say(work ? await work(model, images, request) : { unsupported: `${request.op} is not on the public surface` });
    } catch (error) {
      const oom = error?.name === 'OutOfMemoryError' || /out of memory/i.test(String(error?.message));
      say(oom ? { oom: true } : { error: `${error?.name}: ${String(error?.message).split('\n')[0]}` });
    }
  }
  await model.dispose();
}

main().catch((error) => {
  process.stderr.write(`${error?.stack ?? error}\n`);
  process.exit(1);
});
