/** tools/gpu-bundle and tools/gpu-check where there is no GPU: a bundle that runs by itself, and the tools' own checks. */
import test from 'ava';
import { execFile, spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';

const ROOT = join(__dirname, '../..');
const CHECK = join(ROOT, 'tools/gpu-check');
const run = promisify(execFile);
const works = (program: string, ...args: string[]) => spawnSync(program, args, { stdio: 'ignore' }).status === 0;

/** A test that is skipped, under a name that says why, where a program is missing. */
function withPrograms(programs: string[][], title: string, body: Parameters<typeof test>[1]): void {
  const missing = programs
    .filter(([program, ...args]) => !works(program!, ...args))
    .map((command) => command.join(' '));
  if (process.platform !== 'linux') missing.unshift('Linux');
  if (missing.length) test.skip(`${title} (missing: ${missing.join(', ')})`, body as never);
  else test(title, body as never);
}

const PYTHON = ['python3', '--version'];
const TORCH = [process.env['PYTHON'] ?? 'python3', '-c', 'import torch, transformers'];
const PACKERS = [PYTHON, ['xz', '--version'], ['tar', '--version'], ['strip', '--version']];

withPrograms(PACKERS, 'a bundle runs the parity cases from an empty folder and an empty environment', async (t) => {
  t.timeout(300_000);
  const folder = mkdtempSync(join(tmpdir(), 'gpu-tools-'));
  t.teardown(() => rmSync(folder, { recursive: true, force: true }));
  const out = join(folder, 'bundle.tar');
  const options = ['--no-build', '--node', 'none', '--level', '0', '--limit', '64', '--out', out, '--check'];
  const { stdout } = await run(process.execPath, [join(ROOT, 'tools/gpu-bundle.mjs'), ...options]);
  t.regex(stdout, /\n[1-9]\d* passed, 0 failed\n$/);
  t.true(existsSync(out));
});

withPrograms(PACKERS, 'a bundle over its limit is refused and not left behind', async (t) => {
  t.timeout(300_000);
  const folder = mkdtempSync(join(tmpdir(), 'gpu-tools-'));
  t.teardown(() => rmSync(folder, { recursive: true, force: true }));
  const out = join(folder, 'bundle.tar');
  const options = ['--no-build', '--node', 'none', '--level', '0', '--no-golden', '--limit', '0.1', '--out', out];
  const error = await t.throwsAsync(run(process.execPath, [join(ROOT, 'tools/gpu-bundle.mjs'), ...options]));
  t.regex(error?.message ?? '', /the bundle has .* MiB .*expected at most 0\.1/);
  t.false(existsSync(out));
});

withPrograms([PYTHON], 'gpu-check: steps, reports and parsers', async (t) => {
  const { stdout } = await run('python3', [join(CHECK, 'selfcheck.py')]);
  t.regex(stdout, /\n[1-9]\d* passed, 0 failed\n$/);
});

withPrograms([PYTHON], 'gpu-check verify says so where there is no GPU', async (t) => {
  const hidden = { ...process.env, CUDA_VISIBLE_DEVICES: '' };
  const { stdout } = await run('python3', [CHECK, 'verify'], { env: hidden });
  t.regex(stdout, /0 GPU tests run: .+\n0 passed, 0 failed, 1 skipped\n$/);
});

withPrograms(
  [PYTHON, ['nvcc', '--version']],
  'gpu-check ceilings: the programs compile with warnings as errors',
  async (t) => {
    t.timeout(600_000);
    const { stdout } = await run('python3', [CHECK, 'ceilings', '--only', '^compile-', '--minutes', '10']);
    t.regex(stdout, /\n[1-9]\d* passed, 0 failed(, 1 skipped)?\n$/);
  },
);

withPrograms([TORCH], 'gpu-check bench: both halves run on tiny shapes and give the same ids', async (t) => {
  t.timeout(600_000);
  const folder = mkdtempSync(join(tmpdir(), 'gpu-tools-'));
  t.teardown(() => rmSync(folder, { recursive: true, force: true }));
  const options = [
    '--device',
    'cpu',
    '--tiny',
    '--variants',
    'ours|eager',
    '--only',
    'checkpoint|ids|greedy-3|encoder-3',
  ];
  const args = [CHECK, 'bench', 'vit-gpt2', ...options, '--work', folder, '--out', folder];
  const { stdout } = await run(TORCH[0]!, args);
  t.regex(stdout, /\| greedy-3 \| torch eager fp32 \| [\d.]+ \| [\d.]+ \|/);
  t.regex(stdout, /"greedyDifferences": \[\]/);
  t.regex(stdout, /\n4 passed, 0 failed\n$/);
});
