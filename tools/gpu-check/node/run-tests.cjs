// Runs compiled ava test files of a bundle under plain Node, one test after the other.
//   ./node run-tests.cjs [--match REGEXP] [--limit-s SECONDS] [FILE|FOLDER ...]        (default: test)
// The last line is "N passed, N failed[, N skipped]"; the exit code is 1 after a failure or when nothing ran.
'use strict';
const fs = require('node:fs');
const path = require('node:path');
const { parseArgs } = require('node:util');
const { harness } = require(path.join(__dirname, 'node_modules', 'ava'));

const { values, positionals } = parseArgs({
  options: { match: { type: 'string' }, 'limit-s': { type: 'string', default: '120' } },
  allowPositionals: true,
});
const matches = new RegExp(values.match ?? '');
const limitMs = Number(values['limit-s']) * 1000;
const counts = { passed: 0, failed: 0, skipped: 0 };

function testFiles(name) {
  const file = path.resolve(__dirname, name);
  if (!fs.existsSync(file)) throw new Error(`${name}: no such file or folder in the bundle`);
  if (fs.statSync(file).isFile()) return [file];
  const below = fs.readdirSync(file, { recursive: true }).map((entry) => path.join(file, entry));
  return below.filter((entry) => entry.endsWith('.test.js')).sort();
}

async function within(title, work) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`not finished after ${limitMs / 1000} s`)), limitMs);
  });
  try {
    return await Promise.race([work(), late]);
  } finally {
    clearTimeout(timer);
  }
}

async function runOne(label, body) {
  const { t, teardowns, assertions } = harness.createContext(label, (line) => console.log(`# ${line}`));
  const problems = [];
  try {
    await within(label, async () => body(t));
    if (assertions() === 0) problems.push(new Error('the test checked nothing'));
  } catch (error) {
    problems.push(error);
  }
  for (const undo of teardowns) {
    try {
      await undo();
    } catch (error) {
      problems.push(error);
    }
  }
  return problems;
}

function report(label, problems) {
  if (problems.length === 0) {
    counts.passed += 1;
    console.log(`ok ${label}`);
    return;
  }
  counts.failed += 1;
  console.log(`not ok ${label}`);
  for (const error of problems)
    console.log(
      `    ${String(error?.stack ?? error)
        .split('\n')
        .slice(0, 12)
        .join('\n    ')}`,
    );
}

async function runFile(file) {
  const name = path.relative(path.join(__dirname, 'test'), file).replace(/\.test\.js$/, '');
  require(file);
  const tests = harness.take();
  const wanted = tests.filter(({ kind, title }) => kind === 'test' && matches.test(`${name}: ${title}`));
  counts.skipped += tests.filter(({ kind }) => kind === 'skip').length;
  if (wanted.length === 0) return;
  const hooks = (kind) => tests.filter((entry) => entry.kind === kind);
  for (const { body } of hooks('before'))
    await within('before', async () => body(harness.createContext('before', () => {}).t));
  for (const { title, body } of wanted) report(`${name}: ${title}`, await runOne(title, body));
  for (const { body } of hooks('after'))
    await within('after', async () => body(harness.createContext('after', () => {}).t));
}

async function main() {
  const names = positionals.length ? positionals : ['test'];
  for (const file of names.flatMap(testFiles)) {
    try {
      await runFile(file);
    } catch (error) {
      report(`${path.relative(__dirname, file)}: loading or a hook`, [error]);
    }
  }
  const { passed, failed, skipped } = counts;
  console.log(`${passed} passed, ${failed} failed${skipped ? `, ${skipped} skipped` : ''}`);
  if (failed > 0 || passed === 0) process.exitCode = 1;
}

void main().then(() => process.exit());
