/** The short way: images in, text out. */
import * as path from 'node:path';
import { OptionError } from './errors';
import { AutoImageProcessor } from './image/auto';
import type { ImageProcessor } from './image/processor';
import type { ImageInput, Tensor } from './image/types';
import { VisionEncoderDecoderModel } from './model';
import type { GenerateOptions, GenerateOutput } from './model/generate';
import type { LoadOptions } from './model/inputs';
import { AutoTokenizer } from './text/auto';
import { StreamDecoder } from './text/stream-decoder';
import type { Tokenizer } from './text/tokenizer';

export interface PipelineOptions extends LoadOptions {
  /** Larger images are refused before they are decoded. */
  maxPixels?: number;
}

export interface ReadOptions extends GenerateOptions {
  /** Text that the decoder continues, for example a Donut task token. */
  prompt?: string;
}

export interface ReadToken {
  id: number;
  text: string;
  logProb: number;
}

export interface ReadResult {
  generatedText: string;
  /** The probability that the whole text is right: exp(sum of token log-probabilities). */
  confidence: number;
  tokens: ReadToken[];
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
  const { maxPixels, ...load } = options;
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
    const [processor, tokenizer] = await Promise.all([
      AutoImageProcessor.fromPretrained(from, fetch),
      AutoTokenizer.fromPretrained(from, fetch),
    ]);
    return assemble(new Reader(model, processor, tokenizer, maxPixels));
  } catch (error) {
    await model.dispose();
    throw error;
  }
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
    private readonly maxPixels: number | undefined,
  ) {}

  async read(images: ImageInput[], options: ReadOptions): Promise<ReadResult[][]> {
    if (images.length === 0) return [];
    const { pixelValues } = await this.processor.preprocess(images, this.imageOptions(options));
    return this.generate(pixelValues, options);
  }

  async settled(images: ImageInput[], options: ReadOptions): Promise<ReadOutcome[]> {
    if (images.length === 0) return [];
    const prepared = await this.processor.preprocessSettled(images, this.imageOptions(options));
    const good = prepared.flatMap((outcome) => (outcome.status === 'fulfilled' ? [outcome.value.pixelValues] : []));
    const results = good.length > 0 ? await this.generate(stack(good), options) : [];
    let next = 0;
    return prepared.map((outcome) =>
      outcome.status === 'fulfilled' ? { results: results[next++] ?? [] } : { error: outcome.reason },
    );
  }

  async *stream(images: ImageInput[], options: ReadOptions): AsyncGenerator<ReadPiece, void, undefined> {
    const { pixelValues } = await this.processor.preprocess(images, this.imageOptions(options));
    const decoders = new Map<number, StreamDecoder>();
    for await (const { row, tokenId, finishReason } of this.model.stream(
      pixelValues,
      this.generateOptions(images.length, options),
    )) {
      const decoder = decoders.get(row) ?? new StreamDecoder(this.tokenizer, { skipSpecialTokens: true });
      decoders.set(row, decoder);
      const done = finishReason !== undefined;
      const text = decoder.push(tokenId) + (done ? decoder.end() : '');
      if (text !== '' || done) yield { text, row, done };
    }
  }

  private async generate(pixelValues: Tensor, options: ReadOptions): Promise<ReadResult[][]> {
    const batch = pixelValues.dims[0] ?? 0;
    const output = await this.model.generate(pixelValues, this.generateOptions(batch, options));
    const perImage = output.sequences.length / batch;
    const results = output.sequences.map((_, row) => this.result(output, row));
    return Array.from({ length: batch }, (_, image) => results.slice(image * perImage, (image + 1) * perImage));
  }

  private result(output: GenerateOutput, row: number): ReadResult {
    const logProbs = output.tokenLogProbs[row] ?? [];
    const sequence = output.sequences[row] ?? [];
    // Padding lies behind the generated ids; what is before them is start token and prompt.
    const longest = Math.max(...output.tokenLogProbs.map((values) => values.length));
    const first = sequence.length - longest;
    const ids = sequence.slice(first, first + logProbs.length);
    return {
      generatedText: this.tokenizer.decode(ids, { skipSpecialTokens: true }),
      confidence: Math.exp(logProbs.reduce((sum, value) => sum + value, 0)),
      tokens: ids.map((id, index) => ({ id, text: this.tokenizer.decode([id]), logProb: logProbs[index] ?? 0 })),
    };
  }

  private imageOptions({ signal }: ReadOptions) {
    return { ...(this.maxPixels !== undefined && { maxPixels: this.maxPixels }), ...(signal && { signal }) };
  }

  private generateOptions(batch: number, { prompt, ...options }: ReadOptions): GenerateOptions {
    const merged: GenerateOptions = { tokenizer: this.tokenizer, ...options };
    if (prompt === undefined) return merged;
    if (options.decoderInputIds) {
      throw new OptionError('OPTION_CONFLICT', 'prompt: expected no decoderInputIds beside it, got both');
    }
    const ids = this.tokenizer.encode(prompt, { addSpecialTokens: false });
    return { ...merged, decoderInputIds: Array.from({ length: batch }, () => ids) };
  }
}

/** [1, C, H, W] tensors as one batch. */
function stack(tensors: readonly Tensor[]): Tensor {
  const [first] = tensors;
  if (!first) throw new OptionError('INPUT_REQUIRED', 'expected at least one image, got none');
  const data = new Float32Array(first.data.length * tensors.length);
  tensors.forEach((tensor, index) => data.set(tensor.data, index * first.data.length));
  return { data, dims: [tensors.length, ...first.dims.slice(1)] };
}
