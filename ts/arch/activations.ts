/** Hugging Face's activation names (ACT2FN). */
import { UnsupportedError } from '../errors';
import type { Activation } from '../spec/model-spec';
import { show } from './config-class';

const ACTIVATIONS: ReadonlyMap<string, Activation> = new Map<string, Activation>([
  ['linear', 'identity'],
  ['gelu', 'gelu'],
  ['gelu_python', 'gelu'],
  ['gelu_new', 'geluTanh'],
  ['gelu_fast', 'geluTanh'],
  ['gelu_accurate', 'geluTanh'],
  ['gelu_pytorch_tanh', 'geluTanh'],
  ['gelu_python_tanh', 'geluTanh'],
  ['quick_gelu', 'quickGelu'],
  ['relu', 'relu'],
  ['relu2', 'relu2'],
  ['relu6', 'relu6'],
  ['leaky_relu', 'leakyRelu'],
  ['silu', 'silu'],
  ['swish', 'silu'],
  ['sigmoid', 'sigmoid'],
  ['tanh', 'tanh'],
  ['mish', 'mish'],
]);

/** The activation a config names under `key`. */
export function activation(name: string, key: string): Activation {
  const found = ACTIVATIONS.get(name);
  if (found) return found;
  const known = [...ACTIVATIONS.keys()].join(', ');
  throw new UnsupportedError('UNSUPPORTED_ACTIVATION', `config ${key}: expected one of ${known}, got ${show(name)}`);
}
