/** `ved info`: what a checkpoint holds and whether it loads, from config.json and tensor headers alone. */
import { basename } from 'node:path';
import { buildModelSpec, supported, VisionEncoderDecoderConfig } from '../arch/vision-encoder-decoder';
import { VedError } from '../errors';
import { resolveSource } from '../files/hub';
import { openRepository, type Repository } from '../files/repository';
import { elementCount, isFileDType, type TensorTable } from '../files/tensor-table';
import { toCamelCase } from '../names';
import { codeOf, EXIT, messageOf, usageError, type Session } from './io';
import { HUB_FLAGS, hubOptions, parseFlags } from './options';

type JsonObject = Record<string, unknown>;

export interface PartInfo {
  modelType: string | null;
  hiddenSize: number | null;
  layers: number | null;
  heads: number | null;
  imageSize?: unknown;
  patchSize?: unknown;
  vocabSize?: number | null;
  positions?: number | null;
}

export interface ModelInfo {
  source: string;
  modelType: string | null;
  encoder: PartInfo;
  decoder: PartInfo;
  weights: {
    files: string[];
    format: 'safetensors' | 'torch';
    tensors: number;
    parameters: number;
    bytes: number;
    dtypes: string[];
  } | null;
  tokenizer: string[];
  imageProcessor: string[];
  generationConfig: boolean;
  supported: boolean;
  reason?: { code: string; message: string };
}

const TOKENIZER_FILES = [
  'tokenizer.json',
  'vocab.json',
  'merges.txt',
  'vocab.txt',
  'sentencepiece.bpe.model',
  'spiece.model',
];
const PROCESSOR_FILES = ['preprocessor_config.json', 'processor_config.json'];

/** The same thing under the names of different architectures. */
const SIZES = {
  hiddenSize: ['hiddenSize', 'nEmbd', 'dModel', 'embedDim'],
  layers: ['numHiddenLayers', 'nLayer', 'decoderLayers', 'numLayers', 'depths'],
  heads: ['numAttentionHeads', 'nHead', 'decoderAttentionHeads', 'numHeads'],
  positions: ['maxPositionEmbeddings', 'nPositions'],
} as const;

export async function info(args: string[], session: Session): Promise<number> {
  const { values, positionals } = parseFlags(args, { ...HUB_FLAGS, json: { type: 'boolean' } });
  const [source, ...rest] = positionals;
  if (source === undefined) throw usageError("info: expected a SOURCE, got none; see 'ved info --help'");
  if (rest.length > 0) throw usageError(`info: expected one SOURCE, got ${positionals.length}`);
  const described = await describe(source, { ...hubOptions(values), signal: session.signal });
  await session.print(`${values['json'] ? JSON.stringify(described, null, 2) : asText(described)}\n`);
  return EXIT.ok;
}

type FetchOptions = ReturnType<typeof hubOptions> & { signal: AbortSignal };

export async function describe(source: string, options: FetchOptions): Promise<ModelInfo> {
  const folder = await resolveSource(source, { ...options, files: 'config' });
  for (const files of ['tokenizer', 'processor'] as const) {
    // A checkpoint may lack either; that is told, not an error.
    await resolveSource(source, { ...options, files }).catch(() => options.signal.throwIfAborted());
  }
  const repository = await openRepository(folder);
  const json = await repository.readJson('config.json');
  const { table, missing } = await tensorTable(repository);
  const verdict = judge(json, table, missing);
  return {
    source,
    modelType: textOrNull(json['model_type']),
    encoder: partInfo(json['encoder'], verdict.config?.encoder),
    decoder: partInfo(json['decoder'], verdict.config?.decoder),
    weights: table && weightsInfo(table, verdict.used),
    tokenizer: await present(repository, TOKENIZER_FILES),
    imageProcessor: await present(repository, PROCESSOR_FILES),
    generationConfig: await repository.exists('generation_config.json'),
    supported: verdict.reason === undefined,
    ...(verdict.reason && { reason: verdict.reason }),
  };
}

async function tensorTable(repository: Repository): Promise<{ table: TensorTable | null; missing?: unknown }> {
  try {
    return { table: await repository.loadTensorTable() };
  } catch (error) {
    return { table: null, missing: error };
  }
}

interface Verdict {
  config?: VisionEncoderDecoderConfig;
  /** Tensors that the model uses. */
  used?: readonly string[];
  reason?: { code: string; message: string };
}

/** The checks that loading makes before it reads weights. Weights of a Hub model that were never fetched are no fault. */
function judge(json: JsonObject, table: TensorTable | null, missing: unknown): Verdict {
  let config: VisionEncoderDecoderConfig | undefined;
  try {
    config = VisionEncoderDecoderConfig.fromJSON(json);
    if (table) return { config, used: buildModelSpec(config, table).source.tensors.map(({ name }) => name) };
    return codeOf(missing) === 'WEIGHTS_NOT_FOUND' ? { config } : { config, reason: reasonOf(missing) };
  } catch (error) {
    if (!(error instanceof VedError)) throw error;
    return { ...(config && { config }), reason: reasonOf(error) };
  }
}

function reasonOf(error: unknown): { code: string; message: string } {
  return { code: codeOf(error), message: messageOf(error) };
}

/** Sizes from the typed config, which knows the defaults, else from the file as it is. */
function partInfo(json: unknown, config: object | undefined): PartInfo {
  const raw = typeof json === 'object' && json !== null ? (json as JsonObject) : {};
  const camel = Object.fromEntries(Object.entries(raw).map(([key, value]) => [toCamelCase(key), value]));
  const values: JsonObject = { ...camel, ...config };
  const pick = (names: readonly string[]) =>
    numberOrNull(names.map((name) => values[name]).find((value) => value !== undefined));
  const part: PartInfo = {
    modelType: textOrNull(values['modelType']),
    hiddenSize: pick(SIZES.hiddenSize),
    layers: pick(SIZES.layers),
    heads: pick(SIZES.heads),
  };
  if (values['imageSize'] !== undefined)
    return { ...part, imageSize: values['imageSize'], patchSize: values['patchSize'] ?? null };
  return { ...part, vocabSize: pick(['vocabSize']), positions: pick(SIZES.positions) };
}

function weightsInfo(table: TensorTable, used: readonly string[] | undefined): NonNullable<ModelInfo['weights']> {
  const all = [...table.tensors].filter(([, { dtype }]) => isFileDType(dtype));
  const wanted = used && new Set(used);
  const tensors = wanted ? all.filter(([name]) => wanted.has(name)) : all;
  const files = table.files.map(({ path }) => basename(path));
  return {
    files,
    format: files.some((name) => name.endsWith('.bin')) ? 'torch' : 'safetensors',
    tensors: tensors.length,
    parameters: tensors.reduce((sum, [, { shape }]) => sum + (elementCount(shape) ?? 0), 0),
    bytes: tensors.reduce((sum, [, { byteLength }]) => sum + byteLength, 0),
    dtypes: [...new Set(tensors.map(([, { dtype }]) => dtype))].sort(),
  };
}

async function present(repository: Repository, names: readonly string[]): Promise<string[]> {
  const found = await Promise.all(names.map((name) => repository.exists(name)));
  return names.filter((_, index) => found[index]);
}

const textOrNull = (value: unknown): string | null => (typeof value === 'string' ? value : null);
const numberOrNull = (value: unknown): number | null => (typeof value === 'number' ? value : null);

function asText(model: ModelInfo): string {
  const { weights } = model;
  const lines: [string, string][] = [
    ['source', model.source],
    ['type', model.modelType ?? 'not named'],
    ['encoder', partText(model.encoder)],
    ['decoder', partText(model.decoder)],
    ['weights', weights ? `${weights.files.join(', ')} (${weights.format}, ${weights.dtypes.join(', ')})` : 'not here'],
    ...(weights
      ? [
          ['parameters', `${weights.parameters} in ${weights.tensors} tensors, ${weights.bytes} bytes`] as [
            string,
            string,
          ],
        ]
      : []),
    ['tokenizer', model.tokenizer.join(', ') || 'none found'],
    ['images', model.imageProcessor.join(', ') || 'none found'],
    ['supported', supportText(model)],
  ];
  return lines.map(([name, value]) => `${name.padEnd(11)} ${value}`).join('\n');
}

function partText(part: PartInfo): string {
  const sizes = [
    part.hiddenSize !== null && `hidden ${part.hiddenSize}`,
    part.layers !== null && `${part.layers} layers`,
    part.heads !== null && `${part.heads} heads`,
    part.imageSize !== undefined && `image ${sizeText(part.imageSize)}`,
    part.patchSize !== undefined && part.patchSize !== null && `patch ${sizeText(part.patchSize)}`,
    part.vocabSize != null && `vocabulary ${part.vocabSize}`,
    part.positions != null && `${part.positions} positions`,
  ].filter((size) => size !== false);
  return `${part.modelType ?? 'not named'}${sizes.length > 0 ? `: ${sizes.join(', ')}` : ''}`;
}

function sizeText(size: unknown): string {
  return Array.isArray(size) ? size.join('x') : String(size);
}

function supportText({ reason, weights }: ModelInfo): string {
  if (reason === undefined) return weights ? 'yes' : 'the config is; the weights were not looked at';
  const known = `encoders ${supported.encoders.join(', ')}; decoders ${supported.decoders.join(', ')}`;
  return `no: ${reason.message} (${reason.code})${reason.code === 'UNSUPPORTED_ARCHITECTURE' ? `; loaded are ${known}` : ''}`;
}
