import { ConfigError, OptionError } from '../errors';
import type { Resample } from './native-image';

/** What a stored `size` may mean. */
export type Size =
  | { readonly kind: 'exact'; readonly height: number; readonly width: number }
  | { readonly kind: 'shortestEdge'; readonly shortest: number; readonly longest?: number }
  | { readonly kind: 'within'; readonly maxHeight: number; readonly maxWidth: number };

/** Which form of transformers' processors is followed: Pillow and numpy, or torchvision (transformers 5 where installed). */
export type ImageBackend = 'pil' | 'torchvision';

/** The settings of an image processor; but for `backend` the names are those of preprocessor_config.json in camelCase. */
export interface ProcessorSettings {
  readonly doResize: boolean;
  readonly size: Size;
  readonly resample: Resample;
  readonly doCenterCrop: boolean;
  readonly cropSize: Size;
  readonly doRescale: boolean;
  readonly rescaleFactor: number;
  readonly doNormalize: boolean;
  readonly imageMean: readonly number[];
  readonly imageStd: readonly number[];
  readonly doPad: boolean;
  readonly doThumbnail: boolean;
  readonly doAlignLongAxis: boolean;
  readonly doCropMargin: boolean;
  readonly cropPct: number;
  /** Never from a file: the names there say Fast or not, whatever computed the pixels. */
  readonly backend: ImageBackend;
}

type FileSetting = Exclude<keyof ProcessorSettings, 'backend'>;

/** How a processor reads the short forms of a size. */
export interface SizeForms {
  /** A whole number means a square (true) or the shortest edge (false). */
  readonly square: boolean;
  /** A list is [width, height] (Donut's old files) instead of [height, width]. */
  readonly widthFirst: boolean;
}

type Fail = typeof ConfigError | typeof OptionError;

/** One value to be read: its key as the user wrote it and the class and code of the error if it is wrong. */
interface Field {
  readonly key: string;
  readonly value: unknown;
  readonly fail: (expected: string) => Error;
}

const SNAKE_KEYS: Readonly<Record<FileSetting, string>> = {
  doResize: 'do_resize',
  size: 'size',
  resample: 'resample',
  doCenterCrop: 'do_center_crop',
  cropSize: 'crop_size',
  doRescale: 'do_rescale',
  rescaleFactor: 'rescale_factor',
  doNormalize: 'do_normalize',
  imageMean: 'image_mean',
  imageStd: 'image_std',
  doPad: 'do_pad',
  doThumbnail: 'do_thumbnail',
  doAlignLongAxis: 'do_align_long_axis',
  doCropMargin: 'do_crop_margin',
  cropPct: 'crop_pct',
};

/** The names of the settings a file may hold, as options are spelled. */
export const SETTING_NAMES = Object.keys(SNAKE_KEYS) as FileSetting[];

/** `base` with the values of a preprocessor_config.json; null and absent keys keep the default, unknown keys are ignored. */
export function settingsFromConfig(
  base: ProcessorSettings,
  config: Readonly<Record<string, unknown>>,
  forms: SizeForms,
): ProcessorSettings {
  return overlay(base, (name) => [SNAKE_KEYS[name], config[SNAKE_KEYS[name]]], forms, ConfigError);
}

/** `base` with the options of a call, in camelCase; their names are checked elsewhere. */
export function settingsFromOptions(
  base: ProcessorSettings,
  options: Readonly<Record<string, unknown>>,
  forms: SizeForms,
): ProcessorSettings {
  const backend = readBackend(options['backend'], base.backend);
  return overlay({ ...base, backend }, (name) => [name, options[name]], forms, OptionError);
}

/** A backend given as an option, else `fallback`. */
export function readBackend(value: unknown, fallback: ImageBackend): ImageBackend {
  if (value === undefined) return fallback;
  if (value === 'pil' || value === 'torchvision') return value;
  throw new OptionError('INVALID_OPTION', `backend: expected 'pil' or 'torchvision', got ${JSON.stringify(value)}`);
}

function overlay(
  base: ProcessorSettings,
  look: (name: FileSetting) => [string, unknown],
  forms: SizeForms,
  fail: Fail,
): ProcessorSettings {
  const result: Record<string, unknown> = { ...base };
  for (const name of SETTING_NAMES) {
    const [key, value] = look(name);
    if (value === undefined || value === null) continue;
    const code = fail === ConfigError ? 'IMAGE_CONFIG_INVALID' : 'INVALID_OPTION';
    const field: Field = {
      key,
      value,
      fail: (expected) => new fail(code, `${key}: expected ${expected}, got ${JSON.stringify(value)}`),
    };
    result[name] = readSetting(name, field, forms);
  }
  return result as unknown as ProcessorSettings;
}

function readSetting(name: FileSetting, field: Field, forms: SizeForms): unknown {
  switch (name) {
    case 'size':
      return readSize(field, forms);
    case 'cropSize':
      return readSize(field, { square: true, widthFirst: false });
    case 'resample':
      return readResample(field);
    case 'rescaleFactor':
      return readNumber(field);
    case 'cropPct':
      return readPositive(field);
    case 'imageMean':
      return readChannels(field, false);
    case 'imageStd':
      return readChannels(field, true);
    default:
      return readBoolean(field);
  }
}

function readBoolean({ value, fail }: Field): boolean {
  if (typeof value !== 'boolean') throw fail('true or false');
  return value;
}

function readNumber({ value, fail }: Field): number {
  if (typeof value !== 'number' || !Number.isFinite(value)) throw fail('a finite number');
  return value;
}

function readPositive(field: Field): number {
  const value = readNumber(field);
  if (value <= 0) throw field.fail('a number above 0');
  return value;
}

function readResample({ value, fail }: Field): Resample {
  if (typeof value !== 'number' || ![0, 1, 2, 3, 4, 5].includes(value)) throw fail('0 to 5 (Pillow’s filters)');
  return value as Resample;
}

/** Three numbers, or one for all channels. A standard deviation of 0 would divide by it. */
function readChannels({ value, fail }: Field, nonZero: boolean): number[] {
  const list: unknown[] = typeof value === 'number' ? [value, value, value] : Array.isArray(value) ? value : [];
  const good = (item: unknown): boolean =>
    typeof item === 'number' && Number.isFinite(item) && !(nonZero && item === 0);
  if (list.length !== 3 || !list.every(good))
    throw fail(nonZero ? '3 finite numbers other than 0' : '3 finite numbers');
  return list as number[];
}

function readSize(field: Field, forms: SizeForms): Size {
  const { value } = field;
  if (typeof value === 'number') {
    const side = readSide(field, value);
    return forms.square ? { kind: 'exact', height: side, width: side } : { kind: 'shortestEdge', shortest: side };
  }
  if (Array.isArray(value) && value.length === 2) {
    const [first, second] = [readSide(field, value[0]), readSide(field, value[1])];
    return forms.widthFirst
      ? { kind: 'exact', height: second, width: first }
      : { kind: 'exact', height: first, width: second };
  }
  if (typeof value === 'object' && value !== null && !Array.isArray(value))
    return readSizeObject(field, value as Record<string, unknown>);
  throw field.fail(SIZE_FORMS);
}

const SIZE_FORMS =
  'a whole number, a list of two, or { height, width }, { shortest_edge }, { shortest_edge, longest_edge } or { max_height, max_width }';

function readSizeObject(field: Field, value: Record<string, unknown>): Size {
  const entries = Object.entries(value).filter(([, side]) => side !== null && side !== undefined);
  const sides = new Map(
    entries.map(([key, side]) => [key.replace(/[A-Z]/gu, (c) => `_${c.toLowerCase()}`), readSide(field, side)]),
  );
  const side = (key: string): number => sides.get(key) as number;
  switch ([...sides.keys()].sort().join()) {
    case 'height,width':
      return { kind: 'exact', height: side('height'), width: side('width') };
    case 'shortest_edge':
      return { kind: 'shortestEdge', shortest: side('shortest_edge') };
    case 'longest_edge,shortest_edge':
      return { kind: 'shortestEdge', shortest: side('shortest_edge'), longest: side('longest_edge') };
    case 'max_height,max_width':
      return { kind: 'within', maxHeight: side('max_height'), maxWidth: side('max_width') };
    default:
      throw field.fail(SIZE_FORMS);
  }
}

/** Far above any model, far below what would overflow: a size is part of an untrusted file. */
const MAX_SIDE = 65536;

function readSide(field: Field, value: unknown): number {
  if (typeof value === 'number' && Number.isInteger(value) && value > 0 && value <= MAX_SIDE) return value;
  throw field.fail(`sides that are whole numbers from 1 to ${MAX_SIDE}`);
}
