// Compiles every CUDA kernel with warnings as errors and compares what ptxas says of it (registers, static shared memory,
// spilled bytes) with native/ops/cuda/budget.txt. What is compiled is remembered in build/cuda-budget by content.
//   node tools/cuda-budget.mjs            sm_80, sm_90a and sm_120 against the budget
//   node tools/cuda-budget.mjs --all      every target of the library, PTX included; the further ones may not spill either
//   node tools/cuda-budget.mjs --write    writes the budget; spills are kept out of it unless --spills is given too
// The last line is "N passed, N failed[, N skipped]".
import { execFile, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import process from 'node:process';
import { fileURLToPath, pathToFileURL } from 'node:url';

const root = path.join(path.dirname(fileURLToPath(import.meta.url)), '..');
const kernels = path.join(root, 'native', 'ops', 'cuda', 'kernels');
const budgetFile = path.join(root, 'native', 'ops', 'cuda', 'budget.txt');
const cache = path.join(root, 'build', 'cuda-budget');
const BUDGETED = ['sm_80', 'sm_90a', 'sm_120'];
const ALL = [...BUDGETED, 'sm_86', 'sm_89', 'sm_100', 'compute_80', 'compute_120'];
const FLAGS = ['-std=c++20', '-O3', '-DNDEBUG', '-DVED_VERSION="budget"', '-Werror=all-warnings', '-Xptxas=-v'];

const nvccPath = () => process.env.CUDACXX ?? 'nvcc';

/** "13.0" or undefined. */
function nvccRelease() {
  const run = spawnSync(nvccPath(), ['--version'], { encoding: 'utf8' });
  return /release (\d+\.\d+)/.exec(run.stdout ?? '')?.[1];
}

/** Every header a kernel file may include, in one digest: coarse, but never stale. */
function headerDigest() {
  const hash = createHash('sha256');
  for (const folder of ['core', 'ops', 'ops/cuda', 'ops/cuda/kernels']) {
    const from = path.join(root, 'native', folder);
    for (const name of readdirSync(from).sort())
      if (/\.(h|cuh)$/.test(name)) hash.update(name).update(readFileSync(path.join(from, name)));
  }
  return hash.digest('hex');
}

const gencode = (target) => `-gencode=arch=${target.replace('sm_', 'compute_')},code=${target}`;

/** One compilation of all targets: the host's half is done once. */
function compile(file, targets, digest) {
  const source = path.join(kernels, file);
  const key = createHash('sha256')
    .update([digest, ...targets, ...FLAGS].join(' '))
    .update(readFileSync(source))
    .digest('hex');
  const log = path.join(cache, `${file}-${key.slice(0, 20)}.log`);
  if (existsSync(log)) return Promise.resolve({ file, ok: true, text: readFileSync(log, 'utf8') });
  const object = path.join(cache, `${file}-${process.pid}.o`);
  const args = [...FLAGS, '-I', path.join(root, 'native'), ...targets.map(gencode), '-c', source, '-o', object];
  return new Promise((resolve) => {
    execFile(nvccPath(), args, { maxBuffer: 1 << 26 }, (error, stdout, stderr) => {
      rmSync(object, { force: true });
      if (!error) writeFileSync(log, stdout + stderr);
      resolve({ file, ok: !error, text: stdout + stderr });
    });
  });
}

/** Runs `work` over the items, a few at a time. */
async function inParallel(items, work) {
  const results = [];
  let next = 0;
  const worker = async () => {
    while (next < items.length) {
      const at = next++;
      results[at] = await work(items[at]);
    }
  };
  await Promise.all(Array.from({ length: Number(process.env.VED_JOBS ?? 2) }, worker));
  return results;
}

/** Names without what changes from build to build: return types, namespaces, argument lists. */
export function readableNames(mangled) {
  const run = spawnSync('c++filt', [], { input: mangled.join('\n'), encoding: 'utf8' });
  const names = run.error ? mangled : run.stdout.trim().split('\n');
  return names.map((name) =>
    name
      .replace(/^void /, '')
      .replaceAll('(anonymous namespace)::', '')
      .replaceAll(/ved::(?:cuda|ops|emu)::/g, '')
      .replaceAll(/\((?:bool|int|long)\)/g, '')
      .replaceAll(/\b(\d+)l\b/g, '$1')
      .replace(/\(.*$/, ''),
  );
}

/** Map from kernel to a map from target to { registers, shared, spills }. */
export function parsePtxas(text) {
  const found = [];
  for (const line of text.split('\n')) {
    const entry = /Compiling entry function '(\S+)' for '(\w+)'/.exec(line);
    if (entry) found.push({ mangled: entry[1], target: entry[2], use: { registers: 0, shared: 0, spills: 0 } });
    const use = found.at(-1)?.use;
    if (!use) continue;
    const spill = /(\d+) bytes spill stores, (\d+) bytes spill loads/.exec(line);
    if (spill) use.spills = Number(spill[1]) + Number(spill[2]);
    const used = /Used (\d+) registers/.exec(line);
    if (!used) continue;
    use.registers = Number(used[1]);
    use.shared = Number(/(\d+) bytes smem/.exec(line)?.[1] ?? 0);
  }
  const names = readableNames(found.map((kernel) => kernel.mangled));
  const uses = new Map();
  found.forEach(({ target, use }, i) => {
    if (!uses.has(names[i])) uses.set(names[i], new Map());
    uses.get(names[i]).set(target, use);
  });
  return uses;
}

const cell = (use) => (use ? `${use.registers}/${use.shared}/${use.spills}` : '-');

/** Rows of "file kernel", cells of one target each. */
export function formatBudget(release, uses) {
  const rows = [...uses.keys()].sort();
  const width = Math.max(...rows.map((row) => row.length));
  const line = (first, cells) => [first.padEnd(width), ...cells.map((c) => c.padEnd(10))].join('  ').trimEnd();
  return [
    `# Registers / static shared memory / spilled bytes of each kernel; node tools/cuda-budget.mjs --write.`,
    `# nvcc ${release}`,
    line('# kernel', BUDGETED),
    ...rows.map((row) =>
      line(
        row,
        BUDGETED.map((target) => cell(uses.get(row).get(target))),
      ),
    ),
    '',
  ].join('\n');
}

export function parseBudget(text) {
  const uses = new Map();
  for (const line of text.split('\n')) {
    if (!line.trim() || line.startsWith('#')) continue;
    const [row, ...cells] = line.split(/ {2,}/);
    uses.set(
      row,
      new Map(
        BUDGETED.flatMap((target, i) => {
          const match = /^(\d+)\/(\d+)\/(\d+)$/.exec(cells[i] ?? '');
          if (!match) return [];
          return [[target, { registers: Number(match[1]), shared: Number(match[2]), spills: Number(match[3]) }]];
        }),
      ),
    );
  }
  return { release: /^# nvcc (\S+)/m.exec(text)?.[1], uses };
}

/** What is worse than the budget, or not in it. Another compiler allots registers in its own way: only spills count then. */
export function compareBudget(uses, budget, release) {
  const problems = [];
  for (const [row, targets] of uses)
    for (const [target, use] of targets) {
      const allowed = budget.uses.get(row)?.get(target);
      const spills = allowed?.spills ?? 0;
      if (use.spills > spills)
        problems.push(`${row} ${target}: ${use.spills} bytes spilled, expected at most ${spills}`);
      if (!BUDGETED.includes(target)) continue;
      if (!allowed) problems.push(`${row} ${target}: not in the budget`);
      else if (release === budget.release && (use.registers > allowed.registers || use.shared > allowed.shared))
        problems.push(`${row} ${target}: ${cell(use)}, expected at most ${cell(allowed)}`);
    }
  for (const row of budget.uses.keys()) if (!uses.has(row)) problems.push(`${row}: in the budget, but no such kernel`);
  return problems;
}

/** { passed, failed, skipped }: one check per file, and one for the budget. */
export async function checkBudget({ all = false, write = false, spills = false } = {}) {
  const release = nvccRelease();
  if (!release) {
    console.log('skipped: nvcc is not on PATH nor in CUDACXX, so no CUDA kernel was compiled');
    return { passed: 0, failed: 0, skipped: 1 };
  }
  mkdirSync(cache, { recursive: true });
  const files = readdirSync(kernels).filter((name) => name.endsWith('.cu'));
  const digest = headerDigest() + release;
  const targets = all ? ALL : BUDGETED;
  const results = await inParallel(files, (file) => compile(file, targets, digest));
  const broken = results.filter((result) => !result.ok);
  for (const { file, text } of broken) console.log(`${file}:\n${text.slice(-4000)}`);
  const uses = new Map();
  for (const { file, text } of results.filter((result) => result.ok))
    for (const [kernel, use] of parsePtxas(text)) uses.set(`${file} ${kernel}`, use);
  if (write && broken.length === 0) {
    const spilling = [...uses].filter(([, targets]) => [...targets.values()].some((use) => use.spills > 0));
    if (spills || spilling.length === 0) writeFileSync(budgetFile, formatBudget(release, uses));
    else console.log(`not written, these spill: ${spilling.map(([row]) => row).join('; ')}`);
  }
  const budget = parseBudget(existsSync(budgetFile) ? readFileSync(budgetFile, 'utf8') : '');
  const problems = broken.length ? [] : compareBudget(uses, budget, release);
  for (const problem of problems) console.log(problem);
  if (release !== budget.release)
    console.log(`nvcc ${release}, budget of ${budget.release}: only spills were compared`);
  console.log(
    `${uses.size} kernels, ${results.length - broken.length} of ${results.length} files compiled for ${targets.join(', ')} by nvcc ${release}`,
  );
  const failed = broken.length + (problems.length ? 1 : 0);
  return { passed: results.length - broken.length + (problems.length || broken.length ? 0 : 1), failed, skipped: 0 };
}

if (process.argv[1] && import.meta.url === pathToFileURL(process.argv[1]).href) {
  const unknown = process.argv.slice(2).find((a) => !['--all', '--write', '--spills'].includes(a));
  if (unknown) {
    console.error(`cuda-budget: unknown '${unknown}'`);
    process.exitCode = 2;
  } else {
    const [all, write, spills] = ['--all', '--write', '--spills'].map((a) => process.argv.includes(a));
    const { passed, failed, skipped } = await checkBudget({ all, write, spills });
    console.log(`${passed} passed, ${failed} failed${skipped ? `, ${skipped} skipped` : ''}`);
    process.exitCode = failed ? 1 : 0;
  }
}
