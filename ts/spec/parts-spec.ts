/** What encoder and decoder have in common, and where tensors come from. */
import type { NewTensor } from './init';

/** Index into {@link ModelSource.tensors}. */
export type TensorRef = number;

/** What every place has in common; data is row-major and contiguous. */
interface TensorHeader {
  name: string;
  byteLength: number;
  dtype: 'F32' | 'F16' | 'BF16';
  shape: number[];
}

/** A range of a file. `file` indexes {@link ModelSource.files}. */
export interface TensorInFile extends TensorHeader {
  kind: 'file';
  file: number;
  offset: number;
}

/** A whole tensor in memory, float32. `buffer` indexes {@link ModelSource.created}. */
export interface TensorInMemory extends TensorHeader {
  kind: 'memory';
  buffer: number;
}

/** Where a tensor comes from, and where saving takes it from. */
export type TensorPlace = TensorInFile | TensorInMemory;

export interface ModelSource {
  files: { path: string; size: number; mtimeMs: number }[];
  tensors: TensorPlace[];
  /** Tensors that no file holds: drawn when the model is loaded, then kept in memory. */
  created: NewTensor[];
}

/** A block of rows of a linear map: `weight` is [out, in] (`outIn`) or [in, out] (`inOut`, GPT-2's Conv1D). */
export interface LinearPart {
  weight: TensorRef;
  bias: TensorRef | null;
  layout: 'outIn' | 'inOut';
  out: number;
}

/** Parts are stacked along the output axis: separate q, k and v become one map. */
export interface Linear {
  in: number;
  out: number;
  parts: LinearPart[];
}

/** `layer`: (x - mean) / √(variance + eps) · weight + bias. `rms`: x / √(mean of x² + eps) · weight. */
export type Norm =
  { kind: 'layer'; weight: TensorRef; bias: TensorRef; eps: number } | { kind: 'rms'; weight: TensorRef; eps: number };

export type Activation =
  | 'identity'
  | 'gelu'
  | 'geluTanh'
  | 'quickGelu'
  | 'relu'
  | 'relu2'
  | 'relu6'
  | 'leakyRelu'
  | 'silu'
  | 'sigmoid'
  | 'tanh'
  | 'mish';

export interface Mlp {
  up: Linear;
  activation: Activation;
  down: Linear;
}

/** `pre`: x += f(norm(x)); `post`: x = norm(x + f(x)). */
export type NormPosition = 'pre' | 'post';
