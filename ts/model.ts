/** A vision encoder-decoder model on the native engine: load, forward, generate, stream. */
import { encoderFor } from './arch/registry';
import type { VisionEncoderDecoderConfig } from './arch/vision-encoder-decoder';
import { DisposedError, OptionError } from './errors';
import type { GenerationConfig } from './generation/generation-config';
import { resolveGenerateOptions, type ResolvedGenerateOptions } from './generation/options';
import {
  assembleOutput,
  attentionInputs,
  nativeOptions,
  type FinishReason,
  type GenerateOptions,
  type GenerateOutput,
} from './model/generate';
import {
  checkIdRows,
  checkPixels,
  checkTensor,
  shiftRight,
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
import type {
  NativeForwardRequest,
  NativeGenerateResult,
  NativeModel,
  NativeTensor,
  NativeTokenEvent,
} from './native/contract';
import { call, callSite, runJob } from './native/jobs';
import { nearest } from './names';
import type { ModelSource, ModelSpec } from './spec/model-spec';

export interface ForwardInputs {
  /** One of the two. */
  pixelValues?: Tensor;
  /** [batch, tokens, H]: Hugging Face's, after the encoder's own final norm and before enc_to_dec_proj. */
  encoderLastHiddenState?: Tensor;
  /** Used exactly as given: no start token is prepended, pads are not masked. */
  decoderInputIds?: number[][];
  /** 1 = visible, 0 = hidden. */
  decoderAttentionMask?: number[][];
  /** -100 is ignored. Alone they are enough: the decoder then reads them shifted right. */
  labels?: number[][];
  outputHiddenStates?: boolean;
  outputAttentions?: boolean;
  interpolatePosEncoding?: boolean;
  signal?: AbortSignal;
}

export interface ForwardOutput {
  /** Mean cross-entropy over the labels that are not -100; NaN when all are. */
  loss?: number;
  /** [batch, tokens, vocab] */
  logits: Tensor;
  encoderLastHiddenState: Tensor;
  encoderHiddenStates?: Tensor[];
  decoderHiddenStates?: Tensor[];
  /** Per layer [batch, heads, tokens, encoderTokens] */
  crossAttentions?: Tensor[];
}

/** eos is yielded; start token and prompt are not. */
export interface StreamedToken {
  row: number;
  tokenId: number;
  logProb: number;
  finishReason?: FinishReason;
}

const FORWARD_INPUTS = [
  'pixelValues',
  'encoderLastHiddenState',
  'decoderInputIds',
  'decoderAttentionMask',
  'labels',
  'outputHiddenStates',
  'outputAttentions',
  'interpolatePosEncoding',
  'signal',
];

export class VisionEncoderDecoderModel implements AsyncDisposable {
  readonly config: VisionEncoderDecoderConfig;
  /** Defaults for generate(), from generation_config.json or config.json as Hugging Face does. */
  generationConfig: GenerationConfig;
  /** The device really used. */
  readonly device: string = 'cpu';
  /** The type really used. */
  readonly dtype: DType = 'float32';
  /** Tensor names that no checkpoint held. */
  readonly newlyInitialized: readonly string[];
  readonly #spec: ModelSpec;
  readonly #source: ModelSource;
  readonly #state: StateDict;
  readonly #native: NativeModel;
  #disposed: Promise<void> | undefined;

  private constructor(parts: Parts) {
    this.config = parts.config;
    this.generationConfig = parts.generationConfig;
    this.newlyInitialized = parts.source.created.map(({ name }) => name);
    this.#spec = parts.spec;
    this.#source = parts.source;
    this.#state = new StateDict(parts);
    this.#native = parts.native;
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

  get threads(): number {
    return this.#native.threads;
  }

  /** One pass over given decoder inputs: logits, and on request loss, hidden states and cross-attentions. */
  async forward(inputs: ForwardInputs): Promise<ForwardOutput> {
    const site = callSite();
    this.#checkAlive();
    const request = this.#forwardRequest(inputs);
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

  /** `cacheBytes` is reserved address space: pages are committed as rows use them. */
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
      () => this.#native.generate(asNative(pixelValues), resolved.prompts, native, onToken),
      options.signal,
      site,
    );
  }

  #resolve(pixelValues: Tensor, options: GenerateOptions): ResolvedGenerateOptions {
    checkTensor(pixelValues, 4, 'pixelValues');
    const { vocabSize, maxPositions } = this.#spec.decoder;
    const resolved = resolveGenerateOptions({
      call: options,
      model: this.generationConfig,
      config: { vocabSize, maxPositions, encoderModelType: this.config.encoder.modelType },
      batchSize: pixelValues.dims[0] ?? 0,
    });
    checkPixels(pixelValues, this.#spec, resolved.interpolatePosEncoding || this.#adaptive());
    return resolved;
  }

  #adaptive(): boolean {
    return encoderFor(this.config.encoder.modelType).imageSizes(this.config.encoder) === 'adaptive';
  }

  async #attentions(
    pixelValues: Tensor,
    resolved: ResolvedGenerateOptions,
    output: GenerateOutput,
    options: GenerateOptions,
  ): Promise<Tensor[]> {
    const batch = pixelValues.dims[0] ?? 1;
    const repeat = output.sequences.length / batch;
    const size = pixelValues.data.length / batch;
    const data = new Float32Array(size * output.sequences.length);
    for (let row = 0; row < output.sequences.length; row++) {
      const image = Math.floor(row / repeat);
      data.set(pixelValues.data.subarray(image * size, (image + 1) * size), row * size);
    }
    const forward = await this.forward({
      pixelValues: { data, dims: [output.sequences.length, ...pixelValues.dims.slice(1)] },
      decoderInputIds: attentionInputs(output, resolved),
      outputAttentions: true,
      interpolatePosEncoding: resolved.interpolatePosEncoding,
      ...(options.signal && { signal: options.signal }),
    });
    return forward.crossAttentions ?? [];
  }

  #forwardRequest(inputs: ForwardInputs): NativeForwardRequest {
    for (const name of Object.keys(inputs)) {
      if (FORWARD_INPUTS.includes(name)) continue;
      const hint = nearest(name, FORWARD_INPUTS);
      throw new OptionError(
        'UNKNOWN_OPTION',
        `forward: expected a known input, got '${name}'${hint ? `; did you mean '${hint}'?` : ''}`,
      );
    }
    const { pixelValues, encoderLastHiddenState: states } = inputs;
    if (!pixelValues === !states) {
      throw new OptionError(
        'INPUT_REQUIRED',
        'forward: expected one of pixelValues and encoderLastHiddenState, got ' + (states ? 'both' : 'none'),
      );
    }
    const request: NativeForwardRequest = {
      ...this.#decoderInputs(inputs),
      outputHiddenStates: inputs.outputHiddenStates ?? false,
      outputAttentions: inputs.outputAttentions ?? false,
    };
    if (pixelValues) {
      checkPixels(pixelValues, this.#spec, (inputs.interpolatePosEncoding ?? false) || this.#adaptive());
      request.pixelValues = asNative(pixelValues);
    } else if (states) {
      checkTensor(states, 3, 'encoderLastHiddenState');
      const width = this.#spec.encoder.hiddenSize;
      if (states.dims[2] !== width)
        throw shapeError('encoderLastHiddenState', `a last dimension of ${width}`, states.dims[2]);
      request.encoderStates = asNative(states);
    }
    const batch = (pixelValues ?? states)?.dims[0];
    if (request.decoderInputIds.length !== batch)
      throw shapeError('decoderInputIds', `${batch} rows, one per image`, request.decoderInputIds.length);
    return request;
  }

  #decoderInputs(
    inputs: ForwardInputs,
  ): Pick<NativeForwardRequest, 'decoderInputIds' | 'decoderAttentionMask' | 'labels'> {
    const { vocabSize, maxPositions } = this.#spec.decoder;
    const labels = inputs.labels && checkIdRows(inputs.labels, 'labels', vocabSize, [-100]);
    const given = inputs.decoderInputIds ?? (labels && shiftRight(labels, this.config));
    if (!given) throw new OptionError('INPUT_REQUIRED', 'forward: expected decoderInputIds or labels, got neither');
    const decoderInputIds = checkIdRows(given, 'decoderInputIds', vocabSize);
    const width = decoderInputIds[0]?.length ?? 0;
    if (width > maxPositions) throw shapeError('decoderInputIds', `at most ${maxPositions} ids per row`, width);
    const mask = inputs.decoderAttentionMask && checkIdRows(inputs.decoderAttentionMask, 'decoderAttentionMask', 2);
    for (const [name, rows] of [
      ['decoderAttentionMask', mask],
      ['labels', labels],
    ] as const) {
      if (rows && (rows.length !== decoderInputIds.length || rows[0]?.length !== width)) {
        throw shapeError(
          name,
          `the shape of decoderInputIds (${decoderInputIds.length}×${width})`,
          `${rows.length}×${rows[0]?.length}`,
        );
      }
    }
    return { decoderInputIds, ...(mask && { decoderAttentionMask: mask }), ...(labels && { labels }) };
  }
}

function asNative(tensor: Tensor): NativeTensor {
  return { data: tensor.data, dims: [...tensor.dims] };
}

function shapeError(name: string, expected: string, got: unknown): OptionError {
  return new OptionError('SHAPE_MISMATCH', `${name}: expected ${expected}, got ${String(got)}`);
}

function toStreamed({ row, tokenId, logProb, finish }: NativeTokenEvent): StreamedToken {
  return finish === '' ? { row, tokenId, logProb } : { row, tokenId, logProb, finishReason: finish as FinishReason };
}
