// End-to-end benchmark: this package, PyTorch and transformers.js on the same random full-size checkpoint.
//   node benchmarks/end-to-end/run.mjs [--quick] [--rounds N] [--minutes M] [--model vit-gpt2|trocr-base|donut]
//                                      [--only TEXT] [--note TEXT] [--write-docs] [--from RESULT.json ...]
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import process from 'node:process';
import { parseArgs } from 'node:util';
import { cells } from './cases.mjs';
import { prepare } from './prepare/prepare.mjs';
import { markdown, median } from './report.mjs';
import { execute } from './spawn.mjs';
import { plotSvg, summary } from './summary.mjs';

const { values: args } = parseArgs({
  options: {
    quick: { type: 'boolean', default: false },
    rounds: { type: 'string' },
    minutes: { type: 'string', default: '60' },
    model: { type: 'string', default: 'vit-gpt2' },
    only: { type: 'string', default: '' },
    note: { type: 'string', default: '' },
    'write-docs': { type: 'boolean', default: false },
    from: { type: 'string', multiple: true },
  },
});
const root = path.join(import.meta.dirname, '..', '..');
const deadline = Date.now() + Number(args.minutes) * 60_000;

function print(record) {
  const middle = (key) => (record[key]?.length ? median(record[key]).toFixed(1) : '-');
  const times = `total ${middle('totalMs')} encoder ${middle('encoderMs')} token ${middle('perTokenMs')} ms`;
  const outcome = record.skipped ? `skipped: ${record.skipped}` : (record.error ?? times);
  console.error(`${record.case} | ${record.engine} | ${outcome} | others ${record.otherCpus?.toFixed(1) ?? '?'} CPUs`);
}

/** Rounds go through all cells; the budget may end the last one early. A started case is finished with all its engines. */
async function measure(setup, scratch, rounds) {
  const records = [];
  const run = async (cell, round) => {
    const skipped = setup.skipped[cell.engine.setup ?? cell.engine.driver];
    const record = skipped ? { case: cell.name, engine: cell.engine.id, skipped } : await execute(cell, setup, scratch);
    records.push({ round, ...record });
    print(record);
  };
  const wanted = ({ name, engine }) => `${name} ${engine.id}`.includes(args.only);
  for (let round = 0; round < rounds; round++) {
    let current;
    for (const cell of cells(args.model, args.quick).filter(wanted)) {
      if (cell.name !== current && Date.now() > deadline) break;
      current = cell.name;
      await run(cell, round);
    }
  }
  return records;
}

async function produce() {
  const scratch = process.env.VED_BENCH_DIR ?? path.join(os.tmpdir(), 'ved-bench');
  mkdirSync(scratch, { recursive: true });
  const setup = prepare(scratch, args.model);
  const rounds = Number(args.rounds ?? (args.quick ? 1 : 3));
  const began = new Date();
  const records = await measure(setup, scratch, rounds);
  rmSync(path.join(scratch, `job-${process.pid}.json`), { force: true });
  const meta = {
    date: began.toISOString().slice(0, 16).replace('T', ' ') + ' UTC',
    model: args.model,
    newTokens: 20,
    rounds,
    quick: args.quick,
    cpu: os.cpus()[0].model.trim(),
    cpus: os.cpus().length,
    node: process.versions.node,
    engines: [...new Set(records.map((r) => r.engineVersion).filter(Boolean))],
    weightBytes: setup.weightBytes,
    note: args.note,
  };
  const stamp = began.toISOString().slice(0, 16).replace(/[:]/g, '');
  const file = path.join(root, 'benchmarks', 'results', `${stamp}-cpu-${args.model}.json`);
  mkdirSync(path.dirname(file), { recursive: true });
  writeFileSync(file, `${JSON.stringify({ meta, records }, null, 1)}\n`);
  console.error(`written: ${path.relative(root, file)}`);
  return { meta, records };
}

function writeMarked(name, label, text) {
  const file = path.join(root, name);
  const [begin, end] = [`<!-- ${label}:begin -->`, `<!-- ${label}:end -->`];
  const page = readFileSync(file, 'utf8');
  const [head, tail] = [page.indexOf(begin), page.indexOf(end)];
  if (head < 0 || tail < head) throw new Error(`${file}: expected the markers ${begin} and ${end}`);
  writeFileSync(file, `${page.slice(0, head + begin.length)}\n\n${text}\n\n${page.slice(tail)}`);
}

function writeDocs(results, text) {
  const plot = 'docs/performance.svg';
  const page = path.join('docs', 'performance.md');
  if (results.meta.model !== 'vit-gpt2') return writeMarked(page, `results of ${results.meta.model}`, text);
  writeMarked(page, 'results', text);
  writeMarked('README.md', 'results', summary(results, plot));
  writeFileSync(path.join(root, plot), plotSvg(results));
}

/** Several files of one machine and model are one report; their rounds must not be paired with each other. */
function read(files) {
  const all = files.map((file) => JSON.parse(readFileSync(file, 'utf8')));
  const records = all.flatMap((result, i) => result.records.map((r) => ({ ...r, round: `${i}.${r.round}` })));
  return { meta: all[0].meta, records };
}

const results = args.from ? read(args.from) : await produce();
const text = markdown(results);
console.log(text);
if (args['write-docs']) writeDocs(results, text);
