/** The typed contract of the native binary: every function and class it exports, and nothing else touches it. */
import type { ResolvedGenerateOptions } from '../generation/options';
import type { ModelSource, ModelSpec } from '../spec/model-spec';

export interface NativeTensor {
  data: Float32Array;
  dims: number[];
}

/** Pixel values [batch, channels, height, width], or the images they come from (ts/image/held.ts). */
export type NativePixels = NativeTensor | { readonly images: readonly object[] };

export interface NativeLoadOptions {
  backend: 'cpu' | 'reference' | 'cuda';
  device?: number; // of 'cuda'
  isa: 'auto' | 'scalar' | 'avx2' | 'avx512' | 'neon';
  dtype: 'float32' | 'bfloat16' | 'float16' | 'int8';
  threads: number; // 0: chosen from the machine
  maxBatch: number; // decoder rows held at once
  fuse: boolean;
}

/** Options of one generate call: `decode::Options`, and what only the addon reads. */
export interface NativeGenerateOptions extends Omit<
  ResolvedGenerateOptions,
  'prompts' | 'outputCrossAttentions' | 'interpolatePosEncoding'
> {
  /** Text or bytes of every token id, for stop strings. */
  tokenText?: (string | Uint8Array)[];
  userProcessor?: (ids: number[], scores: Float32Array, row: number) => void;
  userCriterion?: (ids: number[], scores: Float32Array, row: number) => boolean;
  prefixAllowed?: (row: number, ids: number[]) => number[];
}

export interface NativeSequence {
  ids: number[];
  tokenLogProbs: number[];
  score: number;
  beamIndices: number[];
  finish: 'eos' | 'length' | 'stopString' | 'time' | 'criterion';
}

/** Sequences in the order image, search, rank. */
export interface NativeGenerateResult {
  sequences: NativeSequence[];
  /** [search][step] values [rows of the search · vocab]; empty without outputScores. */
  scores: NativeTensor[][];
}

export interface NativeForwardRequest {
  pixelValues?: NativePixels;
  encoderStates?: NativeTensor;
  decoderInputIds: number[][];
  decoderAttentionMask?: number[][];
  labels?: number[][];
  outputHiddenStates: boolean;
  outputAttentions: boolean;
}

export interface NativeForwardResult {
  /** 0 without labels */
  loss: number;
  logits: NativeTensor;
  encoderLastHiddenState: NativeTensor;
  encoderHiddenStates?: NativeTensor[];
  decoderHiddenStates?: NativeTensor[];
  crossAttentions?: NativeTensor[];
}

export interface NativeTokenEvent {
  row: number;
  tokenId: number;
  logProb: number;
  finish: string; // '' while the row goes on
}

/** Every started job resolves or rejects its promise exactly once; `cancel` rejects it with code ABORTED. */
export interface NativeJob<T> {
  id: number;
  promise: Promise<T>;
}

export interface NativeModel {
  readonly backend: string;
  readonly threads: number;
  /** Takes images whose pixel values are still to be computed. */
  readonly preparesPixels: boolean;
  forward(request: NativeForwardRequest): NativeJob<NativeForwardResult>;
  /** `prompts`: one per image. `onToken` streams the tokens of single-row searches as they come. */
  generate(
    pixelValues: NativePixels,
    prompts: number[][],
    options: NativeGenerateOptions,
    onToken: ((event: NativeTokenEvent) => void) | undefined,
  ): NativeJob<NativeGenerateResult>;
  cancel(jobId: number): void;
  memory(): { weightBytes: number; cacheBytes: number; workspaceBytes: number };
  /** A piece of a tensor that was drawn: `buffer` indexes the source's `created`. */
  readOwned(buffer: number, first: number, count: number): Float32Array;
  /** The op lists as text, for tests. */
  dumpPlan(entry: 'encode' | 'cross' | 'decode' | 'head'): string;
  dispose(): Promise<void>;
}

/** What keeps CUDA from being used, or what it can be used on. */
export interface CudaReport {
  available: boolean;
  /** The host emulator of the tests: never chosen by 'auto'. */
  emulated: boolean;
  reason: string; // '' when available
  library: string;
  driver: string; // the newest CUDA the driver supports, '' without one
  runtime: string;
  devices: {
    index: number;
    name: string;
    computeCapability: string;
    multiprocessors: number;
    memoryBytes: number;
    freeBytes: number;
    usable: boolean;
    reason: string;
  }[];
  /**
   * The cuBLAS library that computes large products in 16 bits; `library` is '' where own kernels compute all, `reason` says
   * why then, and is '' too without a usable device.
   */
  cublas: { library: string; version: string; reason: string };
}

export interface NativeModule {
  readonly napiVersion: number;
  /** `seed`: of the tensors that the source has to create; values depend on seed and name alone. */
  loadModel(
    source: ModelSource & { seed?: number },
    spec: ModelSpec,
    options: NativeLoadOptions,
  ): NativeJob<NativeModel>;
  cancelLoad(jobId: number): void;
  /** The spec as the native side understood it: equal to its argument. */
  echoSpec(spec: ModelSpec): ModelSpec;
  /** Instruction sets this build and machine can run, best first. */
  cudaReport(): CudaReport;
  cpuFeatures(): { isas: string[]; best: string; hardwareThreads: number };
  processImage(...args: unknown[]): Promise<unknown>;
  holdImage(...args: unknown[]): Promise<unknown>;
}
