import test from 'ava';
import { execFileSync } from 'node:child_process';
import * as fs from 'node:fs';
import * as path from 'node:path';
import { pathToFileURL } from 'node:url';

const dist = path.join(__dirname, '..', '..', 'dist');

// In a plain Node process: the question is what Node itself finds, without the TypeScript loader of the tests.
function names(script: string): string[] {
  const out = execFileSync(process.execPath, ['--input-type=module', '-e', script], { encoding: 'utf8' });
  return JSON.parse(out) as string[];
}

test('import and require give the same names, and the same objects', (t) => {
  if (!fs.existsSync(path.join(dist, 'esm.mjs'))) {
    t.fail('dist/ is missing: run npm run build:ts');
    return;
  }
  const esm = JSON.stringify(pathToFileURL(path.join(dist, 'esm.mjs')).href);
  const cjs = JSON.stringify(path.join(dist, 'index.js'));
  const load = `import { createRequire } from 'node:module'; import * as esm from ${esm};
    const cjs = createRequire(${esm})(${cjs});`;
  const print = (list: string): string => `process.stdout.write(JSON.stringify(${list}.sort()))`;
  const fromCjs = names(`${load} ${print("Object.keys(cjs).filter((k) => k !== 'default')")}`);
  t.true(fromCjs.length > 0);
  // Node adds these names to a CommonJS module that it imports; `export *` passes them on.
  const fromEsm = names(`${load} ${print('Object.keys(esm)')}`).filter(
    (k) => k !== 'module.exports' && k !== '__esModule',
  );
  t.deepEqual(fromEsm, fromCjs);
  t.deepEqual(names(`${load} ${print('Object.keys(cjs).filter((k) => esm[k] !== cjs[k])')}`), []);
});
