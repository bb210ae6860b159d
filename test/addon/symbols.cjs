// The binary may use Node-API version 8 only, so that it loads in every Node, Electron and Bun that has it, and no
// external buffers, which some of them refuse. Linux: reads the dynamic symbols with nm.
'use strict';
const { spawnSync } = require('node:child_process');
const path = require('node:path');
const headers = require('node-api-headers');

const root = path.join(__dirname, '..', '..');
const binary = process.env.VED_NATIVE_PATH ?? path.join(root, 'build', 'Release', 'ved.node');

function undefinedSymbols() {
  const nm = spawnSync('nm', ['-D', '--undefined-only', binary], { encoding: 'utf8' });
  if (nm.error) return null;
  if (nm.status !== 0) throw new Error(nm.stderr);
  return nm.stdout
    .split('\n')
    .map((line) => line.trim().split(/\s+/).pop().split('@')[0])
    .filter(Boolean);
}

function problems(symbols) {
  const { js_native_api_symbols: js, node_api_symbols: node } = headers.symbols.v8;
  const allowed = new Set([...js, ...node]);
  const used = symbols.filter((name) => /^(napi_|node_api_)/.test(name));
  const found = used.filter((name) => !allowed.has(name)).map((name) => `${name} is not in Node-API version 8`);
  for (const name of used.filter((s) => /_create_external_/.test(s)))
    found.push(`${name}: external buffers are refused by some hosts`);
  for (const name of symbols.filter((s) => /^(_ZN2v8|_ZN4node|_ZNK2v8|uv_)/.test(s)))
    found.push(`${name} is not Node-API`);
  if (used.length === 0) found.push('expected Node-API symbols, got none');
  return found;
}

function main() {
  const symbols = process.platform === 'linux' ? undefinedSymbols() : null;
  if (!symbols) {
    console.log('skipped: symbols (needs Linux and nm)\n0 passed, 0 failed, 1 skipped');
    return;
  }
  const found = problems(symbols);
  for (const problem of found) console.log(`not ok ${problem}`);
  if (!found.length) console.log('ok only Node-API version 8 symbols');
  console.log(`${found.length ? 0 : 1} passed, ${found.length} failed`);
  process.exitCode = found.length ? 1 : 0;
}

main();
