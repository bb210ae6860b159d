// Runs every example and `ved generate` on examples/images and compares the texts with expected.json, character by
// character: the bundled model decodes greedily, so there is nothing to tolerate.
//   node examples/run-all.mjs        (after npm run build)
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import process from 'node:process';
import { fileURLToPath } from 'node:url';

const here = path.dirname(fileURLToPath(import.meta.url));
const images = path.join(here, 'images');
const program = path.join(here, '..', 'dist', 'cli', 'main.js');

/** [file, text] pairs, sorted by file as a folder is read. */
function readExpected() {
  const json = JSON.parse(readFileSync(path.join(images, 'expected.json'), 'utf8'));
  const pairs = Object.entries(json);
  if (pairs.length === 0 || pairs.some(([, text]) => typeof text !== 'string')) {
    throw new Error('expected.json: expected an object { "file.png": "text", … }');
  }
  return pairs.sort(([a], [b]) => (a < b ? -1 : 1));
}

function output(script, ...args) {
  const { status, stdout, stderr } = spawnSync(process.execPath, [script, ...args], { encoding: 'utf8' });
  if (status !== 0) throw new Error(`exit code ${status}\n${stderr}`);
  return stdout;
}

const example = (name, ...args) => output(path.join(here, name), ...args);

const expected = readExpected();
const [firstFile, firstText] = expected[0];
const first = path.join(images, firstFile);
const table = (prefix) => expected.map(([file, text]) => `${prefix}${file}\t${text}\n`).join('');

const CHECKS = [
  ['read-line.mjs', () => example('read-line.mjs', first), `${firstText}\n`],
  ['stream.cjs', () => example('stream.cjs', first), `${firstText}\n`],
  ['warm-start.mjs', () => example('warm-start.mjs', first), `${firstText}\n`],
  ['batch-folder.mjs', () => example('batch-folder.mjs', images), table('')],
  ['ved generate', () => output(program, 'generate', images), table(images + path.sep)],
];

let failed = 0;
for (const [name, run, wanted] of CHECKS) {
  let got;
  try {
    got = run();
  } catch (error) {
    got = error.message;
  }
  if (got !== wanted) failed += 1;
  console.log(got === wanted ? `ok      ${name}` : `FAILED  ${name}\nexpected:\n${wanted}\ngot:\n${got}`);
}
console.log(`${CHECKS.length - failed} passed, ${failed} failed`);
process.exitCode = failed ? 1 : 0;
