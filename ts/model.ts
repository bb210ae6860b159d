/** A vision encoder-decoder model on the native engine: load, forward, generate, stream. */
import type { ImageSizes } from './arch/architecture';
import { encoderFor } from './arch/registry';
import type { VisionEncoderDecoderConfig } from './arch/vision-encoder-decoder';
import { DisposedError, OptionError } from './errors';
import type { GenerationConfig } from './generation/generation-config';
import { resolveGenerateOptions, type ResolvedGenerateOptions } from './generation/options';
import { forwardRequest, type ForwardInputs, type ForwardOutput } from './model/forward';
import {
  assembleOutput,
  attentionInputs,
  nativeOptions,
  type FinishReason,
  type GenerateOptions,
  type GenerateOutput,
} from './model/generate';
import {
  checkPixels,
  checkPixelTensor,
  pixelsAsNative,
  selectImages,
  type DType,
  type LoadOptions,
  type Tensor,
} from './model/inputs';
import {
  createFromConfig,
  createFromParts,
  loadFromFolder,
  type CreateOptions,
  type FromPartsOptions,
  type Parts,
} from './model/load';
import { checkSaveOptions, configTexts, type SaveOptions } from './model/save';
import { StateDict } from './model/state-dict';
import type { NativeGenerateResult, NativeModel, NativeTokenEvent } from './native/contract';
import { call, callSite, runJob } from './native/jobs';
import type { ModelSource, ModelSpec } from './spec/model-spec';

/** eos is yielded; start token and prompt are not. */
export interface StreamedToken {
  row: number;
  tokenId: number;
  logProb: number;
  finishReason?: FinishReason;
}

let nativeOf: (model: VisionEncoderDecoderModel) => NativeModel;

/** Whether generate() and stream() take HeldPixels as well: for the pipeline alone. */
export function takesHeldPixels(model: VisionEncoderDecoderModel): boolean {
  return nativeOf(model).preparesPixels;
}

export class VisionEncoderDecoderModel implements AsyncDisposable {
  readonly config: VisionEncoderDecoderConfig;
  /** Defaults for generate(), from generation_config.json or config.json as Hugging Face does. */
  generationConfig: GenerationConfig;
  /** The type really used. */
  readonly dtype: DType;
  /** Tensor names that no checkpoint held. */
  readonly newlyInitialized: readonly string[];
  readonly #spec: ModelSpec;
  readonly #source: ModelSource;
  readonly #state: StateDict;
  readonly #native: NativeModel;
  #disposed: Promise<void> | undefined;

  static {
    nativeOf = (model) => model.#native;
  }

  private constructor(parts: Parts) {
    this.config = parts.config;
    this.generationConfig = parts.generationConfig;
    this.newlyInitialized = parts.source.created.map(({ name }) => name);
    this.#spec = parts.spec;
    this.#source = parts.source;
    this.#state = new StateDict(parts);
    this.#native = parts.native;
    this.dtype = parts.dtype;
  }

  /**
   * Loads a checkpoint: a folder, or a Hub id. Throws ConfigError, WeightsError, UnsupportedError, HubError, DeviceError or
   * OutOfMemoryError.
   */
  static async fromPretrained(source: string, options: LoadOptions = {}): Promise<VisionEncoderDecoderModel> {
    return new VisionEncoderDecoderModel(await loadFromFolder(source, options, callSite()));
  }

  /**
   * A new model: every tensor is drawn by its architecture's rules in transformers 5, so it has to be trained before it is
   * of use. Throws ConfigError, OptionError, DeviceError or OutOfMemoryError.
   */
  static async fromConfig(
    config: VisionEncoderDecoderConfig,
    options: CreateOptions = {},
  ): Promise<VisionEncoderDecoderModel> {
    return new VisionEncoderDecoderModel(await createFromConfig(config, options, callSite()));
  }

  /**
   * A new model from an encoder's checkpoint and a decoder's (folders or Hub ids): of the bare models, of models with a head
   * (which is dropped where it is none of ours), of the decoder half of a sequence-to-sequence model, or of a whole vision
   * encoder-decoder. What neither holds, above all the cross-attention, is drawn by the decoder's rules; `newlyInitialized`
   * lists it. decoderStartTokenId and padTokenId are not set unless `config` does. Throws as fromPretrained and fromConfig do.
   */
  static async fromEncoderDecoderPretrained(
    encoder: string,
    decoder: string,
    options: FromPartsOptions = {},
  ): Promise<VisionEncoderDecoderModel> {
    return new VisionEncoderDecoderModel(await createFromParts(encoder, decoder, options, callSite()));
  }

  /** The kernels and threads in use, for example `cpu:avx512`. */
  get backend(): string {
    return this.#native.backend;
  }

  /** The device really used: `cpu` or `cuda:N`. */
  get device(): string {
    return /^cuda:\d+/.exec(this.#native.backend)?.[0] ?? 'cpu';
  }

  get threads(): number {
    return this.#native.threads;
  }

  /** One pass over given decoder inputs: logits, and on request loss, hidden states and cross-attentions. */
  async forward(inputs: ForwardInputs): Promise<ForwardOutput> {
    const site = callSite();
    this.#checkAlive();
    const request = forwardRequest(inputs, this.config, this.#spec, this.#imageSizes());
    const result = await this.#run(() => this.#native.forward(request), inputs.signal, site);
    const { loss, ...tensors } = result;
    return inputs.labels ? { loss, ...tensors } : tensors;
  }

  /** Writes text for a batch of images. All options of Hugging Face's generate() that docs/generation.md lists. */
  async generate(pixelValues: Tensor, options: GenerateOptions = {}): Promise<GenerateOutput> {
    const site = callSite();
    this.#checkAlive();
    const resolved = this.#resolve(pixelValues, options);
    const native = await this.#start(pixelValues, resolved, options, site);
    const vocabSize = this.#spec.decoder.vocabSize;
    const output = assembleOutput(native, resolved, vocabSize);
    if (resolved.outputCrossAttentions)
      output.crossAttentions = await this.#attentions(pixelValues, resolved, output, options);
    return output;
  }

  /** The tokens of generate() as they come, rows interleaved. Leaving the loop frees the rows. One beam only. */
  async *stream(pixelValues: Tensor, options: GenerateOptions = {}): AsyncGenerator<StreamedToken, void, undefined> {
    const site = callSite();
    this.#checkAlive();
    const resolved = this.#resolve(pixelValues, options);
    if (resolved.numBeams > 1) {
      throw new OptionError('OPTION_OUT_OF_RANGE', `numBeams: expected 1 for streaming, got ${resolved.numBeams}`);
    }
    const leave = new AbortController();
    const signal = options.signal ? AbortSignal.any([options.signal, leave.signal]) : leave.signal;
    const queue: NativeTokenEvent[] = [];
    let wake = (): void => undefined;
    let ended = false;
    let failure: { error: unknown } | undefined;
    const onToken = (event: NativeTokenEvent): void => {
      queue.push(event);
      wake();
    };
    const running = this.#start(pixelValues, resolved, { ...options, signal }, site, onToken)
      .catch((error: unknown) => (failure = { error }))
      .then(() => {
        ended = true;
        wake();
      });
    try {
      for (;;) {
        for (let event = queue.shift(); event; event = queue.shift()) yield toStreamed(event);
        if (ended) break;
        await new Promise<void>((resolve) => (wake = resolve));
      }
      if (failure) throw failure.error;
    } finally {
      if (!ended) {
        leave.abort();
        await running;
      }
    }
  }

  /** Names and shapes of the checkpoint's tensors that the model uses. */
  *parameters(): Iterable<{ name: string; shape: readonly number[] }> {
    for (const { name, shape } of this.#source.tensors) yield { name, shape };
  }

  /**
   * `weightBytes` counts the packed weights, and the originals of those that were drawn. `cacheBytes` is reserved address
   * space: pages are committed as rows use them.
   */
  memory(): { weightBytes: number; cacheBytes: number; workspaceBytes: number } {
    this.#checkAlive();
    return this.#native.memory();
  }

  /**
   * Writes config.json, generation_config.json and the weights in safetensors, as transformers does; a copy of a tied
   * tensor is left out. Tensors come from the files that were loaded, in their element type, or from memory; a file that
   * has changed since is an error (WEIGHTS_CHANGED). All or nothing: a failure leaves the folder as it was. The folder may
   * be the one the model was loaded from.
   */
  async savePretrained(folder: string, options: SaveOptions = {}): Promise<void> {
    this.#checkAlive();
    const maxShardSize = checkSaveOptions(folder, options);
    const { signal, onProgress } = options;
    let [loaded, total] = [0, 0];
    const report = (bytes: number) => onProgress?.({ stage: 'save', loaded: (loaded += bytes), total });
    await this.#state.save(folder, {
      maxShardSize,
      signal,
      texts: configTexts(this.config, this.generationConfig),
      readOwned: (...range) => this.#readOwned(...range),
      onTotal: (bytes) => ((total = bytes), report(0)),
      onBytes: report,
    });
  }

  /** Frees the model. Calls still running reject with DisposedError. May be called at any moment, and again. */
  dispose(): Promise<void> {
    this.#disposed ??= this.#native.dispose();
    return this.#disposed;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.dispose();
  }

  #readOwned(buffer: number, first: number, count: number): Float32Array {
    this.#checkAlive();
    return call(() => this.#native.readOwned(buffer, first, count), callSite());
  }

  #checkAlive(): void {
    if (this.#disposed) throw new DisposedError('DISPOSED', 'expected a live model, got one that was disposed');
  }

  async #run<T>(
    start: () => { id: number; promise: Promise<T> },
    signal: AbortSignal | undefined,
    site: Error,
  ): Promise<T> {
    try {
      return await runJob(start, { cancel: (id) => this.#native.cancel(id), signal, site });
    } catch (error) {
      if (this.#disposed && (error as { code?: string }).code === 'ABORTED') {
        throw new DisposedError('DISPOSED', 'the model was disposed while the call was running', { cause: error });
      }
      throw error;
    }
  }

  #start(
    pixelValues: Tensor,
    resolved: ResolvedGenerateOptions,
    options: GenerateOptions,
    site: Error,
    onToken?: (event: NativeTokenEvent) => void,
  ): Promise<NativeGenerateResult> {
    const native = nativeOptions(resolved, options, this.#spec.decoder.vocabSize);
    return this.#run(
      () => this.#native.generate(pixelsAsNative(pixelValues), resolved.prompts, native, onToken),
      options.signal,
      site,
    );
  }

  #resolve(pixelValues: Tensor, options: GenerateOptions): ResolvedGenerateOptions {
    checkPixelTensor(pixelValues);
    const { vocabSize, maxPositions } = this.#spec.decoder;
    const resolved = resolveGenerateOptions({
      call: options,
      model: this.generationConfig,
      config: { vocabSize, maxPositions, encoderModelType: this.config.encoder.modelType },
      batchSize: pixelValues.dims[0] ?? 0,
    });
    checkPixels(pixelValues, this.#spec, this.#imageSizes(), resolved.interpolatePosEncoding);
    return resolved;
  }

  #imageSizes(): ImageSizes {
    return encoderFor(this.config.encoder.modelType).imageSizes(this.config.encoder);
  }

  async #attentions(
    pixelValues: Tensor,
    resolved: ResolvedGenerateOptions,
    output: GenerateOutput,
    options: GenerateOptions,
  ): Promise<Tensor[]> {
    const batch = pixelValues.dims[0] ?? 1;
    const repeat = output.sequences.length / batch;
    const images = output.sequences.map((_, row) => Math.floor(row / repeat));
    const forward = await this.forward({
      pixelValues: selectImages(pixelValues, images),
      decoderInputIds: attentionInputs(output, resolved),
      outputAttentions: true,
      interpolatePosEncoding: resolved.interpolatePosEncoding,
      ...(options.signal && { signal: options.signal }),
    });
    return forward.crossAttentions ?? [];
  }
}

function toStreamed({ row, tokenId, logProb, finish }: NativeTokenEvent): StreamedToken {
  return finish === '' ? { row, tokenId, logProb } : { row, tokenId, logProb, finishReason: finish as FinishReason };
}
