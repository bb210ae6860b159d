import test from 'ava';
import { spawnSync } from 'node:child_process';
import * as fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import { Writable } from 'node:stream';
import type { ModelInfo } from '../../ts/cli/info';
import { run } from '../../ts/cli/run';

const root = path.join(__dirname, '..', '..');
const golden = (name: string) => path.join(root, 'test', 'golden', 'models', name);

class Sink extends Writable {
  text = '';
  override _write(chunk: Buffer, _encoding: string, done: () => void): void {
    this.text += chunk.toString();
    done();
  }
}

async function ved(...args: string[]) {
  const [stdout, stderr] = [new Sink(), new Sink()];
  const code = await run(args, { stdout, stderr, stdin: (async function* () {})() });
  return { code, out: stdout.text, err: stderr.text };
}

async function info(folder: string): Promise<ModelInfo> {
  const { code, out, err } = await ved('info', folder, '--json');
  if (code !== 0) throw new Error(err);
  return JSON.parse(out) as ModelInfo;
}

const CASES = [
  'vit-gpt2',
  'vit-gpt2-bin',
  'vit-gpt2-sharded',
  'vit-gpt2-v4',
  'vit-gpt2-untied',
  'deit-trocr',
  'deit-trocr-bf16',
  'deit-trocr-f16',
].concat(['vit-trocr-rectangular', 'vit-trocr-sinusoidal']);

for (const name of CASES) {
  test(`info: ${name} is supported`, async (t) => {
    const model = await info(golden(name));
    t.true(model.supported, JSON.stringify(model.reason));
    t.is(model.encoder.modelType, name.split('-')[0]!);
    t.is(model.decoder.modelType, name.split('-')[1]!);
    for (const part of [model.encoder, model.decoder])
      t.true(part.hiddenSize! > 0 && part.layers! > 0 && part.heads! > 0);
    t.true(model.weights!.parameters > 0 && model.weights!.bytes > 0);
  });
}

test('info: formats, element types and shards of the same model', async (t) => {
  const [plain, bin, sharded, half] = await Promise.all(
    ['vit-gpt2', 'vit-gpt2-bin', 'vit-gpt2-sharded', 'deit-trocr-f16'].map((name) => info(golden(name))),
  );
  t.is(bin!.weights!.format, 'torch');
  t.is(plain!.weights!.format, 'safetensors');
  t.is(sharded!.weights!.files.length, 3);
  t.is(bin!.weights!.parameters, plain!.weights!.parameters);
  t.is(sharded!.weights!.parameters, plain!.weights!.parameters);
  t.deepEqual(half!.weights!.dtypes, ['F16']);
  t.deepEqual(
    [plain!.encoder.imageSize, plain!.encoder.patchSize, plain!.decoder.vocabSize, plain!.decoder.positions],
    [20, 5, 53, 23],
  );
});

function copyWith(
  t: { teardown(fn: () => void): void },
  change: (config: Record<string, Record<string, unknown>>) => void,
): string {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'ved-info-'));
  t.teardown(() => fs.rmSync(folder, { recursive: true, force: true }));
  const config = JSON.parse(fs.readFileSync(path.join(golden('vit-gpt2'), 'config.json'), 'utf8'));
  change(config);
  fs.writeFileSync(path.join(folder, 'config.json'), JSON.stringify(config));
  fs.copyFileSync(path.join(golden('vit-gpt2'), 'model.safetensors'), path.join(folder, 'model.safetensors'));
  fs.writeFileSync(path.join(folder, 'tokenizer.json'), '{}');
  fs.writeFileSync(path.join(folder, 'preprocessor_config.json'), '{}');
  return folder;
}

test('info: an unsupported architecture is described, with the reason', async (t) => {
  const folder = copyWith(t, (config) => (config['encoder']!['model_type'] = 'levit'));
  const model = await info(folder);
  t.false(model.supported);
  t.is(model.reason?.code, 'UNSUPPORTED_ARCHITECTURE');
  t.is(model.encoder.modelType, 'levit');
  t.is(model.encoder.hiddenSize, 26);
  t.deepEqual([model.tokenizer, model.imageProcessor], [['tokenizer.json'], ['preprocessor_config.json']]);
  const text = await ved('info', folder);
  t.is(text.code, 0);
  t.regex(text.out, /supported {3}no: .*"levit" \(UNSUPPORTED_ARCHITECTURE\); loaded are encoders vit, deit/);
});

test('info: weights that do not fit the config are the reason', async (t) => {
  const model = await info(copyWith(t, (config) => (config['decoder']!['n_layer'] = 3)));
  t.false(model.supported);
  t.is(model.reason?.code, 'MISSING_TENSOR');
});

test('info: a config without weights', async (t) => {
  const folder = copyWith(t, () => undefined);
  fs.rmSync(path.join(folder, 'model.safetensors'));
  const model = await info(folder);
  t.is(model.weights, null);
  t.true(model.supported);
});

test('info: what cannot be read is exit code 3, wrong usage 2', async (t) => {
  t.is((await ved('info', path.join(root, 'no', 'such', 'folder'))).code, 3);
  t.is((await ved('info')).code, 2);
  t.is((await ved('info', 'a', 'b')).code, 2);
});

test('devices: the processor, and what is with CUDA', async (t) => {
  const { code, out } = await ved('devices', '--json');
  t.is(code, 0);
  const { cpu, cuda } = JSON.parse(out);
  t.true(cpu.isas.includes('scalar') && cpu.isas.includes(cpu.best.replace('+amx', '')) && cpu.hardwareThreads > 0);
  t.is(typeof cuda.available, 'boolean');
  t.is(cuda.available, cuda.reason === '');
  t.is(cuda.devices.length > 0, cuda.available);
  t.is(typeof cuda.cublas.library, 'string');
  t.true(!cuda.available || (cuda.cublas.library === '') === (cuda.cublas.reason !== ''));
  t.is((await ved('devices', 'x')).code, 2);
});

test('help and version', async (t) => {
  for (const args of [['--help'], ['help'], ['generate', '--help'], ['help', 'info'], ['devices', '-h']]) {
    const { code, out, err } = await ved(...args);
    t.deepEqual([code, err], [0, '']);
    t.regex(out, /^Usage: ved /);
  }
  const { version } = JSON.parse(fs.readFileSync(path.join(root, 'package.json'), 'utf8'));
  t.is((await ved('--version')).out, `${version}\n`);
  t.is((await ved()).code, 2);
});

test('the program itself: streams and exit code', (t) => {
  const main = path.join(root, 'ts', 'cli', 'main.ts');
  const start = (...args: string[]) =>
    spawnSync(process.execPath, ['--import=tsx', main, ...args], { cwd: root, encoding: 'utf8' });
  const good = start('info', golden('vit-gpt2'));
  t.is(good.status, 0, good.stderr);
  t.regex(good.stdout, /supported {3}yes/);
  const bad = start('generate');
  t.is(bad.status, 2);
  t.is(bad.stdout, '');
  t.regex(bad.stderr, /^ved: generate: expected at least one IMAGE/);
});
