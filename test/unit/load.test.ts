import test from 'ava';
import { execFileSync } from 'node:child_process';
import * as fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';

const root = path.join(__dirname, '..', '..');

// A package folder of its own, so that the result does not hang on what is built here; in a child, since a
// native library once loaded stays.
function loadIn(files: Record<string, string>, env: Record<string, string> = {}): string {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'ved-load-'));
  try {
    for (const name of ['ts/native/load.ts', 'ts/errors.ts', 'native/resolve.cjs']) {
      fs.mkdirSync(path.dirname(path.join(folder, name)), { recursive: true });
      fs.copyFileSync(path.join(root, name), path.join(folder, name));
    }
    for (const [name, text] of Object.entries(files)) {
      fs.mkdirSync(path.dirname(path.join(folder, name)), { recursive: true });
      fs.writeFileSync(path.join(folder, name), text);
    }
    const script = `
      const { loadNative } = require(${JSON.stringify(path.join(folder, 'ts/native/load.ts'))});
      try { console.log('loaded', loadNative().name, loadNative() === loadNative()); }
      catch (e) { console.log(e.name, e.code, e.message); }`;
    const args = ['--require', 'tsx/cjs', '-e', script];
    const base = { ...process.env, ...env };
    if (!('VED_NATIVE_PATH' in env)) delete base['VED_NATIVE_PATH'];
    return execFileSync(process.execPath, args, { cwd: root, encoding: 'utf8', env: base });
  } finally {
    fs.rmSync(folder, { recursive: true, force: true });
  }
}

test('no binary: every place looked in is named, with the commands to run', (t) => {
  const out = loadIn({});
  t.true(out.startsWith('DeviceError NATIVE_LOAD_FAILED expected a native library for '), out);
  for (const place of [path.join('build', 'Release', 'ved.node'), path.join('build', 'Debug', 'ved.node')]) {
    t.true(out.includes(`${place}: not found`), out);
  }
  t.true(out.includes(path.join('prebuilds', `${process.platform}-${process.arch}`, 'node.napi.node')), out);
  t.true(out.includes('npm rebuild vision-encoder-decoder'), out);
  t.true(out.includes('npm run build:native'), out);
});

test('a binary that does not load gives its reason', (t) => {
  const out = loadIn({ 'build/Release/ved.node': 'not a library' });
  t.regex(out, /NATIVE_LOAD_FAILED/);
  t.notRegex(out, /Release.ved\.node: not found/);
  t.regex(out, /Release.ved\.node: .+/);
});

test('VED_NATIVE_PATH comes first', (t) => {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'ved-native-path-'));
  try {
    const file = path.join(folder, 'stand-in.cjs');
    fs.writeFileSync(file, "module.exports = { name: 'stand-in' };\n");
    t.is(
      loadIn({ 'build/Release/ved.node': 'not a library' }, { VED_NATIVE_PATH: file }).trim(),
      'loaded stand-in true',
    );
  } finally {
    fs.rmSync(folder, { recursive: true, force: true });
  }
});

test('from dist/ the same root is found', (t) => {
  const resolve = path.join(root, 'native', 'resolve.cjs');
  t.is(path.resolve(root, 'dist', 'native', '../../native/resolve.cjs'), resolve);
  t.is(path.resolve(root, 'ts', 'native', '../../native/resolve.cjs'), resolve);
});
