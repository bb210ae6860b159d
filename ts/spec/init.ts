/**
 * How tensors that no checkpoint holds are drawn: transformers' `PreTrainedModel._init_weights` as data. An architecture
 * states its standard deviation and its exceptions; the role of each tensor (see WeightScope) gives the rest.
 */
import { ConfigError } from '../errors';

/** What a tensor is to its module, which decides how it starts. A `parameter` belongs to no standard module: it needs a rule. */
export type Role = 'weight' | 'bias' | 'normWeight' | 'normBias' | 'embedding' | 'parameter';

/** Independent values; `truncatedNormal` is a normal distribution cut at `low` and `high`, which are absolute. */
export type Distribution =
  | { kind: 'constant'; value: number }
  | { kind: 'normal'; std: number }
  | { kind: 'truncatedNormal'; std: number; low: number; high: number }
  | { kind: 'uniform'; bound: number }
  /** Not drawn at all: these values, row-major. */
  | { kind: 'values'; values: Float32Array };

export type Draw = Distribution | ((shape: readonly number[]) => Distribution);

export interface InitRules {
  /** Standard deviation of linear maps, convolutions and embeddings. Biases start at 0, norms at weight 1 and bias 0. */
  readonly std: number;
  /** Exceptions by the tensor's name below `encoder.` or `decoder.`; the first that matches counts, whatever the role. */
  readonly special?: readonly (readonly [name: RegExp, draw: Draw])[];
}

/** A tensor to be drawn. `zeroRow`: the row of an embedding that stays 0 (its padding index). */
export interface NewTensor {
  name: string;
  shape: number[];
  distribution: Distribution;
  zeroRow: number | null;
}

export const constant = (value: number): Distribution => ({ kind: 'constant', value });
export const zeros = constant(0);
export const normal = (std: number): Distribution => ({ kind: 'normal', std });
/** torch's trunc_normal_ with its default bounds: ±2, whatever the standard deviation. */
export const truncatedNormal = (std: number): Distribution => ({ kind: 'truncatedNormal', std, low: -2, high: 2 });

/** Glorot & Bengio 2010: uniform in ±√(6 / (fan in + fan out)). */
export const xavierUniform: Draw = (shape) => {
  const { fanIn, fanOut } = fans(shape);
  return { kind: 'uniform', bound: Math.sqrt(6 / (fanIn + fanOut)) };
};

/**
 * Variance 1 / fan in. transformers divides by the standard deviation of a normal distribution cut at ±2σ, yet cuts at ±2
 * (initialization.py, _variance_scaling); so does this.
 */
export const lecunNormal: Draw = (shape) => truncatedNormal(Math.sqrt(1 / fans(shape).fanIn) / 0.87962566103423978);

function fans([out = 1, width = 1, ...kernel]: readonly number[]): { fanIn: number; fanOut: number } {
  const field = kernel.reduce((product, side) => product * side, 1);
  return { fanIn: width * field, fanOut: out * field };
}

/**
 * A fixed table of positions (modeling_marian.py, MarianSinusoidalPositionalEmbedding.create_weight): row p holds
 * sin(p / 10000^(2j / width)) in its first half and the cosines in its second, computed in double precision.
 */
export const sinusoids: Draw = (shape) => {
  const half = Math.ceil((shape[1] ?? 1) / 2);
  return waves(shape, (column) => (column < half ? [Math.sin, column] : [Math.cos, column - half]));
};

/** The same with sines in the even columns and cosines in the odd (modeling_distilbert.py, create_sinusoidal_embeddings). */
export const interleavedSinusoids: Draw = (shape) =>
  waves(shape, (column) => [column % 2 === 0 ? Math.sin : Math.cos, Math.floor(column / 2)]);

function waves(
  [rows = 1, width = 1]: readonly number[],
  at: (column: number) => readonly [wave: (angle: number) => number, frequency: number],
): Distribution {
  const values = new Float32Array(rows * width);
  for (let column = 0; column < width; column++) {
    const [wave, frequency] = at(column);
    for (let row = 0; row < rows; row++) values[row * width + column] = wave(row / 10000 ** ((2 * frequency) / width));
  }
  return { kind: 'values', values };
}

/** transformers takes an initializer_range of 0 for a missing one. */
export const baseStd = (initializerRange: number): number => initializerRange || 0.02;

/** The distribution of one tensor. `name` is the full one, for messages; `local` the one below `encoder.` or `decoder.`. */
export function distributionOf(rules: InitRules, name: string, local: string, role: Role, shape: readonly number[]) {
  const special = rules.special?.find(([pattern]) => pattern.test(local))?.[1];
  if (special !== undefined) return typeof special === 'function' ? special(shape) : special;
  switch (role) {
    case 'weight':
    case 'embedding':
      return normal(rules.std);
    case 'bias':
    case 'normBias':
      return zeros;
    case 'normWeight':
      return constant(1);
    case 'parameter':
      throw new ConfigError('NO_INIT_RULE', `tensor ${name}: expected a rule to draw it by, got none`);
  }
}
