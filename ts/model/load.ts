/** From a folder, or from nothing but a config, to what a model is made of. */
import { readHalf, type Side } from '../arch/halves';
import { buildModelSpec, VisionEncoderDecoderConfig, type BuiltModel } from '../arch/vision-encoder-decoder';
import { OptionError, WeightsError } from '../errors';
import { resolveSource } from '../files/hub';
import { openRepository } from '../files/repository';
import { GenerationConfig, generationConfigFromFiles } from '../generation/generation-config';
import { nearest } from '../names';
import type { NativeLoadOptions, NativeModel } from '../native/contract';
import { runJob } from '../native/jobs';
import { loadNative } from '../native/load';
import { checkLoadOptions, nativeLoadOptions, type DType, type LoadOptions } from './inputs';

/** Everything a loaded model consists of. */
export interface Parts extends BuiltModel {
  config: VisionEncoderDecoderConfig;
  generationConfig: GenerationConfig;
  native: NativeModel;
  dtype: DType;
}

export interface CreateOptions extends LoadOptions {
  /** Fixes the values of tensors that no checkpoint holds; without it each call draws others. */
  seed?: number;
}

export async function loadFromFolder(source: string, options: LoadOptions, site: Error): Promise<Parts> {
  checkLoadOptions(options, nearest);
  const load = nativeLoadOptions(options, () => loadNative().cudaReport());
  const repository = await openRepository(await resolveSource(source, { ...options, files: 'model' }));
  const configJson = await repository.readJson('config.json', { keepFloats: true });
  const config = VisionEncoderDecoderConfig.fromJSON(configJson);
  const generationJson = (await repository.exists('generation_config.json'))
    ? await repository.readJson('generation_config.json', { keepFloats: true })
    : undefined;
  const built = buildModelSpec(config, await repository.loadTensorTable());
  const native = await loadWeights(built, load, options, 0, site);
  return {
    config,
    generationConfig: generationConfigFromFiles(generationJson, withDecoderDefaults(config)),
    ...built,
    native,
    dtype: load.dtype,
  };
}

export interface FromPartsOptions extends CreateOptions {
  /** Options of the encoder's config class that differ from its checkpoint's config.json, or a config instead of it. */
  encoderConfig?: object;
  decoderConfig?: object;
  /** Keys of the composite, as the third argument of fromEncoderDecoderConfigs: decoderStartTokenId, padTokenId, … */
  config?: object;
}

/** Two checkpoints become the halves of a model; what neither holds is drawn. */
export async function createFromParts(
  encoder: string,
  decoder: string,
  options: FromPartsOptions,
  site: Error,
): Promise<Parts> {
  checkLoadOptions(options, nearest, ['seed', 'encoderConfig', 'decoderConfig', 'config']);
  const load = nativeLoadOptions(options, () => loadNative().cudaReport());
  const seed = checkSeed(options.seed);
  const [first, second] = [
    await openHalf('encoder', encoder, options.encoderConfig, options),
    await openHalf('decoder', decoder, options.decoderConfig, options),
  ];
  const config = VisionEncoderDecoderConfig.fromEncoderDecoderConfigs(first.config, second.config, options.config);
  const files = new Map([...first.files, ...second.files].map((file) => [file.path, file]));
  const tensors = new Map([...first.tensors, ...second.tensors]);
  const spare = new Set([...first.spare, ...second.spare]);
  const built = buildModelSpec(config, { files: [...files.values()], tensors }, 'create', spare);
  requireFound(built, 'encoder', encoder);
  requireFound(built, 'decoder', decoder);
  const native = await loadWeights(built, load, options, seed, site);
  const generationConfig = generationConfigFromFiles(undefined, withDecoderDefaults(config));
  // An encoder's pooler stays with it; what a decoder's checkpoint holds besides belongs to other tasks.
  const unused = new Map([...built.unused].filter(([name]) => name.startsWith('encoder.')));
  return { config, generationConfig, ...built, unused, native, dtype: load.dtype };
}

async function openHalf(side: Side, source: string, change: unknown = {}, options: LoadOptions) {
  if (typeof change !== 'object' || change === null)
    throw new OptionError('OPTION_OUT_OF_RANGE', `${side}Config: expected an object, got ${String(change)}`);
  const { revision, cacheDir, localFilesOnly, token, onProgress, signal } = options;
  const hub = { revision, cacheDir, localFilesOnly, token, onProgress, signal };
  const repository = await openRepository(await resolveSource(source, { ...hub, files: 'model' }));
  const json = await repository.readJson('config.json', { keepFloats: true });
  const table = await repository.loadTensorTable();
  return { ...readHalf(side, json, table, change), files: table.files };
}

/** A checkpoint of which no tensor fits would give a half that is random throughout, which nobody asks for. */
function requireFound({ source }: BuiltModel, side: Side, from: string): void {
  const own = source.tensors.filter(({ name }) => name.startsWith(`${side}.`));
  if (own.some(({ kind }) => kind === 'file')) return;
  const [first] = own;
  throw new WeightsError(
    'NO_TENSOR_FITS',
    `expected tensors of the ${side} in ${from}, such as ${first?.name.slice(side.length + 1)}, got none that fits`,
  );
}

/** Every tensor is drawn by the rules of its architecture. */
export async function createFromConfig(
  config: VisionEncoderDecoderConfig,
  options: CreateOptions,
  site: Error,
): Promise<Parts> {
  checkLoadOptions(options, nearest, ['seed']);
  const load = nativeLoadOptions(options, () => loadNative().cudaReport());
  if (!(config instanceof VisionEncoderDecoderConfig)) {
    throw new OptionError('OPTION_OUT_OF_RANGE', `config: expected a VisionEncoderDecoderConfig, got ${typeof config}`);
  }
  const built = buildModelSpec(config, { files: [], tensors: new Map() }, 'create');
  const native = await loadWeights(built, load, options, checkSeed(options.seed), site);
  return {
    config,
    generationConfig: generationConfigFromFiles(undefined, withDecoderDefaults(config)),
    ...built,
    native,
    dtype: load.dtype,
  };
}

/** What the decoder's class sets beside the file's keys (BART: forced_eos_token_id) counts as if the file held it. */
function withDecoderDefaults(config: VisionEncoderDecoderConfig): object {
  return { ...config.toJSON(), decoder: config.decoder.withDefaults() };
}

function checkSeed(seed: number | undefined): number {
  if (seed === undefined) return Math.floor(Math.random() * Number.MAX_SAFE_INTEGER);
  if (Number.isSafeInteger(seed) && seed >= 0) return seed;
  throw new OptionError('OPTION_OUT_OF_RANGE', `seed: expected a whole number from 0 to 2^53 - 1, got ${String(seed)}`);
}

async function loadWeights(
  { spec, source }: BuiltModel,
  load: NativeLoadOptions,
  { signal, onProgress }: LoadOptions,
  seed: number,
  site: Error,
): Promise<NativeModel> {
  const total = source.tensors.reduce((sum, { byteLength }) => sum + byteLength, 0);
  onProgress?.({ stage: 'weights', loaded: 0, total });
  const binary = loadNative();
  const native = await runJob(() => binary.loadModel({ ...source, seed }, spec, load), {
    cancel: (id) => binary.cancelLoad(id),
    signal,
    site,
  });
  if (signal?.aborted) {
    await native.dispose();
    throw signal.reason;
  }
  onProgress?.({ stage: 'weights', loaded: total, total });
  return native;
}
