/** Python's transformers loads what was saved here, and computes the same. Skipped where it is not installed. */
import test, { type ExecutionContext } from 'ava';
import { writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import {
  DeiTConfig,
  GPT2Config,
  TrOCRConfig,
  ViTConfig,
  VisionEncoderDecoderConfig,
  VisionEncoderDecoderModel,
  type Tensor,
} from '../../ts/index';
import { tempFolder } from '../hostile/helpers';
import { numberDifference, tensorDifference } from '../parity/compare';
import { cases, GOLDEN } from '../parity/golden';
import { hasTransformers, runPython } from './python';

interface Outcome {
  folder: string;
  error?: string;
  logits: number[];
  loss: number;
  sequences: number[][];
  missing: string[];
  unexpected: string[];
  mismatched: string[];
}

interface Saved {
  folder: string;
  logits: Tensor;
  loss: number;
  sequences: number[][];
}

const root = tempFolder();
const saved = new Map<string, Saved>();
let outcomes = new Map<string, Outcome>();

const SMALL_VIT = {
  hiddenSize: 24,
  numHiddenLayers: 2,
  numAttentionHeads: 2,
  intermediateSize: 36,
  imageSize: 20,
  patchSize: 5,
};
const TOKENS = { bosTokenId: 2, eosTokenId: 3 };
const SMALL_GPT2 = { ...TOKENS, vocabSize: 53, nPositions: 23, nEmbd: 32, nLayer: 2, nHead: 2 };
const SMALL_TROCR = {
  ...TOKENS,
  vocabSize: 53,
  dModel: 24,
  decoderLayers: 2,
  decoderAttentionHeads: 2,
  decoderFfnDim: 36,
};
const TOP = { decoderStartTokenId: 2, padTokenId: 1, eosTokenId: 3 };
/** Wide enough that the logits differ from token to token. */
const WIDE = { initializerRange: 0.4 };

const created: Record<string, () => VisionEncoderDecoderConfig> = {
  'new vit-gpt2': () =>
    VisionEncoderDecoderConfig.fromEncoderDecoderConfigs(
      new ViTConfig({ ...SMALL_VIT, ...WIDE }),
      new GPT2Config({ ...SMALL_GPT2, ...WIDE }),
      TOP,
    ),
  'new deit-trocr, untied': () =>
    VisionEncoderDecoderConfig.fromEncoderDecoderConfigs(
      new DeiTConfig({ ...SMALL_VIT, ...WIDE }),
      new TrOCRConfig({ ...SMALL_TROCR, initStd: 0.4, tieWordEmbeddings: false, padTokenId: 1 }),
      TOP,
    ),
};

/** transformers 5.18.0 cannot run sinusoidal TrOCR positions after from_pretrained, and has no DistilBERT decoder. */
const loadable = cases.filter(({ name, decoder }) => name !== 'vit-trocr-sinusoidal' && decoder !== 'distilbert');

async function save(name: string, model: VisionEncoderDecoderModel, options = {}): Promise<void> {
  const folder = join(root, name.replaceAll(/[^\w-]+/g, '_'));
  await model.savePretrained(folder, options);
  const { channels, imageHeight, imageWidth } = sizes(model);
  const data = Float32Array.from({ length: 2 * channels * imageHeight * imageWidth }, (_, i) => Math.sin(i * 1.7));
  const pixelValues = { data, dims: [2, channels, imageHeight, imageWidth] };
  const decoderInputIds = [
    [2, 17, 5, 9],
    [2, 8, 23, 4],
  ];
  writeFileSync(
    join(folder, 'request.json'),
    JSON.stringify({ pixelValues: { data: [...data], dims: pixelValues.dims }, decoderInputIds }),
  );
  const { logits, loss } = await model.forward({ pixelValues, decoderInputIds, labels: decoderInputIds });
  const { sequences } = await model.generate(pixelValues, { maxNewTokens: 6, numBeams: 1, doSample: false });
  saved.set(name, { folder, logits, loss: loss!, sequences });
}

function sizes(model: VisionEncoderDecoderModel) {
  const { imageSize, numChannels } = model.config.encoder as unknown as {
    imageSize: number | [number, number];
    numChannels: number;
  };
  const [imageHeight, imageWidth] = typeof imageSize === 'number' ? [imageSize, imageSize] : imageSize;
  return { channels: numChannels, imageHeight, imageWidth };
}

test.before(async (t) => {
  if (!hasTransformers) return;
  t.timeout(300_000);
  for (const { name } of loadable) {
    await using model = await VisionEncoderDecoderModel.fromPretrained(join(GOLDEN, name), { device: 'cpu' });
    await save(name, model);
    if (name === 'vit-gpt2') await save('vit-gpt2 in shards', model, { maxShardSize: 45000 });
  }
  for (const [name, config] of Object.entries(created)) {
    await using model = await VisionEncoderDecoderModel.fromConfig(config(), { device: 'cpu', seed: 3 });
    await save(name, model);
  }
  const folders = [...saved.values()].map(({ folder }) => folder);
  const results = await runPython<Outcome>('check_saved.py', folders);
  outcomes = new Map(results.map((result) => [result.folder, result]));
});

function check(t: ExecutionContext, name: string): void {
  const ours = saved.get(name)!;
  const theirs = outcomes.get(basename(ours.folder));
  if (!theirs || theirs.error !== undefined) return t.fail(theirs?.error ?? 'no outcome');
  // The pooler takes no part in what a decoder reads; a model that never had one is saved without it.
  t.deepEqual(
    theirs.missing.filter((key) => !/^(encoder|decoder\.bert)\.pooler\./.test(key)),
    [],
  );
  t.deepEqual(
    theirs.unexpected.filter((key) => !/\.(attn|crossattention)\.(bias|masked_bias)$/.test(key)),
    [],
  );
  t.deepEqual(theirs.mismatched, []);
  t.is(tensorDifference(ours.logits, { data: theirs.logits, dims: ours.logits.dims }, 2e-4), null);
  t.is(numberDifference(ours.loss, theirs.loss, 1e-4), null);
  t.deepEqual(ours.sequences, theirs.sequences);
}

const maybe = hasTransformers ? test : test.skip;
for (const name of [...loadable.map((golden) => golden.name), 'vit-gpt2 in shards', ...Object.keys(created)]) {
  maybe(`transformers computes the same from what was saved: ${name}`, check, name);
}
