// Where the .node file may be: the own build first, then prebuilds/<platform>-<arch>/.
// Shared by the install script (native/build.cjs) and the importer (ts/native/load.ts).
'use strict';
const fs = require('node:fs');
const path = require('node:path');

// glibc names its version in the process report; musl does not.
const isMusl = () => process.platform === 'linux' && !process.report?.getReport?.()?.header?.glibcVersionRuntime;

/** Every place looked in, best first. VED_NATIVE_PATH names a file and comes before all. */
function candidates(root) {
  const list = process.env.VED_NATIVE_PATH ? [path.resolve(process.env.VED_NATIVE_PATH)] : [];
  list.push(path.join(root, 'build', 'Release', 'ved.node'), path.join(root, 'build', 'Debug', 'ved.node'));
  const dir = path.join(root, 'prebuilds', `${process.platform}-${process.arch}`);
  list.push(path.join(dir, `node.napi.${isMusl() ? 'musl' : 'glibc'}.node`), path.join(dir, 'node.napi.node'));
  return list;
}

/**
 * Loads the first candidate that loads.
 * @returns {{ module?: unknown, file?: string, tried: { file: string, reason: string }[] }}
 */
function load(root) {
  const tried = [];
  for (const file of candidates(root)) {
    if (!fs.existsSync(file)) {
      tried.push({ file, reason: 'not found' });
      continue;
    }
    try {
      return { module: require(file), file, tried };
    } catch (error) {
      tried.push({ file, reason: error instanceof Error ? error.message : String(error) });
    }
  }
  return { tried };
}

module.exports = { candidates, load };
