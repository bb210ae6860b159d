/** One value per option from a call, the model's defaults and the table; everything checked against the table. */
import { OptionError, UnsupportedError } from '../errors.js';
import { toSnakeCase } from '../names.js';
import { nearestName } from './names.js';
import {
  CONFIG_OPTION_NAMES,
  isConfigOption,
  isOption,
  OPTION_NAMES,
  specOf,
  type OptionName,
  type OptionSpec,
} from './option-specs.js';

export type Source = 'call' | 'model' | 'default';

/** The merged value of every option, and where it came from. */
export class Merged {
  constructor(
    readonly values: Readonly<Record<string, unknown>>,
    private readonly sources: Readonly<Record<string, Source>>,
  ) {}

  get<T>(name: OptionName): T {
    return this.values[name] as T;
  }
  sourceOf(name: OptionName): Source {
    return this.sources[name] ?? 'default';
  }
}

export function show(value: unknown): string {
  if (typeof value === 'function') return 'a function';
  if (typeof value === 'bigint') return `${value}n`;
  if (typeof value === 'number') return String(value);
  try {
    const text = JSON.stringify(value) ?? String(value);
    return text.length > 80 ? `${text.slice(0, 77)}...` : text;
  } catch {
    return 'an object';
  }
}

export function outOfRange(name: string, expected: string, got: unknown): OptionError {
  return new OptionError('OPTION_OUT_OF_RANGE', `${name}: expected ${expected}, got ${show(got)}`);
}

/** Merges: call over model over table. `undefined` is absent; null in a call switches the option off. */
export function mergeOptions(call: object, model: object, vocabSize: number): Merged {
  refuseUnknown(call, 'call');
  refuseUnknown(model, 'model');
  const values: Record<string, unknown> = {};
  const sources: Record<string, Source> = {};
  for (const name of OPTION_NAMES) {
    const spec = specOf(name);
    const given = pickValue(name, spec, call as Record<string, unknown>, model as Record<string, unknown>);
    checkValue(name, spec, given, vocabSize);
    values[name] = given.value;
    sources[name] = given.source;
  }
  return new Merged(values, sources);
}

interface Given {
  value: unknown;
  source: Source;
}

function pickValue(
  name: OptionName,
  spec: OptionSpec,
  call: Record<string, unknown>,
  model: Record<string, unknown>,
): Given {
  const own = call[name];
  if (own === null) return { value: spec.neutral, source: 'default' };
  if (own !== undefined) return { value: own, source: 'call' };
  const inherited = isConfigOption(name) ? model[name] : undefined;
  if (inherited !== undefined && inherited !== null) return { value: inherited, source: 'model' };
  return { value: spec.fallback, source: 'default' };
}

function refuseUnknown(options: object, source: Source): void {
  const known = source === 'call' ? isOption : isConfigOption;
  const names: readonly string[] = source === 'call' ? OPTION_NAMES : CONFIG_OPTION_NAMES;
  for (const [name, value] of Object.entries(options)) {
    if (known(name) || value === undefined) continue;
    const where = source === 'call' ? '' : ' in generationConfig';
    throw new OptionError(
      'UNKNOWN_OPTION',
      `unknown option ${name}${where}; did you mean ${nearestName(name, names)}?`,
    );
  }
}

function label(name: string, source: Source): string {
  return source === 'model' ? `${name} (${toSnakeCase(name)} of the model's generation config)` : name;
}

function checkValue(name: OptionName, spec: OptionSpec, given: Given, vocabSize: number): void {
  const { value, source } = given;
  if (source === 'default' || spec.support === 'inert') return;
  if (spec.support === 'used') {
    if (!spec.type.fits(value)) throw outOfRange(label(name, source), spec.type.expected, value);
    for (const id of spec.type.ids?.(value) ?? []) {
      if (id >= vocabSize) {
        throw outOfRange(label(name, source), `token ids below the vocabulary size ${vocabSize}`, id);
      }
    }
    return;
  }
  if (spec.support === 'output' && source === 'model') return;
  if (!isNeutral(value, spec)) {
    const expected = spec.neutral === null ? 'no value' : `${show(spec.neutral)} or no value`;
    const message = `${label(name, source)} is not supported: expected ${expected}, got ${show(value)}`;
    throw new UnsupportedError('UNSUPPORTED_OPTION', message);
  }
}

function isNeutral(value: unknown, spec: OptionSpec): boolean {
  return value === spec.neutral || value === false || (Array.isArray(value) && value.length === 0);
}
