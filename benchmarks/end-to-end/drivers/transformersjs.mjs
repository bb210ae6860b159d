// Driver: transformers.js on onnxruntime-node. usage: node transformersjs.mjs JOB.json; protocol in ../../README.md
import { createRequire } from 'node:module';
import path from 'node:path';
import { performance } from 'node:perf_hooks';
import process from 'node:process';
import { pathToFileURL } from 'node:url';
import { finish, job, pixels, repeat } from './shared.mjs';

const require = createRequire(path.join(process.env.VED_BENCH_JS, 'package.json'));
const importStart = performance.now();
const entry = pathToFileURL(require.resolve('@huggingface/transformers')).href;
const { VisionEncoderDecoderModel, Tensor, env } = await import(entry);
const importMs = performance.now() - importStart;
const dtype = { fp32: 'fp32', int8: 'q8' }[job.dtype];
if (!dtype || job.numBeams > 1) finish({ skipped: job.numBeams > 1 ? 'no beam search' : `dtype ${job.dtype}` });

env.allowRemoteModels = false;
env.localModelPath = `${path.dirname(job.onnxDir)}/`;
const loadStart = performance.now();
const model = await VisionEncoderDecoderModel.from_pretrained(path.basename(job.onnxDir), {
  dtype,
  device: 'cpu',
  local_files_only: true,
  session_options: { intraOpNumThreads: job.threads, interOpNumThreads: 1 },
});
const loadMs = performance.now() - loadStart;

let encoder = 0;
const session = model.sessions.model;
const run = session.run.bind(session);
session.run = async (...inputs) => {
  const began = performance.now();
  const output = await run(...inputs);
  encoder += performance.now() - began;
  return output;
};
const pixel_values = new Tensor('float32', pixels(), [job.batch, ...job.pixelShape]);
const length = { max_new_tokens: job.newTokens, min_new_tokens: job.newTokens };
const result = await repeat(async () => {
  encoder = 0;
  const output = await model.generate({ pixel_values, ...length, num_beams: 1, do_sample: false });
  const sequences = output.tolist().map((row) => row.slice(1).map(Number));
  return { sequences, encoderMs: () => encoder };
});
finish({ engine: `transformers.js ${env.version}`, importMs, loadMs, ...result });
