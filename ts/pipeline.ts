/** The short way: images in, text out. */
import * as path from 'node:path';
import { OptionError } from './errors';
import { resolveSource, type ResolveOptions } from './files/hub';
import { openRepository } from './files/repository';
import { CALIBRATION_FILE, parseCalibration, UNCALIBRATED, type Calibration } from './generation/calibration';
import { AutoImageProcessor } from './image/auto';
import { HeldPixels, holdSettled } from './image/held';
import { allFulfilled, stackTensors, type Settled } from './image/prepare';
import type { ImageProcessor } from './image/processor';
import type { ImageBackend } from './image/settings';
import type { ImageInput, Tensor } from './image/types';
import { takesHeldPixels, VisionEncoderDecoderModel } from './model';
import type { GenerateOptions, GenerateOutput } from './model/generate';
import { selectImages, type LoadOptions } from './model/inputs';
import { checkPostProcess, finishText, type PostProcess } from './pipeline/post-process';
import { promptIds, rowsByLength } from './pipeline/prompts';
import { AutoTokenizer } from './text/auto';
import { nougatStoppingCriterion } from './text/nougat-stopping';
import { StreamDecoder } from './text/stream-decoder';
import type { TokenJson } from './text/token2json';
import type { Tokenizer } from './text/tokenizer';

export interface PipelineOptions extends LoadOptions {
  /** Larger images are refused before they are decoded. */
  maxPixels?: number;
  /** Whose rounding the image processor follows: 'pil' (default), or 'torchvision' as transformers 5 where it is installed. */
  imageBackend?: ImageBackend;
}

export interface ReadOptions extends GenerateOptions {
  /**
   * Text that the decoder continues, for example a Donut task token; a list holds one per image. Prompts of different lengths
   * run as one call per length: rows in callbacks count within it. `stream` takes one length only.
   */
  prompt?: string | readonly string[];
  /** Make images grey before anything else, as the manga-ocr package does. */
  grayscale?: boolean;
  /** What becomes of the text: Donut's `token2json`, Nougat's Markdown, manga-ocr's full-width text. Not for `stream`. */
  postProcess?: PostProcess;
  /** End rows that repeat themselves by the rule of the nougat project; one beam. */
  stopOnRepetition?: boolean;
}

export interface ReadToken {
  id: number;
  text: string;
  logProb: number;
}

export interface ReadResult {
  generatedText: string;
  /** The probability that the whole text is right: exp(sum of token log-probabilities), mapped by the checkpoint's calibration where it has one. */
  confidence: number;
  tokens: ReadToken[];
  /** With `postProcess: 'token2json'`: the object that the text stands for. */
  json?: TokenJson;
}

/** An image that fails, fails alone. */
export type ReadOutcome = { results: ReadResult[] } | { error: unknown };

export interface ReadPiece {
  text: string;
  row: number;
  done: boolean;
}

/** A model with its image processor and tokenizer. Callable; see {@link pipeline}. */
export interface ImageToTextPipeline extends AsyncDisposable {
  (image: ImageInput, options?: ReadOptions): Promise<ReadResult[]>;
  (images: ImageInput[], options?: ReadOptions): Promise<ReadResult[][]>;
  /** One outcome per image: the results, or the error of that image. */
  settled(images: ImageInput[], options?: ReadOptions): Promise<ReadOutcome[]>;
  /** Text as it is written; one beam only. */
  stream(images: ImageInput | ImageInput[], options?: ReadOptions): AsyncGenerator<ReadPiece, void, undefined>;
  readonly model: VisionEncoderDecoderModel;
  readonly processor: ImageProcessor;
  readonly tokenizer: Tokenizer;
  dispose(): Promise<void>;
}

/** The line reader that comes with the package. */
const BUNDLED_MODEL = path.join(__dirname, '..', 'models', 'line-reader');

/**
 * Loads a model for image-to-text: `source` is a folder or a Hub id; none means the bundled line reader. Errors are those of
 * VisionEncoderDecoderModel.fromPretrained, AutoImageProcessor and AutoTokenizer.
 */
export async function pipeline(
  task: 'image-to-text',
  source?: string,
  options: PipelineOptions = {},
): Promise<ImageToTextPipeline> {
  if ((task as string) !== 'image-to-text') {
    throw new OptionError('UNKNOWN_TASK', `pipeline: expected the task 'image-to-text', got '${String(task)}'`);
  }
  const { maxPixels, imageBackend, ...load } = options;
  const from = source ?? BUNDLED_MODEL;
  const {
    onProgress: _,
    device: __,
    dtype: ___,
    threads: ____,
    maxBatch: _____,
    batchInvariant: ______,
    ...fetch
  } = load;
  // The model first: it checks the options, and what does not load there needs no tokenizer.
  const model = await VisionEncoderDecoderModel.fromPretrained(from, load);
  try {
    const [processor, tokenizer, calibration] = await Promise.all([
      AutoImageProcessor.fromPretrained(from, { ...fetch, backend: imageBackend }),
      AutoTokenizer.fromPretrained(from, fetch),
      readCalibration(from, fetch),
    ]);
    return assemble(new Reader(model, processor, tokenizer, calibration, maxPixels));
  } catch (error) {
    await model.dispose();
    throw error;
  }
}

async function readCalibration(source: string, options: ResolveOptions): Promise<Calibration> {
  const repository = await openRepository(await resolveSource(source, { ...options, files: 'config' }));
  if (!(await repository.exists(CALIBRATION_FILE))) return UNCALIBRATED;
  return parseCalibration(await repository.readJson(CALIBRATION_FILE));
}

function assemble(reader: Reader): ImageToTextPipeline {
  const read = async (images: ImageInput | ImageInput[], options: ReadOptions = {}) => {
    const results = await reader.read(Array.isArray(images) ? images : [images], options);
    return Array.isArray(images) ? results : (results[0] ?? []);
  };
  const { model, processor, tokenizer } = reader;
  const dispose = () => model.dispose();
  return Object.assign(read as ImageToTextPipeline, {
    settled: (images: ImageInput[], options: ReadOptions = {}) => reader.settled(images, options),
    stream: (images: ImageInput | ImageInput[], options: ReadOptions = {}) =>
      reader.stream(Array.isArray(images) ? images : [images], options),
    ...{ model, processor, tokenizer, dispose },
    [Symbol.asyncDispose]: dispose,
  });
}

class Reader {
  constructor(
    readonly model: VisionEncoderDecoderModel,
    readonly processor: ImageProcessor,
    readonly tokenizer: Tokenizer,
    private readonly calibration: Calibration,
    private readonly maxPixels: number | undefined,
  ) {}

  async read(images: ImageInput[], options: ReadOptions): Promise<ReadResult[][]> {
    if (images.length === 0) return [];
    const pixelValues = stack(allFulfilled(await this.pixels(images, options)));
    return this.generate(pixelValues, options, { rows: [...images.keys()], count: images.length });
  }

  async settled(images: ImageInput[], options: ReadOptions): Promise<ReadOutcome[]> {
    if (images.length === 0) return [];
    const prepared = await this.pixels(images, options);
    const good = prepared.flatMap((outcome) => (outcome.status === 'fulfilled' ? [outcome.value] : []));
    const rows = prepared.flatMap((outcome, image) => (outcome.status === 'fulfilled' ? [image] : []));
    const count = images.length;
    const results = good.length > 0 ? await this.generate(stack(good), options, { rows, count }) : [];
    let next = 0;
    return prepared.map((outcome) =>
      outcome.status === 'fulfilled' ? { results: results[next++] ?? [] } : { error: outcome.reason },
    );
  }

  async *stream(images: ImageInput[], options: ReadOptions): AsyncGenerator<ReadPiece, void, undefined> {
    if (options.postProcess !== undefined)
      throw new OptionError('OPTION_CONFLICT', 'postProcess: expected whole texts, got stream(), which gives pieces');
    const pixelValues = stack(allFulfilled(await this.pixels(images, options)));
    const all = { rows: [...images.keys()], count: images.length };
    const decoders = new Map<number, StreamDecoder>();
    for await (const { row, tokenId, finishReason } of this.model.stream(
      pixelValues,
      this.generateOptions(options, this.promptIds(options, all)),
    )) {
      const decoder = decoders.get(row) ?? new StreamDecoder(this.tokenizer, { skipSpecialTokens: true });
      decoders.set(row, decoder);
      const done = finishReason !== undefined;
      const text = decoder.push(tokenId) + (done ? decoder.end() : '');
      if (text !== '' || done) yield { text, row, done };
    }
  }

  /** [1, C, H, W] pixel values of each image: computed here, or where the model runs. */
  private async pixels(images: ImageInput[], options: ReadOptions): Promise<Settled<Tensor>[]> {
    const settings = this.imageOptions(options);
    if (!takesHeldPixels(this.model)) {
      const outcomes = await this.processor.preprocessSettled(images, settings);
      return mapSettled(outcomes, ({ pixelValues }) => pixelValues);
    }
    return mapSettled(await holdSettled(this.processor, images, settings), (image) => new HeldPixels([image]));
  }

  /** One list of results per image of `pixelValues`. */
  private async generate(pixelValues: Tensor, options: ReadOptions, images: Images): Promise<ReadResult[][]> {
    checkPostProcess(options.postProcess);
    const prompts = this.promptIds(options, images);
    const groups = prompts ? rowsByLength(prompts) : [];
    if (groups.length <= 1) return this.generateRows(pixelValues, options, prompts);
    const results: ReadResult[][] = [];
    const run = async (rows: number[]): Promise<void> => {
      const part = await this.generateRows(
        selectImages(pixelValues, rows),
        options,
        rows.map((row) => prompts![row]!),
      );
      rows.forEach((row, at) => (results[row] = part[at] ?? []));
    };
    await Promise.all(groups.map(run));
    return results;
  }

  private async generateRows(pixelValues: Tensor, options: ReadOptions, prompts?: number[][]): Promise<ReadResult[][]> {
    const batch = pixelValues.dims[0] ?? 0;
    const output = await this.model.generate(pixelValues, this.generateOptions(options, prompts));
    const perImage = output.sequences.length / batch;
    const results = output.sequences.map((_, row) => this.result(output, row, options.postProcess));
    return Array.from({ length: batch }, (_, image) => results.slice(image * perImage, (image + 1) * perImage));
  }

  private result(output: GenerateOutput, row: number, postProcess: PostProcess | undefined): ReadResult {
    const logProbs = output.tokenLogProbs[row] ?? [];
    const sequence = output.sequences[row] ?? [];
    // Padding lies behind the generated ids; what is before them is start token and prompt.
    const longest = Math.max(...output.tokenLogProbs.map((values) => values.length));
    const first = sequence.length - longest;
    const ids = sequence.slice(first, first + logProbs.length);
    const written = { sequence: sequence.slice(0, first + logProbs.length), generated: ids };
    const { eosTokenId, padTokenId } = this.model.generationConfig;
    const ends = [eosTokenId, padTokenId].flat().filter((id): id is number => typeof id === 'number');
    return {
      ...finishText(written, this.tokenizer, postProcess, ends),
      confidence: this.calibration(Math.exp(logProbs.reduce((sum, value) => sum + value, 0))),
      tokens: ids.map((id, index) => ({ id, text: this.tokenizer.decode([id]), logProb: logProbs[index] ?? 0 })),
    };
  }

  private imageOptions({ signal, grayscale }: ReadOptions) {
    return {
      ...(this.maxPixels !== undefined && { maxPixels: this.maxPixels }),
      ...(grayscale !== undefined && { grayscale }),
      ...(signal && { signal }),
    };
  }

  private promptIds({ prompt, decoderInputIds }: ReadOptions, { rows, count }: Images): number[][] | undefined {
    if (prompt === undefined) return undefined;
    if (decoderInputIds)
      throw new OptionError('OPTION_CONFLICT', 'prompt: expected no decoderInputIds beside it, got both');
    return promptIds(prompt, rows, count, this.tokenizer);
  }

  private generateOptions(options: ReadOptions, prompts: number[][] | undefined): GenerateOptions {
    const { prompt: _, grayscale: __, postProcess: ___, stopOnRepetition, ...rest } = options;
    const merged: GenerateOptions = { tokenizer: this.tokenizer, ...rest };
    if (prompts) merged.decoderInputIds = prompts;
    if (stopOnRepetition) merged.stoppingCriteria = [...(rest.stoppingCriteria ?? []), nougatStoppingCriterion()];
    return merged;
  }
}

/** The places of the images at hand in the caller's list, and its length. */
interface Images {
  readonly rows: readonly number[];
  readonly count: number;
}

function mapSettled<T, R>(outcomes: readonly Settled<T>[], map: (value: T) => R): Settled<R>[] {
  return outcomes.map((outcome) =>
    outcome.status === 'fulfilled' ? { status: 'fulfilled', value: map(outcome.value) } : outcome,
  );
}

/** [1, C, H, W] tensors as one batch. */
function stack(tensors: readonly Tensor[]): Tensor {
  const [first] = tensors;
  if (!first) throw new OptionError('INPUT_REQUIRED', 'expected at least one image, got none');
  if (first instanceof HeldPixels) return new HeldPixels((tensors as HeldPixels[]).flatMap(({ images }) => images));
  return stackTensors(tensors);
}
