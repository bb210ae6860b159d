// Instruction counts against a committed budget. Wall time on shared machines cannot be a test; this can.
//   node benchmarks/instructions/run.mjs [--write]
// Scalar and AVX2 kernels, packing, plans, tensor files and token choice are run under callgrind; the innermost loops of the
// AVX-512 and AMX kernels, which it cannot run, and of the AVX2 kernels are counted in the disassembly. More than 3 % above the budget
// fails. --write takes the counts as the new budget. Without the tools, or with another compiler than the budget's, it is
// skipped. The last line is "N passed, N failed[, N skipped]".
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import process from 'node:process';
import { countLoops } from './loops.mjs';

const TOLERANCE = 0.03;
const root = path.join(import.meta.dirname, '..', '..');
const build = path.join(root, 'build', 'bench');
const budgetFile = path.join(import.meta.dirname, 'budget.json');

function skip(reason) {
  console.log(`skipped: ${reason}`);
  console.log('0 passed, 0 failed, 1 skipped');
  process.exit(0);
}

function run(command, args) {
  const result = spawnSync(command, args, { encoding: 'utf8', maxBuffer: 1 << 26 });
  if (result.error || result.status !== 0)
    throw new Error(`${command} ${args.join(' ')}: ${result.error?.message ?? result.stderr.slice(-2000)}`);
  return result;
}

const has = (tool) => spawnSync(tool, ['--version'], { stdio: 'ignore' }).status === 0;

function compile() {
  run('cmake', ['-S', root, '-B', build, '-DVED_BENCH=ON', '-DVED_CUDA=OFF']);
  run('cmake', ['--build', build, '--target', 'ved_instructions', '-j', process.env.VED_JOBS ?? '2']);
}

/** "GNU 12": counts of other compilers are other counts. */
function compiler() {
  const cache = readFileSync(path.join(build, 'CMakeCache.txt'), 'utf8');
  const command = /^CMAKE_CXX_COMPILER:\w+=(.*)$/m.exec(cache)[1];
  const text = run(command, ['--version']).stdout;
  const name = /clang/.test(text) ? 'Clang' : /Free Software Foundation/.test(text) ? 'GNU' : 'other';
  return `${name} ${run(command, ['-dumpversion']).stdout.trim().split('.')[0]}`;
}

function countCase(program, name) {
  const options = ['--tool=callgrind', '--toggle-collect=ved_measured', '--callgrind-out-file=/dev/null'];
  const { stderr } = run('valgrind', [...options, program, name]);
  const count = Number(/Collected : (\d+)/.exec(stderr)?.[1]);
  if (!(count > 0)) throw new Error(`${name}: callgrind counted nothing\n${stderr.slice(-1000)}`);
  return count;
}

function objects() {
  const folder = path.join(build, 'CMakeFiles', 'ved_core.dir', 'native', 'ops', 'cpu', 'isa');
  const ofIsa = (isa, tileRows, names) =>
    names.map((name) => ({ file: path.join(folder, `${name}.cpp.o`), isa, tileRows }));
  return [
    ...ofIsa('avx512', 14, ['kernels_avx512', 'bf16_avx512bf16', 'int8_avx512vnni']),
    ...ofIsa('amx bfloat16', 32, ['bf16_amx']),
    ...ofIsa('amx int8', 32, ['int8_amx']),
    ...ofIsa('avx2', 6, ['kernels_avx2', 'int8_avxvnni']),
  ];
}

/** One line; false when the budget is exceeded, or has no such entry. */
function compare(name, count, budget) {
  const share = count / budget - 1;
  const good = budget !== undefined && (count === budget || share <= TOLERANCE);
  const change = budget === undefined ? 'not in the budget' : `${share >= 0 ? '+' : ''}${(100 * share).toFixed(1)} %`;
  console.log(`${good ? 'ok' : 'NOT OK'}  ${name}: ${count} (${budget === 0 ? 'budget 0' : change})`);
  if (good && share < -TOLERANCE)
    console.log(`    lower by more than ${100 * TOLERANCE} %: --write makes it the budget`);
  return good;
}

if (process.platform !== 'linux' || process.arch !== 'x64') skip('instruction counts are of Linux on x64');
for (const tool of ['valgrind', 'objdump', 'cmake']) if (!has(tool)) skip(`${tool} is not installed`);
compile();
const program = path.join(build, 'ved_instructions');
const names = run(program, ['list']).stdout.trim().split('\n');
const budget = existsSync(budgetFile) ? JSON.parse(readFileSync(budgetFile, 'utf8')) : { compiler: compiler() };
const write = process.argv.includes('--write');
if (!write && budget.compiler !== compiler()) skip(`the budget is of ${budget.compiler}, this is ${compiler()}`);

const counted = Object.fromEntries(names.map((name) => [name, countCase(program, name)]));
const loops = countLoops(objects());
if (write) {
  writeFileSync(budgetFile, `${JSON.stringify({ compiler: compiler(), counted, loops }, null, 2)}\n`);
  console.log(`written: ${path.relative(root, budgetFile)}`);
}
const limits = write ? { counted, loops } : budget;
const results = Object.entries(counted).map(([name, count]) => compare(name, count, limits.counted[name]));
for (const [kernel, { multiplyAdds, instructions, stack }] of Object.entries(loops)) {
  const limit = limits.loops[kernel] ?? {};
  results.push(compare(`${kernel}, loop: instructions`, instructions, limit.instructions));
  results.push(compare(`${kernel}, loop: accesses to the stack`, stack, limit.stack));
  const full = multiplyAdds === limit.multiplyAdds;
  console.log(`${full ? 'ok' : 'NOT OK'}  ${kernel}, loop: ${multiplyAdds} multiply-adds`);
  results.push(full);
}
// A case that went away would not be missed otherwise.
const gone = [...Object.keys(limits.counted), ...Object.keys(limits.loops)].filter(
  (k) => !(k in counted) && !(k in loops),
);
for (const name of gone) console.log(`NOT OK  ${name}: in the budget, but not counted`);
const failed = results.filter((good) => !good).length + gone.length;
console.log(`${results.filter(Boolean).length} passed, ${failed} failed`);
process.exit(failed ? 1 : 0);
