// Reads the evaluation set with the bundled line reader and with Tesseract 5, and prints who reads how well and how fast.
//   node benchmarks/line-reader/run.mjs [--set FOLDER] [--count N] [--model FOLDER] [--timed N] [--batch 32] [--threads N|all]
//                                       [--only ours|tesseract] [--note TEXT] [--write] [--write-docs] [--from RESULT.json]
// The set is drawn by tools/line-reader/make_evaluation.py (Python with Pillow: PYTHON=…) where it is not there yet.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import process from 'node:process';
import { parseArgs } from 'node:util';
import { markdown } from './report.mjs';
import { above, score, scoreBlank, tidy } from './score.mjs';
import * as tesseract from './tesseract.mjs';

const root = path.join(import.meta.dirname, '..', '..');
const { values: args } = parseArgs({
  options: {
    set: { type: 'string', default: path.join(root, 'build', 'line-reader', 'evaluation') },
    count: { type: 'string', default: '200' },
    model: { type: 'string', default: path.join(root, 'models', 'line-reader') },
    timed: { type: 'string', default: '40' },
    batch: { type: 'string', default: '32' },
    threads: { type: 'string', default: 'all' },
    only: { type: 'string', default: '' },
    note: { type: 'string', default: '' },
    from: { type: 'string' },
    write: { type: 'boolean', default: false },
    'write-docs': { type: 'boolean', default: false },
  },
});

function readSet() {
  const file = path.join(args.set, 'lines.json');
  if (!existsSync(file)) {
    const script = path.join(root, 'tools', 'line-reader', 'make_evaluation.py');
    const command = [script, args.set, '--count', args.count];
    const { status, error } = spawnSync(process.env.PYTHON ?? 'python3', command, { cwd: root, stdio: 'inherit' });
    if (error || status !== 0)
      throw new Error('the evaluation set could not be drawn: see tools/line-reader/README.md');
  }
  const { meta, lines } = JSON.parse(readFileSync(file, 'utf8'));
  return { meta, lines: lines.map((line) => ({ ...line, file: path.join(args.set, line.file) })) };
}

function byCategory(lines) {
  const groups = new Map();
  for (const line of lines) groups.set(line.category, [...(groups.get(line.category) ?? []), line]);
  return groups;
}

const mean = (list, key) => list.reduce((total, item) => total + item[key], 0) / list.length;

function ours(files) {
  const driver = path.join(import.meta.dirname, 'ours.mjs');
  const { status, stdout, stderr } = spawnSync(process.execPath, [driver, args.model, args.batch, args.threads], {
    input: JSON.stringify(files),
    encoding: 'utf8',
    maxBuffer: 2 ** 28,
  });
  if (status !== 0) throw new Error(`ours: exit code ${status}\n${stderr}`);
  return JSON.parse(stdout.trim().split('\n').at(-1));
}

function scores(lines) {
  return lines[0].category === 'no-text' ? scoreBlank(lines) : score(lines);
}

function measureOurs(lines) {
  const categories = {};
  let all = [];
  for (const [category, some] of byCategory(lines)) {
    const { results, ...time } = ours(some.map(({ file }) => file));
    const read = some.map((line, i) => ({ ...line, ...results[i], read: tidy(results[i].read) }));
    categories[category] = { ...scores(read), ...time };
    all = all.concat(read);
    console.error(`ours ${category}: ${JSON.stringify(categories[category])}`);
  }
  const confidence = [0.5, 0.8, 0.95].map((least) => above(all, least));
  return { categories, confidence };
}

/** Texts from the library with one thread; times of it with one and all threads and of the command on the first lines of each category. */
function measureTesseract(lines, found) {
  const program = tesseract.buildLibraryProgram(root);
  if (!program) return { skipped: 'the library, its headers (libtesseract-dev) or a C++ compiler are missing' };
  const categories = {};
  for (const [category, some] of byCategory(lines)) {
    const language = tesseract.languageFor(category, found.languages);
    const files = some.map(({ file }) => file);
    const single = tesseract.withLibrary(program, files, language, 1);
    const read = some.map((line, i) => ({ ...line, read: tidy(single[i].read) }));
    const first = files.slice(0, Number(args.timed));
    const all = tesseract.withLibrary(program, first, language, 'all');
    const command = tesseract.withCommand(first, language, 1);
    const same = command.filter(({ read: text }, i) => tidy(text) === read[i].read).length / command.length;
    const time = (list) => ({ msPerLine: mean(list, 'ms'), cpuMsPerLine: mean(list, 'cpuMs') });
    categories[category] = {
      ...scores(read),
      language,
      library1: time(single),
      libraryAll: time(all),
      command: time(command),
      commandSameText: same,
    };
    console.error(`tesseract ${category}: ${JSON.stringify(categories[category])}`);
  }
  return { version: found.version, categories };
}

function produce() {
  const { meta: set, lines } = readSet();
  const began = new Date();
  const found = tesseract.versions();
  const result = {
    meta: {
      date: began.toISOString().slice(0, 16).replace('T', ' ') + ' UTC',
      set,
      model: path.relative(root, args.model),
      batch: Number(args.batch),
      threads: args.threads,
      timedLines: Number(args.timed),
      cpu: os.cpus()[0].model.trim(),
      cpus: os.cpus().length,
      load: os.loadavg()[0],
      node: process.versions.node,
      note: args.note,
    },
  };
  if (args.only !== 'tesseract') result.ours = measureOurs(lines);
  if (args.only !== 'ours')
    result.tesseract = found ? measureTesseract(lines, found) : { skipped: 'tesseract is not installed' };
  result.meta.loadAfter = os.loadavg()[0];
  if (args.write) {
    const stamp = began.toISOString().slice(0, 16).replace(/:/g, '');
    const file = path.join(root, 'benchmarks', 'results', `${stamp}-line-reader.json`);
    mkdirSync(path.dirname(file), { recursive: true });
    writeFileSync(file, `${JSON.stringify(result, null, 1)}\n`);
    console.error(`written: ${path.relative(root, file)}`);
  }
  return result;
}

/** Replaces what stands between the markers of the model card. */
function writeDocs(text) {
  const file = path.join(args.model, 'README.md');
  const [begin, end] = ['<!-- results:begin -->', '<!-- results:end -->'];
  const page = readFileSync(file, 'utf8');
  const [head, tail] = [page.indexOf(begin), page.indexOf(end)];
  if (head < 0 || tail < head) throw new Error(`${file}: expected the markers ${begin} and ${end}`);
  writeFileSync(file, `${page.slice(0, head + begin.length)}\n\n${text}\n\n${page.slice(tail)}`);
}

const result = args.from ? JSON.parse(readFileSync(args.from, 'utf8')) : produce();
const text = markdown(result);
console.log(text);
if (args['write-docs']) writeDocs(text);
