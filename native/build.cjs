// The one build driver: plain CommonJS, since it runs before anything is compiled.
//   node native/build.cjs install        npm's install script: use a binary that loads, else compile
//   node native/build.cjs compile        configure and build what changed
//   node native/build.cjs rebuild [...]  from scratch; also stands for `node-gyp rebuild ...` (prebuildify, binding.gyp)
// Environment: VED_JOBS, VED_SKIP_BUILD=1, VED_WERROR=1, VED_SANITIZE=address,undefined, VED_CUDA=AUTO|ON|OFF
'use strict';
const { spawnSync } = require('node:child_process');
const fs = require('node:fs');
const path = require('node:path');

const root = path.join(__dirname, '..');
const env = process.env;
const NAME = 'vision-encoder-decoder';

function findCmakeJs() {
  try {
    return require.resolve('cmake-js/bin/cmake-js', { paths: [root] });
  } catch {
    return undefined;
  }
}

/** Removes products only: node-gyp keeps its own stamps in build/Release too. */
function removeProducts(dir) {
  for (const name of fs.existsSync(dir) ? fs.readdirSync(dir) : []) {
    if (/\.(node|so|dll|dylib)$/.test(name)) fs.rmSync(path.join(dir, name));
  }
}

function compile({ arch, debug, clean, quick } = {}) {
  const cmakeJs = findCmakeJs();
  if (!cmakeJs) {
    console.error(`${NAME}: cmake-js is not installed; cannot compile`);
    return 1;
  }
  const config = debug ? 'Debug' : 'Release';
  const work = path.join(root, 'build', 'cmake');
  const wipe = () => fs.rmSync(work, { recursive: true, force: true });
  if (clean) {
    wipe();
    removeProducts(path.join(root, 'build', config));
  }
  // Given each time, also when unset: CMake's cache would keep the last build's choice otherwise.
  const options = [
    `--CDVED_WERROR=${env.VED_WERROR === '1' ? 'ON' : 'OFF'}`,
    `--CDVED_SANITIZE=${env.VED_SANITIZE ?? ''}`,
    `--CDVED_CUDA=${env.VED_CUDA ?? (quick ? 'OFF' : 'AUTO')}`,
    `--CDVED_STATIC_STDCXX=${env.VED_STATIC_STDCXX === '1' ? 'ON' : 'OFF'}`,
  ];
  const step = (name) => {
    const args = [cmakeJs, name, '--directory', root, '--out', work, '--config', config];
    args.push('--parallel', env.VED_JOBS || '2', ...options, ...(arch ? ['--arch', arch] : []));
    return spawnSync(process.execPath, args, { stdio: 'inherit', cwd: root }).status ?? 1;
  };
  // `cmake-js compile` does not configure when a cache exists, so changed options would be ignored.
  if (step('configure')) {
    wipe(); // the folder may have been moved or copied: CMake refuses a cache made elsewhere
    if (step('configure')) return 1;
  }
  return step('build');
}

/** Whether a binary is there and loads; in a child, since a bad one must not take the installer down. */
function loads() {
  const { candidates } = require('./resolve.cjs');
  return candidates(root).some((file) => {
    if (!fs.existsSync(file)) return false;
    const child = spawnSync(process.execPath, ['-e', 'require(process.argv[1])', file], { stdio: 'ignore' });
    return child.status === 0;
  });
}

function install() {
  if (env.VED_SKIP_BUILD === '1') return 0;
  if (env.npm_config_build_from_source !== 'true' && loads()) return 0;
  console.error(`${NAME}: no usable prebuilt binary for ${process.platform}-${process.arch}, compiling with cmake-js`);
  const rc = compile();
  if (rc) console.error(`${NAME}: compile failed (it needs CMake >= 3.22 and a C++20 compiler)`);
  return rc;
}

const [command, ...argv] = process.argv.slice(2);
if (command === 'install') {
  process.exitCode = install();
} else if (command === 'rebuild' || command === 'compile') {
  const arch = argv.find((a) => a.startsWith('--arch='))?.slice('--arch='.length);
  // A developer's build leaves the CUDA library out, which takes minutes, unless VED_CUDA asks for it.
  const clean = command === 'rebuild';
  process.exitCode = compile({ arch, debug: argv.includes('--debug'), clean, quick: !clean });
} else {
  console.error('usage: build.cjs install|compile|rebuild [--arch=NAME] [--debug]');
  process.exitCode = 2;
}
