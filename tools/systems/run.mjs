// Full-size load and run of the published systems: npm run test:systems [-- NAME… | --all | --list] [--keep FOLDER]
// Each system is built (random weights, exact configuration, its own file formats), then loaded and run in a process of its own.
// Without names: those that need little time. pytorch_model.bin needs a Python with torch ($PYTHON, else python3); without one
// the weights stay in safetensors, and the report says so.
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import os from 'node:os';
import path from 'node:path';
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import { SYSTEMS } from './systems.mjs';
import { writeTokenizer } from './tokenizers.mjs';

const here = path.dirname(fileURLToPath(import.meta.url));
const QUICK = ['trocr-small-printed', 'trocr-base-handwritten', 'vit-gpt2-image-captioning', 'manga-ocr-base'];
const NEW_TOKENS = 12;
const MB = 1e6;

function fail(message) {
  throw new Error(message);
}

function check(holds, message) {
  if (!holds) fail(message);
}

const ved = () => createRequire(import.meta.url)(path.join(here, '..', '..', 'dist', 'index.js'));

async function build(name, folder) {
  const system = SYSTEMS[name];
  const { VisionEncoderDecoderConfig, VisionEncoderDecoderModel } = ved();
  writeFileSync(path.join(folder, 'config.json'), JSON.stringify(system.config));
  const model = await VisionEncoderDecoderModel.fromConfig(await VisionEncoderDecoderConfig.fromPretrained(folder), {
    seed: 7,
  });
  let parameters = 0;
  for (const { shape } of model.parameters()) parameters += shape.reduce((product, side) => product * side, 1);
  await model.savePretrained(folder, system.weights === 'sharded' ? { maxShardSize: 5e8 } : {});
  await model.dispose();
  // Settings that only the published files hold, not what was saved.
  writeFileSync(path.join(folder, 'config.json'), JSON.stringify(system.config));
  rmSync(path.join(folder, 'generation_config.json'), { force: true });
  if (system.generation) writeFileSync(path.join(folder, 'generation_config.json'), JSON.stringify(system.generation));
  writeFileSync(path.join(folder, 'preprocessor_config.json'), JSON.stringify(system.processor));
  const { kind, count, added } = system.tokenizer;
  writeTokenizer(folder, kind, count, added);
  report({ parameters });
}

/** A page with something on it: dark lines on light ground. */
function image(width, height) {
  const data = new Uint8Array(width * height * 3).fill(240);
  for (let y = 0; y < height; y++)
    for (let x = 0; x < width; x++)
      if (y % 24 < 10 && x > width / 10 && x < width * 0.9 && (x * 7 + y * 13) % 31 < 12)
        data.fill(30, (y * width + x) * 3, (y * width + x) * 3 + 3);
  return { data, width, height, channels: 3 };
}

async function run(name, folder) {
  const system = SYSTEMS[name];
  const { pipeline } = ved();
  const started = performance.now();
  const read = await pipeline('image-to-text', folder);
  const loaded = performance.now();
  check(read.model.newlyInitialized.length === 0, `tensors that the checkpoint lacks: ${read.model.newlyInitialized}`);
  check(
    read.tokenizer.vocabSize === system.tokenizer.count,
    `expected ${system.tokenizer.count} tokens, got ${read.tokenizer.vocabSize}`,
  );
  const input = image(700, 900);
  const { pixelValues } = await read.processor.preprocess(input, { grayscale: system.options?.grayscale ?? false });
  check(pixelValues.dims.join() === [1, 3, ...system.pixels].join(), `pixel values [${pixelValues.dims}]`);
  const once = performance.now();
  const [result] = await read(input, { maxNewTokens: NEW_TOKENS, ...system.options });
  const took = performance.now() - once;
  const ids = result.tokens.map(({ id }) => id);
  check(ids.length >= 1 && ids.length <= NEW_TOKENS, `${ids.length} tokens`);
  check(
    ids.every((id) => Number.isInteger(id) && id >= 0 && id < read.model.config.decoder.vocabSize),
    `ids ${ids}`,
  );
  check(
    result.tokens.every(({ logProb }) => Number.isFinite(logProb) && logProb <= 0),
    'log-probabilities that are none',
  );
  check(typeof result.generatedText === 'string', 'no text');
  check((result.json !== undefined) === (system.options?.postProcess === 'token2json'), 'no object');
  const memory = read.model.memory();
  await read.dispose();
  report({
    loadMs: loaded - started,
    readMs: took,
    tokens: ids.length,
    weightMb: memory.weightBytes / MB,
    peakMb: process.resourceUsage().maxRSS / 1e3,
    text: result.generatedText.slice(0, 40),
  });
}

const report = (value) => process.stdout.write(`\n@${JSON.stringify(value)}\n`);

function child(mode, name, folder) {
  const { status, stdout, signal } = spawnSync(
    process.execPath,
    [fileURLToPath(import.meta.url), `--${mode}`, name, folder],
    {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'inherit'],
    },
  );
  check(status === 0, `${name}: ${mode} ended with ${signal ?? status}`);
  return JSON.parse(stdout.split('\n@').at(-1));
}

/** pytorch_model.bin where a Python can write it; gives the format used. */
function toBin(folder, extra) {
  const python = process.env.PYTHON ?? 'python3';
  if (spawnSync(python, ['-c', 'import torch, safetensors']).status !== 0)
    return 'safetensors, for want of Python with torch';
  const args = [path.join(here, 'to-bin.py'), folder, JSON.stringify(extra ?? {})];
  check(spawnSync(python, args, { stdio: 'inherit' }).status === 0, 'to-bin.py failed');
  return 'pytorch_model.bin';
}

/** Parameters that a published file has and a new model of ours has not: poolers. */
function unused({ extra }) {
  const shapes = Object.entries(extra?.added ?? {}).filter(([name]) => name.includes('pooler'));
  return shapes.reduce((sum, [, [, ...shape]]) => sum + shape.reduce((product, side) => product * side, 1), 0);
}

function one(name, keep) {
  const system = SYSTEMS[name];
  const folder = keep ? path.join(keep, name) : mkdtempSync(path.join(os.tmpdir(), `ved-${name}-`));
  mkdirSync(folder, { recursive: true });
  try {
    const { parameters } = child('build', name, folder);
    const all = parameters + unused(system);
    check(all === (system.parameters ?? all), `expected ${system.parameters} parameters, got ${all}`);
    const format = system.weights === 'bin' ? toBin(folder, system.extra) : (system.weights ?? 'safetensors');
    const bytes = readdirSync(folder).reduce((sum, file) => sum + statSync(path.join(folder, file)).size, 0);
    const { loadMs, readMs, tokens, weightMb, peakMb } = child('run', name, folder);
    const seconds = (ms) => `${(ms / 1000).toFixed(1)} s`;
    console.log(
      `ok ${name}: ${(parameters / MB).toFixed(1)} M parameters, ${(bytes / MB).toFixed(0)} MB on disk (${format}), ` +
        `load ${seconds(loadMs)}, read ${seconds(readMs)} (${tokens} tokens), weights ${weightMb.toFixed(0)} MB, peak memory ${peakMb.toFixed(0)} MB`,
    );
    return true;
  } catch (error) {
    console.log(`not ok ${name}: ${error.message}`);
    return false;
  } finally {
    if (!keep) rmSync(folder, { recursive: true, force: true });
  }
}

function main(args) {
  if (args[0] === '--build') return build(args[1], args[2]);
  if (args[0] === '--run') return run(args[1], args[2]);
  if (args[0] === '--list') return void console.log(Object.keys(SYSTEMS).join('\n'));
  const at = args.indexOf('--keep');
  const keep = at < 0 ? undefined : args.splice(at, 2)[1];
  const names = args.includes('--all') ? Object.keys(SYSTEMS) : args.length > 0 ? args : QUICK;
  const unknown = names.filter((name) => !(name in SYSTEMS));
  check(unknown.length === 0, `unknown system ${unknown.join(', ')}; --list names them`);
  const passed = names.map((name) => one(name, keep)).filter(Boolean).length;
  console.log(`${passed} of ${names.length} systems load and run`);
  process.exitCode = passed === names.length ? 0 : 1;
}

await main(process.argv.slice(2));
