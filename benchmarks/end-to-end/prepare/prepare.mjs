// Everything a run needs, made once in a scratch folder outside the repository.
import { execFileSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import process from 'node:process';

const TRANSFORMERS_JS = '@huggingface/transformers@4.3.1';
const here = import.meta.dirname;
const root = path.join(here, '..', '..', '..');
export const python = process.env.PYTHON ?? 'python3';

/** Runs a step; a failure becomes the reason why its engines are skipped. */
function attempt(label, command, args, options) {
  console.error(`preparing: ${label}`);
  try {
    execFileSync(command, args, { stdio: ['ignore', 'ignore', 'pipe'], timeout: 600_000, ...options });
    return undefined;
  } catch (error) {
    const lines = String(error.stderr || error.message)
      .trim()
      .split('\n');
    return `${label}: ${lines.at(-1).slice(0, 200)}`;
  }
}

/** Made completely or not at all: the folder is a cache keyed by a marker file. */
function once(folder, make) {
  const marker = path.join(folder, 'complete');
  if (existsSync(marker)) return undefined;
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  const reason = make();
  if (reason === undefined) writeFileSync(marker, '');
  return reason;
}

/** A copy of the compiled package, so that a build during the run changes nothing. Returns its entry. */
function snapshotOurs(scratch) {
  const folder = path.join(scratch, 'ours');
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(path.join(folder, 'native'), { recursive: true });
  const tsc = path.join(root, 'node_modules', 'typescript', 'bin', 'tsc');
  const arguments_ = [
    tsc,
    '-p',
    path.join(root, 'tsconfig.json'),
    '--outDir',
    path.join(folder, 'dist'),
    '--declaration',
    'false',
    '--declarationMap',
    'false',
  ];
  const reason = attempt('compile the package', process.execPath, arguments_);
  if (reason && !existsSync(path.join(folder, 'dist', 'index.js'))) throw new Error(reason);
  cpSync(path.join(root, 'native', 'resolve.cjs'), path.join(folder, 'native', 'resolve.cjs'));
  cpSync(path.join(root, 'package.json'), path.join(folder, 'package.json'));
  cpSync(path.join(root, 'build', 'Release', 'ved.node'), path.join(folder, 'build', 'Release', 'ved.node'));
  symlinkSync(path.join(root, 'node_modules'), path.join(folder, 'node_modules'), 'junction');
  return path.join(folder, 'dist', 'index.js');
}

function installTransformersJs(folder) {
  writeFileSync(path.join(folder, 'package.json'), '{ "private": true }\n');
  // The CPU provider comes with the package; the download of the CUDA one is not wanted.
  const env = { ...process.env, ONNXRUNTIME_NODE_INSTALL: 'skip' };
  const shell = process.platform === 'win32';
  return attempt('install transformers.js', 'npm', ['install', '--no-save', TRANSFORMERS_JS], {
    cwd: folder,
    env,
    shell,
  });
}

/** { model, modelDir, onnxDir, js, entry, weightBytes, pixelShape, skipped: { setup: reason } } */
export function prepare(scratch, model) {
  const modelDir = path.join(scratch, 'models', model);
  const onnxDir = path.join(scratch, 'onnx', model);
  const js = path.join(scratch, 'js');
  const script = (name) => path.join(here, name);
  const failed = once(modelDir, () =>
    attempt(`${model} checkpoint`, python, [script('checkpoint.py'), modelDir, model]),
  );
  if (failed) throw new Error(failed);
  const skipped = {};
  const onnx = (folder, ...options) =>
    once(js, () => installTransformersJs(js)) ??
    once(folder, () => attempt('ONNX export', python, [script('onnx_export.py'), modelDir, folder, ...options]));
  if (model === 'donut') skipped.transformersjs = 'no ONNX export of donut in this harness';
  else skipped.transformersjs = onnx(onnxDir);
  if (model === 'vit-gpt2') skipped['transformersjs-kept'] = onnx(`${onnxDir}-kept`, 'kept');
  const bench = JSON.parse(readFileSync(path.join(modelDir, 'bench.json'), 'utf8'));
  return { model, modelDir, onnxDir, js, entry: snapshotOurs(scratch), skipped, ...bench };
}
