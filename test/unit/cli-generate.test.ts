import test from 'ava';
import * as fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import { Writable } from 'node:stream';
import { run } from '../../ts/cli/run';
import { ImageError, OptionError, WeightsError } from '../../ts/errors';
import type { ImageToTextPipeline, pipeline, ReadOptions, ReadOutcome } from '../../ts/pipeline';

type Settled = (images: unknown[], options: ReadOptions) => Promise<ReadOutcome[]>;

interface Calls {
  source?: string | undefined;
  load?: Record<string, unknown>;
  batches: unknown[][];
  options: ReadOptions[];
  disposed: number;
}

const outcomeOf = (image: unknown): ReadOutcome => {
  const name = image instanceof Uint8Array ? `bytes ${image.length}` : path.basename(String(image));
  if (name.startsWith('bad'))
    return { error: new ImageError('IMAGE_DECODE_FAILED', `image ${name}: expected a picture`) };
  return { results: [{ generatedText: `text of ${name}`, confidence: 0.5, tokens: [] }] };
};

/** A pipeline that reads names, and what it was asked. */
function fake(settled: Settled = async (images) => images.map(outcomeOf)) {
  const calls: Calls = { batches: [], options: [], disposed: 0 };
  const read = {
    settled(images: unknown[], options: ReadOptions) {
      calls.batches.push(images);
      calls.options.push(options);
      return settled(images, options);
    },
    async *stream(image: unknown, options: ReadOptions) {
      calls.options.push(options);
      const outcome = outcomeOf(image);
      if ('error' in outcome) throw outcome.error;
      yield { text: 'te', row: 0, done: false };
      yield { text: 'xt', row: 0, done: true };
    },
    dispose: async () => void (calls.disposed += 1),
  };
  const open = (async (_task: string, source: string | undefined, load: Record<string, unknown>) => {
    calls.source = source;
    calls.load = load;
    return read as unknown as ImageToTextPipeline;
  }) as typeof pipeline;
  return { open, calls };
}

class Sink extends Writable {
  text = '';
  isTTY = false;
  override _write(chunk: Buffer, _encoding: string, done: (error?: Error | null) => void): void {
    this.text += chunk.toString();
    done();
  }
}

class BrokenPipe extends Sink {
  override _write(_chunk: Buffer, _encoding: string, done: (error?: Error | null) => void): void {
    done(Object.assign(new Error('write EPIPE'), { code: 'EPIPE' }));
  }
}

async function ved(
  args: string[],
  open?: typeof pipeline,
  io: { signal?: AbortSignal; stdin?: Uint8Array[]; stdout?: Sink; env?: object; tty?: boolean } = {},
) {
  const stdout = io.stdout ?? new Sink();
  const stderr = new Sink();
  stderr.isTTY = io.tty === true;
  async function* stdin() {
    yield* io.stdin ?? [];
  }
  const code = await run(args, {
    stdout,
    stderr,
    stdin: stdin(),
    env: { ...io.env },
    ...(io.signal && { signal: io.signal }),
    ...(open && { pipeline: open }),
  });
  return { code, out: stdout.text, err: stderr.text };
}

test('one image: its text alone, with the bundled model', async (t) => {
  const { open, calls } = fake();
  t.deepEqual(await ved(['generate', 'a.png'], open), { code: 0, out: 'text of a.png\n', err: '' });
  t.is(calls.source, undefined);
  t.is(calls.disposed, 1);
});

test('several images run in batches; one that fails is named and the others print', async (t) => {
  const { open, calls } = fake();
  const { code, out, err } = await ved(['generate', 'a.png', 'bad.png', 'c.png', '--batch', '2', '--model', 'm'], open);
  t.is(code, 1);
  t.is(out, 'a.png\ttext of a.png\nc.png\ttext of c.png\n');
  t.is(err, 'ved: bad.png: image bad.png: expected a picture (IMAGE_DECODE_FAILED)\n');
  t.deepEqual(calls.batches, [['a.png', 'bad.png'], ['c.png']]);
  t.is(calls.source, 'm');
});

test('--json: one object per line, failures included', async (t) => {
  const { out } = await ved(['generate', 'a.png', 'bad.png', '--json'], fake().open);
  const [first, second] = out
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line));
  t.deepEqual(first, { image: 'a.png', results: [{ generatedText: 'text of a.png', confidence: 0.5, tokens: [] }] });
  t.deepEqual(second, {
    image: 'bad.png',
    error: { code: 'IMAGE_DECODE_FAILED', message: 'image bad.png: expected a picture' },
  });
});

test('--prompt, --post-process, --grayscale and --stop-on-repetition; an object is printed as JSON', async (t) => {
  const { open, calls } = fake(async (images) =>
    images.map(() => ({ results: [{ generatedText: '<s_a>1', confidence: 1, tokens: [], json: { a: '1' } }] })),
  );
  const flags = ['--prompt', '<s_task>', '--post-process', 'token2json', '--grayscale', '--stop-on-repetition'];
  t.is((await ved(['generate', 'a.png', ...flags], open)).out, '{"a":"1"}\n');
  const { signal: _, ...options } = calls.options[0]!;
  t.deepEqual(options, { prompt: '<s_task>', postProcess: 'token2json', grayscale: true, stopOnRepetition: true });
});

test('a batch that fails as a whole is tried image by image', async (t) => {
  const { open, calls } = fake(async (images) => {
    if (images.length > 1 || images[0] === 'big.png') throw new ImageError('IMAGE_SIZE_MISMATCH', 'sizes differ');
    return images.map(outcomeOf);
  });
  const { code, out, err } = await ved(['generate', 'a.png', 'big.png', 'c.png'], open);
  t.is(code, 1);
  t.is(out, 'a.png\ttext of a.png\nc.png\ttext of c.png\n');
  t.is(err, 'ved: big.png: sizes differ (IMAGE_SIZE_MISMATCH)\n');
  t.is(calls.batches.length, 4);
});

test('a folder stands for its image files, sorted, without subfolders; an empty one is a failure of its own', async (t) => {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'ved-cli-'));
  t.teardown(() => fs.rmSync(folder, { recursive: true, force: true }));
  for (const name of ['b.PNG', 'a.jpg', 'notes.txt', 'c.webp']) fs.writeFileSync(path.join(folder, name), '');
  fs.mkdirSync(path.join(folder, 'sub.png'));
  const { open, calls } = fake();
  const { code, err } = await ved(['generate', folder, path.join(folder, 'sub.png')], open);
  t.deepEqual(calls.batches, [['a.jpg', 'b.PNG', 'c.webp'].map((name) => path.join(folder, name))]);
  t.is(code, 1);
  t.regex(err, /sub\.png: expected image files .* \(NO_IMAGES\)/);
});

test('- is the encoded bytes on standard input', async (t) => {
  const { open } = fake();
  const { out } = await ved(['generate', '-'], open, { stdin: [Buffer.from('ab'), Buffer.from('c')] });
  t.is(out, 'text of bytes 3\n');
});

test('every generation option has a flag with its value parsed', async (t) => {
  const { open, calls } = fake();
  const args = [
    '--num-beams',
    '4',
    '--do-sample',
    '--no-renormalize-logits',
    '--length-penalty=-0.5',
    '--early-stopping',
    'never',
  ];
  const lists = [
    '--suppress-tokens',
    '[1,2]',
    '--sequence-bias',
    '[[[1],-2]]',
    '--stop-strings',
    '7',
    '--max-time',
    'null',
    '--seed',
    '3',
  ];
  const { code, err } = await ved(['generate', 'a.png', ...args, ...lists, '--prompt', '<s>'], open);
  t.is(code, 0, err);
  const { signal, ...options } = calls.options[0]!;
  t.true(signal instanceof AbortSignal);
  t.deepEqual(options, {
    numBeams: 4,
    doSample: true,
    renormalizeLogits: false,
    lengthPenalty: -0.5,
    earlyStopping: 'never',
    suppressTokens: [1, 2],
    sequenceBias: [[[1], -2]],
    stopStrings: '7',
    maxTime: null,
    seed: 3,
    prompt: '<s>',
  });
});

test('load options reach the pipeline', async (t) => {
  const { open, calls } = fake();
  await ved(
    [
      'generate',
      'a.png',
      '--device',
      'cpu',
      '--threads',
      '2',
      '--max-batch',
      '8',
      '--revision',
      'r',
      '--local-files-only',
    ],
    open,
  );
  const { onProgress: _, signal: __, ...load } = calls.load!;
  t.deepEqual(load, { revision: 'r', localFilesOnly: true, device: 'cpu', threads: 2, maxBatch: 8 });
});

for (const [args, message] of [
  [['generate'], /expected at least one IMAGE, got none/],
  [['generate', 'a.png', '--num_beams', '3'], /got '--num_beams'; did you mean '--num-beams'\?/],
  [['generate', 'a.png', '--max-tokens', '3'], /did you mean '--max-new-tokens'\?/],
  [['generate', 'a.png', '--batch', '0'], /--batch: expected a positive integer, got '0'/],
  [['generate', 'a.png', '--model'], /--model/],
  [['generate', 'a.png', '--stream', '--num-return-sequences', '2'], /expected 1 with --stream, got 2/],
  [['paint'], /expected a command \(generate, info, devices\), got 'paint'/],
] as const) {
  test(`wrong usage is exit code 2: ved ${args.join(' ')}`, async (t) => {
    const { code, out, err } = await ved([...args], fake().open);
    t.is(code, 2);
    t.is(out, '');
    t.regex(err, message);
    t.regex(err, /^ved: .* \(USAGE\)\n$/);
  });
}

test('an option the model refuses is wrong usage and stops everything', async (t) => {
  const { open, calls } = fake(async () => {
    throw new OptionError('OPTION_OUT_OF_RANGE', 'numBeams: expected an integer >= 1, got 0');
  });
  const { code, err } = await ved(['generate', 'a.png', 'b.png', '--num-beams', '0', '--batch', '1'], open);
  t.is(code, 2);
  t.is(err, 'ved: numBeams: expected an integer >= 1, got 0 (OPTION_OUT_OF_RANGE)\n');
  t.is(calls.batches.length, 1);
  t.is(calls.disposed, 1);
});

test('a model that does not load is exit code 3; VED_DEBUG adds the stack', async (t) => {
  const open = (async () => {
    throw new WeightsError('MISSING_TENSOR', 'expected x, got nothing');
  }) as typeof pipeline;
  t.deepEqual(await ved(['generate', 'a.png'], open), {
    code: 3,
    out: '',
    err: 'ved: expected x, got nothing (MISSING_TENSOR)\n',
  });
  const { err } = await ved(['generate', 'a.png'], open, { env: { VED_DEBUG: '1' } });
  t.regex(err, /\n\s+at /);
});

test('an interrupt is exit code 130 and prints no more', async (t) => {
  const interrupt = new AbortController();
  const { open, calls } = fake(async (images, { signal }) => {
    interrupt.abort();
    if (signal?.aborted) throw signal.reason;
    return images.map(outcomeOf);
  });
  const result = await ved(['generate', 'a.png', 'b.png'], open, { signal: interrupt.signal });
  t.deepEqual(result, { code: 130, out: '', err: '' });
  t.is(calls.disposed, 1);
});

test('an interrupt does not wait for the end of standard input', async (t) => {
  const interrupt = new AbortController();
  const [stdout, stderr] = [new Sink(), new Sink()];
  async function* silent(): AsyncGenerator<Uint8Array> {
    setTimeout(() => interrupt.abort(), 10);
    yield await new Promise<Uint8Array>(() => undefined);
  }
  const io = { stdout, stderr, stdin: silent(), signal: interrupt.signal, pipeline: fake().open };
  t.is(await run(['generate', '-'], io), 130);
});

test('a broken pipe ends quietly', async (t) => {
  const { open, calls } = fake();
  const result = await ved(['generate', 'a.png', 'b.png', 'c.png', '--batch', '1'], open, { stdout: new BrokenPipe() });
  t.deepEqual(result, { code: 0, out: '', err: '' });
  t.is(calls.batches.length, 1);
  t.is(calls.disposed, 1);
});

test('--stream writes pieces; with several images each line begins with its name', async (t) => {
  t.is((await ved(['generate', 'a.png', '--stream'], fake().open)).out, 'text\n');
  const several = await ved(['generate', 'a.png', 'bad.png', 'c.png', '--stream'], fake().open);
  t.is(several.out, 'a.png\ttext\nc.png\ttext\n');
  t.is(several.code, 1);
  const json = await ved(['generate', 'a.png', '--stream', '--json'], fake().open);
  t.deepEqual(JSON.parse(json.out.split('\n')[1]!), { image: 'a.png', row: 0, text: 'xt', done: true });
});

test('progress shows on a terminal only and leaves a clean line', async (t) => {
  const args = ['generate', 'a.png', 'b.png', '--batch', '1'];
  t.is((await ved(args, fake().open)).err, '');
  const { err } = await ved(args, fake().open, { tty: true });
  t.true(err.includes('1/2 images'));
  t.true(err.endsWith('\r\x1b[K'));
});
