// Driver: this package. usage: node ours.mjs JOB.json; protocol in ../../README.md
import { createRequire } from 'node:module';
import { performance } from 'node:perf_hooks';
import process from 'node:process';
import { finish, job, memory, pixels, repeat } from './shared.mjs';

const require = createRequire(import.meta.url);
const importStart = performance.now();
const { VisionEncoderDecoderModel } = require(process.env.VED_BENCH_ENTRY);
const importMs = performance.now() - importStart;
const dtype = { fp32: 'float32', bf16: 'bfloat16', int8: 'int8' }[job.dtype];

const before = memory();
const loadStart = performance.now();
const model = await VisionEncoderDecoderModel.fromPretrained(job.modelDir, {
  threads: job.threads,
  device: 'cpu',
  dtype,
});
const loadMs = performance.now() - loadStart;
const loaded = memory();

const pixelValues = { data: pixels(), dims: [job.batch, ...job.pixelShape] };
const start = model.config.decoderStartTokenId ?? 0;
const decoderInputIds = Array.from({ length: job.batch }, () => [start]);
let states;

async function timed(inputs) {
  const began = performance.now();
  const output = await model.forward(inputs);
  states = output.encoderLastHiddenState;
  return performance.now() - began;
}

// The engine has no clock of its own on the surface: one forward from pixels minus one from the encoder's states.
async function encoderMs() {
  if (!job.warmup) return 0;
  const whole = await timed({ pixelValues, decoderInputIds });
  return whole - (await timed({ encoderLastHiddenState: states, decoderInputIds }));
}

const options = {
  numBeams: job.numBeams,
  maxNewTokens: job.newTokens,
  minNewTokens: job.newTokens,
  doSample: false,
  lengthPenalty: 1,
  earlyStopping: false,
};
// The first forward of a shape plans it; that belongs to the warm-up, as the first generate does.
for (let i = 0; i < job.warmup; i++) await encoderMs();
const result = await repeat(async () => {
  const { sequences } = await model.generate(pixelValues, options);
  return { sequences: sequences.map((row) => row.slice(1)), encoderMs };
});
finish({
  engine: `vision-encoder-decoder ${model.backend}`,
  importMs,
  loadMs,
  loadMemory: { before, loaded, end: memory(), model: model.memory?.() },
  ...result,
});
