// Checks the arrows between the rooms (docs/architecture.md): which folder may include or import which.
//   node tools/check-layers.mjs [ROOT]
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import process from 'node:process';
import { fileURLToPath } from 'node:url';

// Each room lists what it may use besides itself.
const NATIVE = {
  core: [],
  spec: ['core'],
  image: ['core'],
  ops: ['core'],
  decode: ['ops', 'core'],
  plan: ['spec', 'ops', 'core'],
  engine: ['plan', 'decode', 'ops', 'spec', 'core'],
  addon: ['engine', 'image', 'plan', 'decode', 'ops', 'spec', 'core'],
};

// "x:type" allows `import type` alone: the shape of a thing, not its code.
const EVERYWHERE = ['errors', 'names', 'json'];
const LEAVES = ['files', 'image', 'generation', 'text', 'native'];
const TS = {
  errors: [],
  names: [],
  json: [],
  files: ['spec:type'],
  spec: ['files:type'],
  generation: ['native:type', 'text:type', 'spec:type'],
  text: ['files'],
  image: ['files', 'native'],
  native: ['spec:type', 'files:type', 'generation:type'],
  arch: ['spec', 'files'],
  model: ['arch', 'spec', ...LEAVES],
  pipeline: ['model', 'arch:type', ...LEAVES],
  cli: ['index', 'pipeline', 'model', 'arch', ...LEAVES],
  index: ['pipeline', 'model', 'arch', 'spec', ...LEAVES],
  esm: ['index'],
};

// A package or system header with one owner.
const NATIVE_OWNERS = [
  { pattern: /^(napi\.h|node_api\.h|js_native_api\.h|node\.h|uv\.h|v8.*\.h)$/, room: 'addon', folder: 'native/addon/' },
  { pattern: /^(cuda|cublas|nvrtc|cooperative_groups|mma\.h|nvml|nccl)/, room: 'ops', folder: 'native/ops/cuda/' },
];
const TS_OWNERS = [
  { pattern: /^sharp$/, folder: 'ts/image/' },
  { pattern: /^@huggingface\/tokenizers/, folder: 'ts/text/' },
  { pattern: /^@huggingface\/hub/, folder: 'ts/files/' },
  { pattern: /resolve\.cjs$/, folder: 'ts/native/' },
];

function listFiles(dir, extensions) {
  if (!existsSync(dir)) return [];
  return readdirSync(dir, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && extensions.test(entry.name))
    .map((entry) => path.join(entry.parentPath ?? entry.path, entry.name))
    .sort();
}

const slashed = (file) => file.split(path.sep).join('/');
const lineOf = (text, index) => text.slice(0, index).split('\n').length;

/** Blanks comments, keeping the line count: an import named in a comment is not one. */
function withoutComments(text) {
  const blank = (s) => s.replace(/[^\n]/g, ' ');
  return text.replace(/\/\*[\s\S]*?\*\//g, blank).replace(/^\s*\/\/.*$/gm, blank);
}

function nativeIncludes(text) {
  const found = [];
  for (const match of text.matchAll(/^[ \t]*#[ \t]*include[ \t]*([<"])([^>"\n]+)[>"]/gm)) {
    found.push({ name: match[2], system: match[1] === '<', line: lineOf(text, match.index) });
  }
  return found;
}

function checkNative(root) {
  const base = path.join(root, 'native');
  const problems = [];
  for (const file of listFiles(base, /\.(h|hpp|inc|cpp|cc|cu|cuh)$/)) {
    const name = slashed(path.relative(root, file));
    const room = name.split('/')[1];
    if (!(room in NATIVE)) {
      problems.push(`${name}: '${room}' is not a room of native/ (tools/check-layers.mjs lists them)`);
      continue;
    }
    for (const include of nativeIncludes(withoutComments(readFileSync(file, 'utf8')))) {
      const at = `${name}:${include.line}`;
      const owner = NATIVE_OWNERS.find(
        (o) => o.pattern.test(include.name) && !existsSync(path.join(base, include.name)),
      );
      if (owner && !name.startsWith(owner.folder)) {
        problems.push(`${at}: <${include.name}> belongs to ${owner.folder} alone`);
      }
      if (include.system || owner) continue;
      const near = path.join(path.dirname(file), include.name);
      const target = existsSync(near) ? near : path.join(base, include.name);
      const targetRoom = slashed(path.relative(base, target)).split('/')[0];
      if (targetRoom !== room && !NATIVE[room].includes(targetRoom)) {
        problems.push(`${at}: ${room} must not use ${targetRoom} ("${include.name}")`);
      }
    }
  }
  return problems;
}

function tsImports(text) {
  const found = [];
  const add = (match, name, typeOnly) => found.push({ name, typeOnly, line: lineOf(text, match.index) });
  for (const m of text.matchAll(/^[ \t]*(?:import|export)\s+(type\s+)?([^'"`;]*?\sfrom\s+)?['"]([^'"\n]+)['"]/gm)) {
    add(m, m[3], Boolean(m[1]) || onlyTypesInBraces(m[2]));
  }
  for (const m of text.matchAll(/\b(?:require|import)\s*\(\s*['"]([^'"\n]+)['"]\s*\)/g)) {
    // `import('./x').Name` in a type position is only a type; `await import()` and require() are code.
    const awaited = /await\s*$/.test(text.slice(0, m.index));
    add(m, m[1], m[0].startsWith('import') && !awaited && /^\s*\.[A-Z]/.test(text.slice(m.index + m[0].length)));
  }
  return found;
}

function onlyTypesInBraces(clause) {
  const inner = clause && /^\{([\s\S]*)\}\s*from\s+$/.exec(clause.trimStart())?.[1];
  const names = inner
    ?.split(',')
    .map((part) => part.trim())
    .filter(Boolean);
  return Boolean(names?.length) && names.every((part) => part.startsWith('type '));
}

const tsRoom = (relative) => relative.split('/')[0].replace(/(\.d)?\.[cm]?[jt]s$/, '');

function checkTs(root) {
  const base = path.join(root, 'ts');
  const problems = [];
  for (const file of listFiles(base, /\.[cm]?ts$/)) {
    const relative = slashed(path.relative(base, file));
    const name = `ts/${relative}`;
    const room = tsRoom(relative);
    if (!(room in TS)) {
      problems.push(`${name}: '${room}' is not a room of ts/ (tools/check-layers.mjs lists them)`);
      continue;
    }
    for (const found of tsImports(withoutComments(readFileSync(file, 'utf8')))) {
      const at = `${name}:${found.line}`;
      const owner = TS_OWNERS.find((o) => o.pattern.test(found.name));
      if (owner && !name.startsWith(owner.folder))
        problems.push(`${at}: '${found.name}' belongs to ${owner.folder} alone`);
      if (owner || !found.name.startsWith('.')) continue;
      const target = slashed(path.relative(base, path.resolve(path.dirname(file), found.name)));
      if (target.startsWith('../')) {
        if (!target.endsWith('package.json')) problems.push(`${at}: '${found.name}' lies outside ts/`);
        continue;
      }
      const to = target === '' ? 'index' : tsRoom(target);
      const allowed = to === room || EVERYWHERE.includes(to) || TS[room].includes(to);
      if (allowed || (found.typeOnly && TS[room].includes(`${to}:type`))) continue;
      const how = TS[room].includes(`${to}:type`) ? 'use more than types of' : 'use';
      problems.push(`${at}: ${room} must not ${how} ${to} ('${found.name}')`);
    }
  }
  return problems;
}

/** Every violation below `root`, as "file:line: what is wrong". */
export function checkLayers(root) {
  return [...checkNative(root), ...checkTs(root)];
}

if (process.argv[1] && path.resolve(process.argv[1]) === fileURLToPath(import.meta.url)) {
  const root = path.resolve(process.argv[2] ?? path.join(path.dirname(fileURLToPath(import.meta.url)), '..'));
  const problems = checkLayers(root);
  for (const problem of problems) console.log(problem);
  console.log(problems.length ? `check-layers: ${problems.length} violations` : 'check-layers: every arrow holds');
  process.exitCode = problems.length ? 1 : 0;
}
