// Tesseract 5: its command, one process per picture, and its library, one process for all of them.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, statSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import process from 'node:process';

const source = path.join(import.meta.dirname, 'tesseract_lines.cpp');

function run(command, args, options = {}) {
  const { status, stdout, stderr, error } = spawnSync(command, args, {
    encoding: 'utf8',
    maxBuffer: 2 ** 28,
    ...options,
  });
  if (error || status !== 0) throw new Error(`${command}: ${error?.message ?? stderr.trim().split('\n').at(-1)}`);
  return stdout;
}

export function versions() {
  try {
    const version = run('tesseract', ['--version']).split('\n')[0];
    const languages = run('tesseract', ['--list-langs']).trim().split('\n').slice(1);
    return { version, languages };
  } catch {
    return undefined;
  }
}

/** The data for a category: `Latin` (tesseract-ocr-script-latn) for Western European text where it is installed, else `eng`. */
export const languageFor = (category, languages) =>
  category === 'western' && languages.includes('Latin') ? 'Latin' : 'eng';

/** Compiles the program that uses the library; undefined where its headers or a compiler are missing. */
export function buildLibraryProgram(root) {
  const program = path.join(root, 'build', 'line-reader', 'tesseract_lines');
  mkdirSync(path.dirname(program), { recursive: true });
  if (existsSync(program) && statSync(program).mtimeMs > statSync(source).mtimeMs) return program;
  const args = ['-O2', '-std=c++17', source, '-o', program, '-ltesseract', '-llept'];
  const { status, error } = spawnSync(process.env.CXX ?? 'g++', args, { stdio: ['ignore', 'inherit', 'inherit'] });
  return error || status !== 0 ? undefined : program;
}

/** `threads`: OpenMP's limit, or 'all'. Tesseract is often faster with one. */
const environment = (threads) => ({
  ...process.env,
  ...(threads === 'all' ? {} : { OMP_THREAD_LIMIT: String(threads) }),
});

/** [{ read, ms, cpuMs }] of the library. */
export function withLibrary(program, files, language, threads) {
  const out = run(program, [language], { input: files.join('\n') + '\n', env: environment(threads) });
  return out
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line))
    .map(({ text, ms, cpuMs }) => ({ read: text, ms, cpuMs }));
}

/** The same of the command, the process and its loading included. */
export function withCommand(files, language, threads) {
  const script = 'TIMEFORMAT="%R %U %S"; time tesseract "$0" stdout --psm 7 -l "$1" 2>/dev/null';
  return files.map((file) => {
    const { stdout, stderr, status } = spawnSync('bash', ['-c', script, file, language], {
      encoding: 'utf8',
      env: { ...environment(threads), LC_ALL: 'C' },
    });
    if (status !== 0) throw new Error(`tesseract ${file}: exit code ${status}`);
    const [real, user, system] = stderr.trim().split('\n').at(-1).split(' ').map(Number);
    return { read: stdout, ms: real * 1000, cpuMs: (user + system) * 1000 };
  });
}

export const cpus = os.cpus().length;
