// The test command. Parts: layers, native (op tests), ava (TypeScript tests), cuda (golden cases on the host emulator of
// the CUDA kernels, or on a device where VED_CUDA_LIB names the real library), nvcc (every kernel compiled, registers and
// spills within the budget; skipped without nvcc), aarch64 (op tests of the NEON kernels, cross-compiled and run under qemu;
// skipped where either is missing, and on other hosts than Linux on x64); asan only when asked for.
//   node tools/run-tests.mjs [--only=PART[,PART]] [-- FILES AND FLAGS FOR AVA]
// A part that fails makes the exit code 1; the last line is "N passed, N failed[, N skipped]".
import { spawn, spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import process from 'node:process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { checkLayers } from './check-layers.mjs';
import { checkBudget } from './cuda-budget.mjs';

const root = path.join(path.dirname(fileURLToPath(import.meta.url)), '..');
const require = createRequire(import.meta.url);
const jobs = process.env.VED_JOBS ?? '2';
const NONE = { passed: 0, failed: 0, skipped: 0 };

/** Runs a command, showing its output through `onLine`; gives its exit code. */
function runLines(command, args, { env = {}, onLine }) {
  return new Promise((resolve) => {
    const child = spawn(command, args, {
      cwd: root,
      env: { ...process.env, ...env },
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const ended = new Promise((done) => createInterface({ input: child.stdout }).on('line', onLine).on('close', done));
    child.on('error', (error) => {
      console.log(`${command}: ${error.message}`);
      resolve(127);
    });
    child.on('close', (code, signal) => {
      if (signal) console.log(`${path.basename(command)} ended by ${signal}`);
      void ended.then(() => resolve(code ?? 1));
    });
  });
}

const passThrough = { onLine: (line) => console.log(line) };
const has = (tool) => spawnSync(tool, ['--version'], { stdio: 'ignore' }).error === undefined;

function missingTools() {
  const compiler = process.env.CXX ? [process.env.CXX] : ['g++', 'clang++', 'c++'];
  const missing = has('cmake') ? [] : ['cmake'];
  if (process.platform !== 'win32' && !compiler.some(has)) missing.push(compiler[0]);
  return missing;
}

function layers() {
  const problems = checkLayers(root);
  for (const problem of problems) console.log(problem);
  return { ...NONE, passed: problems.length ? 0 : 1, failed: problems.length ? 1 : 0 };
}

function skipMissing(missing) {
  for (const tool of missing) console.log(`skipped: ${tool} is not installed`);
  return { ...NONE, skipped: missing.length };
}

async function nativeTests(folder, options, env) {
  const missing = missingTools();
  if (missing.length) return skipMissing(missing);
  const build = path.join(root, 'build', folder);
  if (!(await compileTests(build, options))) return { ...NONE, failed: 1 };
  const program =
    process.platform === 'win32' ? path.join(build, 'Release', 'ved_tests.exe') : path.join(build, 'ved_tests');
  return programTests(program, [], env);
}

async function compileTests(build, options) {
  const werror = process.env.VED_WERROR === '1' ? 'ON' : 'OFF';
  const configure = ['-S', root, '-B', build, '-DVED_TESTS=ON', '-DVED_CUDA=OFF', `-DVED_WERROR=${werror}`, ...options];
  if (await runLines('cmake', configure, passThrough)) return false;
  const compile = ['--build', build, '--target', 'ved_tests', '-j', jobs, '--config', 'Release'];
  return (await runLines('cmake', compile, passThrough)) === 0;
}

/**
 * The NEON kernels on an emulator that knows the extensions: cases that differ between instruction sets, and those of the
 * pieces they are made of.
 */
async function aarch64Tests() {
  if (process.platform !== 'linux' || process.arch !== 'x64') {
    console.log('skipped: cross-compiled on Linux on x64 only');
    return { ...NONE, skipped: 1 };
  }
  const tool = (name) => `aarch64-linux-gnu-${name}`;
  const missing = ['cmake', tool('gcc'), tool('g++'), 'qemu-aarch64'].filter((name) => !has(name));
  if (missing.length) return skipMissing(missing);
  const build = path.join(root, 'build', 'aarch64-tests');
  const target = { CMAKE_SYSTEM_NAME: 'Linux', CMAKE_SYSTEM_PROCESSOR: 'aarch64' };
  const compilers = { CMAKE_C_COMPILER: tool('gcc'), CMAKE_CXX_COMPILER: tool('g++') };
  const options = Object.entries({ ...target, ...compilers }).map(([name, value]) => `-D${name}=${value}`);
  if (!(await compileTests(build, options))) return { ...NONE, failed: 1 };
  const cases = [
    ...['cpu_features', 'linear_every', 'linear_bits', 'linear_nan', 'linear_int8', 'loader_packs'],
    ...['encoder_attention', 'attention_nan', 'attention_bits', 'cached_attention', 'window_attention'],
    ...['layer_norm', 'activations', 'summarize', 'rows_bits'],
  ];
  const emulator = ['-cpu', 'max', '-L', '/usr/aarch64-linux-gnu', path.join(build, 'ved_tests')];
  return programTests('qemu-aarch64', [...emulator, ...cases], { VED_TEST_FEATURES: 'neon neonDot neonBf16' });
}

async function programTests(program, args, env) {
  const counts = { ...NONE };
  let closed = false;
  const code = await runLines(program, args, {
    env,
    onLine(line) {
      console.log(line);
      const match = /^ved_tests: (\d+) passed, (\d+) failed(?:, (\d+) skipped)?\s*$/.exec(line);
      if (!match) return;
      closed = true;
      Object.assign(counts, { passed: Number(match[1]), failed: Number(match[2]), skipped: Number(match[3] ?? 0) });
    },
  });
  return withExit(counts, code, closed, 'ved_tests');
}

/** A crash is a failure even where every test that reported has passed. */
function withExit(counts, code, closed, name) {
  if (code !== 0) console.log(`${name} ended with exit code ${code}`);
  if (!closed) console.log(`${name} gave no closing line`);
  if (counts.failed === 0 && (code !== 0 || !closed)) counts.failed = 1;
  return counts;
}

async function avaTests(args, env = {}) {
  // Some tests look at what is published, hence at dist/.
  const counts = { ...NONE };
  const tsc = require.resolve('typescript/bin/tsc');
  if (await runLines(process.execPath, [tsc, '-p', 'tsconfig.json'], passThrough)) {
    console.log('the TypeScript sources do not compile');
    counts.failed = 1;
  }
  let planned = false;
  let inFailure = false;
  const onLine = (line) => {
    if (/^1\.\.\d+/.test(line)) planned = true;
    const match = /^(not )?ok \d+ - (.*)$/.exec(line);
    if (match) {
      const skipped = /# (SKIP|TODO)\b/i.test(match[2]);
      counts[skipped ? 'skipped' : match[1] ? 'failed' : 'passed'] += 1;
      inFailure = Boolean(match[1]) && !skipped;
      if (skipped) console.log(line);
    }
    // Passing tests print one line each in TAP: thousands. Failures and log lines (# and indented) are shown.
    if (inFailure || (!match && !/^\s*(---|\.\.\.)$/.test(line) && !/^(TAP version|# )/.test(line))) console.log(line);
    if (!match && /^# (?!tests |pass |skip |fail )/.test(line) && /skip/i.test(line)) console.log(line);
  };
  // ava exports neither its package.json nor its command line: both lie beside its main entry point.
  const ava = path.join(path.dirname(require.resolve('ava')), 'cli.mjs');
  const code = await runLines(process.execPath, [ava, '--tap', ...args], { env, onLine });
  return withExit(counts, code, planned, 'ava');
}

const sum = (a, b) => ({
  passed: a.passed + b.passed,
  failed: a.failed + b.failed,
  skipped: a.skipped + b.skipped,
});

/**
 * The golden cases on CUDA. On the emulator a part of them runs once more with device memory out of the host's reach, work
 * that waits as long as it can and everything in the opposite order; so do the op cases: a missing barrier changes their results.
 */
async function cudaTests() {
  const build = path.join(root, 'build', 'native-tests');
  const emulator = path.join(build, 'libved_cuda_emulator.so');
  const library = process.env.VED_CUDA_LIB ?? emulator;
  if (!existsSync(library)) {
    console.log(`skipped: ${library} is not built (the native part builds it on Linux)`);
    return { ...NONE, skipped: 1 };
  }
  const env = { VED_CUDA_LIB: library, VED_TEST_DEVICE: 'cuda' };
  const golden = 'test/parity/models.test.ts';
  let counts = await avaTests([golden, 'test/cuda/**'], env);
  if (library !== emulator) return counts;
  const strict = { ...env, VED_EMU_ORDER: 'reverse', VED_EMU_PROTECT: '1', VED_EMU_LAZY: '1' };
  counts = sum(counts, await avaTests([golden, '--match=vit-trocr-rectangular: *'], strict));
  // Every 16-bit product through the stand-in for cuBLAS.
  const cublas = { ...env, VED_CUBLAS_PATH: path.join(build, 'libved_cublas_fake.so'), VED_CUDA_PRODUCTS: 'cublas' };
  counts = sum(counts, await avaTests(['test/cuda/precision.test.ts'], cublas));
  const ops = [
    'linear',
    'attention',
    'layer_norm',
    'summarize',
    'write_cache',
    'select_equals_reference',
    'advance',
    'pixels',
  ];
  return sum(counts, await programTests(path.join(build, 'ved_tests'), ops, { VED_EMU_ORDER: 'reverse' }));
}

const ASAN_ENV = { ASAN_OPTIONS: 'detect_leaks=1:allocator_may_return_null=1', UBSAN_OPTIONS: 'print_stacktrace=1' };
const asanOptions = ['-DCMAKE_BUILD_TYPE=RelWithDebInfo', '-DVED_SANITIZE=address,undefined'];

function main(argv) {
  const cut = argv.indexOf('--');
  const forAva = cut < 0 ? [] : argv.slice(cut + 1);
  const own = cut < 0 ? argv : argv.slice(0, cut);
  const parts = {
    layers,
    native: () => nativeTests('native-tests', [], {}),
    asan: () => nativeTests('native-asan', asanOptions, ASAN_ENV),
    ava: () => avaTests(forAva),
    cuda: cudaTests,
    nvcc: () => checkBudget(),
    aarch64: aarch64Tests,
  };
  const only = own
    .find((a) => a.startsWith('--only='))
    ?.slice('--only='.length)
    .split(',');
  const unknown = [...own.filter((a) => !a.startsWith('--only=')), ...(only ?? []).filter((p) => !(p in parts))];
  if (unknown.length) {
    console.error(`run-tests: unknown '${unknown[0]}'; parts: ${Object.keys(parts).join(', ')}`);
    return Promise.resolve(2);
  }
  return runParts(parts, only ?? ['layers', 'native', 'ava', 'cuda', 'nvcc', 'aarch64']);
}

const text = (c) => `${c.passed} passed, ${c.failed} failed${c.skipped ? `, ${c.skipped} skipped` : ''}`;

async function runParts(parts, names) {
  const total = { ...NONE };
  const closing = [];
  for (const name of names) {
    console.log(`== ${name}`);
    const start = Date.now();
    const counts = await parts[name]();
    for (const key of Object.keys(total)) total[key] += counts[key];
    closing.push(`${name}: ${text(counts)} (${((Date.now() - start) / 1000).toFixed(1)} s)`);
  }
  console.log(`== summary\n${closing.join('\n')}\n${text(total)}`);
  return total.failed ? 1 : 0;
}

process.exitCode = await main(process.argv.slice(2));
