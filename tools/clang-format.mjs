// Formats C++ with the pinned clang-format of npm; with --check it only names the files that differ.
import { spawnSync } from 'node:child_process';
import { createRequire } from 'node:module';
import { existsSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import process from 'node:process';
import { fileURLToPath } from 'node:url';

const root = path.join(path.dirname(fileURLToPath(import.meta.url)), '..');
const check = process.argv.includes('--check');

function binary() {
  const os = { linux: 'linux_x64', darwin: process.arch === 'arm64' ? 'darwin_arm64' : 'darwin_x64', win32: 'win32' };
  const folder = path.dirname(createRequire(import.meta.url).resolve('clang-format/package.json'));
  const own = path.join(
    folder,
    'bin',
    os[process.platform] ?? '',
    process.platform === 'win32' ? 'clang-format.exe' : 'clang-format',
  );
  return existsSync(own) && !(process.platform === 'linux' && process.arch !== 'x64') ? own : undefined;
}

function sources(folder) {
  const dir = path.join(root, folder);
  if (!existsSync(dir)) return [];
  return readdirSync(dir, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && /\.(h|hpp|inc|cpp|cu|cuh)$/.test(entry.name))
    .map((entry) => path.join(entry.parentPath ?? entry.path, entry.name));
}

function formatted(tool, file) {
  const result = spawnSync(tool, ['--style=file', file], { encoding: 'utf8', maxBuffer: 64 << 20 });
  if (result.status !== 0) throw new Error(`clang-format ${file}: ${result.stderr}`);
  return result.stdout;
}

const tool = binary();
if (!tool) {
  console.log('skipped: clang-format from npm has no binary for this platform');
} else {
  const different = [];
  for (const file of ['native', 'test/native', 'benchmarks'].flatMap(sources)) {
    const text = formatted(tool, file);
    if (text === readFileSync(file, 'utf8')) continue;
    different.push(path.relative(root, file));
    if (!check) writeFileSync(file, text);
  }
  for (const file of different) console.log(`${check ? 'not formatted' : 'formatted'}: ${file}`);
  if (check && different.length) {
    console.log('run: npm run format');
    process.exitCode = 1;
  }
}
