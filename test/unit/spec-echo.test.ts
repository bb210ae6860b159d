/** The twins ts/spec and native/spec describe the same model: what one writes, the other reads and gives back. */
import test from 'ava';
import { join } from 'node:path';
import { buildModelSpec, VisionEncoderDecoderConfig } from '../../ts/arch/vision-encoder-decoder';
import { openRepository } from '../../ts/files/repository';
import { loadNative } from '../../ts/native/load';
import type { ModelSpec } from '../../ts/spec/model-spec';
import { cases, GOLDEN } from '../parity/golden';

async function specOf(name: string): Promise<ModelSpec> {
  const repository = await openRepository(join(GOLDEN, name));
  const config = VisionEncoderDecoderConfig.fromJSON(await repository.readJson('config.json'));
  return buildModelSpec(config, await repository.loadTensorTable()).spec;
}

for (const { name } of cases) {
  test(`${name}: the native side understands the whole spec`, async (t) => {
    const spec = await specOf(name);
    t.deepEqual(loadNative().echoSpec(spec), spec);
  });
}

type Path = (string | number)[];

/** Paths of everything in a value, objects and arrays included. */
function pathsOf(value: unknown, path: Path = []): Path[] {
  if (typeof value !== 'object' || value === null) return [path];
  return [
    path,
    ...Object.entries(value).flatMap(([key, item]) =>
      pathsOf(item, [...path, Array.isArray(value) ? Number(key) : key]),
    ),
  ];
}

function changed(spec: ModelSpec, path: Path, value: unknown): unknown {
  const copy = structuredClone(spec) as unknown;
  let parent = copy as Record<string | number, unknown>;
  for (const key of path.slice(0, -1)) parent = parent[key] as typeof parent;
  parent[path.at(-1)!] = value;
  return copy;
}

const written = (path: Path): string =>
  'spec' + path.map((key) => (typeof key === 'number' ? `[${key}]` : `.${key}`)).join('');

/** The error's path may stop at a list of plain numbers. */
function namesPath(message: string, path: Path): boolean {
  return (
    message.startsWith(`${written(path)}:`) ||
    (typeof path.at(-1) === 'number' && message.startsWith(`${written(path.slice(0, -1))}:`))
  );
}

// One case for each arm of the unions.
for (const name of [
  'vit-gpt2',
  'vit-trocr-sinusoidal',
  'vit-bert',
  'beit-gpt2',
  'swin-gpt2',
  'swinv2-bert',
  'dinov2-swiglu-gpt2',
  'dinov3-gpt2',
  'vit-roformer',
  'swin-roformer-values',
  'vit-xmod',
  'dinov2-xmod-pre',
  'vit-roc-bert',
  'yolos-gpt2',
  'aimv2-native-gpt2',
  'vit-prophetnet',
  'hiera-gpt2',
]) {
  test(`${name}: a malformed value anywhere is refused with its path`, async (t) => {
    const spec = await specOf(name);
    const echo = (value: unknown) => loadNative().echoSpec(value as ModelSpec);
    const paths = pathsOf(spec).slice(1);
    t.true(paths.length > 200);
    for (const path of paths) {
      const error = t.throws(
        () => echo(changed(spec, path, Symbol.iterator)),
        { code: 'INVALID_ARGUMENT' },
        written(path),
      ) as (Error & { kind?: string }) | undefined;
      t.is(error?.kind, 'option');
      t.true(namesPath(error?.message ?? '', path), `${written(path)}: ${error?.message}`);
    }
  });
}

test('missing parts, fractions and unknown names are refused', async (t) => {
  const spec = await specOf('vit-gpt2');
  const wrong: [Path, unknown, RegExp][] = [
    [['encoder'], undefined, /spec\.encoder: expected an object/],
    [['decoder', 'layers'], {}, /spec\.decoder\.layers: expected an array/],
    [['decoder', 'vocabSize'], 1.5, /spec\.decoder\.vocabSize: expected a safe integer/],
    [['decoder', 'vocabSize'], NaN, /spec\.decoder\.vocabSize: expected a safe integer/],
    [['decoder', 'vocabSize'], 2 ** 53, /spec\.decoder\.vocabSize: expected a safe integer/],
    [['encoder', 'normPosition'], 'middle', /expected pre, post or branch, got middle/],
    [['encoder', 'stages', 0, 'layers', 0, 'mlp', 'activation'], 'GELU', /a known activation, got GELU/],
    [['encoder', 'finalNorm', 'kind'], 'group', /layer or rms, got group/],
    [['decoder', 'embedding', 'positions', 'kind'], 'grid', /table, sinusoidal or rotary, got grid/],
    [['decoder', 'head', 'parts', 0, 'layout'], 'outOut', /outIn or inOut, got outOut/],
  ];
  for (const [path, value, message] of wrong) {
    t.throws(() => loadNative().echoSpec(changed(spec, path, value) as ModelSpec), {
      code: 'INVALID_ARGUMENT',
      message,
    });
  }
  for (const value of [undefined, null, 1, 'spec'])
    t.throws(() => loadNative().echoSpec(value as never), { code: 'INVALID_ARGUMENT' });
});
