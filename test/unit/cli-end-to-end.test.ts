// The command line with the bundled model: what it reads is checked by examples/run-all.mjs, here only how it is told.
import test from 'ava';
import { spawn } from 'node:child_process';
import * as path from 'node:path';

const root = path.join(__dirname, '..', '..');
const main = path.join(root, 'ts', 'cli', 'main.ts');
const image = path.join(root, 'test', 'golden', 'images', 'landscape.png');
const node = [process.execPath, '--import=tsx', main] as const;
// A signal that comes before main.ts listens must not end the process.
const listening = `data:text/javascript,process.on('SIGINT',()=>{});process.stderr.write('ready')`;

interface Ended {
  code: number | null;
  out: string;
  err: string;
}

function ved(args: string[], during?: (child: ReturnType<typeof spawn>) => void, preload?: string): Promise<Ended> {
  const first = preload === undefined ? [] : [`--import=${preload}`];
  const child = spawn(node[0], [...first, ...node.slice(1), ...args], { cwd: root });
  const ended: Ended = { code: null, out: '', err: '' };
  child.stdout.on('data', (chunk) => (ended.out += String(chunk)));
  child.stderr.on('data', (chunk) => (ended.err += String(chunk)));
  during?.(child);
  return new Promise((resolve) => child.on('close', (code) => resolve({ ...ended, code })));
}

test('a good image and a missing one', async (t) => {
  const { code, out, err } = await ved(['generate', image, 'missing.png', '--json', '--max-new-tokens', '4']);
  t.is(code, 1, err);
  t.regex(err, /^ved: missing\.png: .* \(IMAGE_READ_FAILED\)\n$/);
  const [first, second] = out
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line));
  t.is(first.image, image);
  t.true(first.results[0].confidence > 0 && first.results[0].confidence <= 1);
  t.true(first.results[0].tokens.length <= 4);
  t.is(second.error.code, 'IMAGE_READ_FAILED');
});

test('--stream gives the same text', async (t) => {
  const [plain, streamed] = await Promise.all([ved(['generate', image]), ved(['generate', image, '--stream'])]);
  t.is(plain.code, 0, plain.err);
  t.is(streamed.out, plain.out);
});

test('a value the model refuses, and a model that is none', async (t) => {
  const [beams, model] = await Promise.all([
    ved(['generate', image, '--num-beams', '0']),
    ved(['generate', image, '--model', path.join(root, 'docs')]),
  ]);
  t.is(beams.code, 2, beams.err);
  t.regex(beams.err, /numBeams/);
  t.is(model.code, 3, model.err);
  t.is(beams.out + model.out, '');
});

const posix = process.platform === 'win32' ? test.skip : test;

posix('SIGINT while waiting for standard input', async (t) => {
  let timer: NodeJS.Timeout | undefined;
  const interrupt = (child: ReturnType<typeof spawn>) => {
    child.stderr?.once('data', () => (timer = setInterval(() => child.kill('SIGINT'), 300)));
  };
  const ended = await ved(['generate', '-'], interrupt, listening);
  clearInterval(timer);
  t.deepEqual(ended, { code: 130, out: '', err: 'ready' });
});

posix('a reader that goes away', async (t) => {
  const { code, err } = await ved(['generate', image, image, '--batch', '1'], (child) => child.stdout?.destroy());
  t.deepEqual({ code, err }, { code: 0, err: '' });
});
