import { OptionError } from '../errors';
import { SETTING_NAMES } from './settings';

/** Options of `preprocess`: any setting of the processor for this call, in camelCase; sizes as in the config file. */
export interface PreprocessOptions {
  readonly doResize?: boolean;
  readonly size?: number | readonly number[] | Readonly<Record<string, number>>;
  readonly resample?: number;
  readonly doCenterCrop?: boolean;
  readonly cropSize?: number | readonly number[] | Readonly<Record<string, number>>;
  readonly doRescale?: boolean;
  readonly rescaleFactor?: number;
  readonly doNormalize?: boolean;
  readonly imageMean?: number | readonly number[];
  readonly imageStd?: number | readonly number[];
  readonly doPad?: boolean;
  readonly doThumbnail?: boolean;
  readonly doAlignLongAxis?: boolean;
  readonly doCropMargin?: boolean;
  readonly cropPct?: number;
  /** Images of more pixels are refused before they are decoded. Default 178956970, as in Pillow. */
  readonly maxPixels?: number;
  readonly signal?: AbortSignal;
}

export const PREPROCESS_OPTION_NAMES: readonly string[] = [...SETTING_NAMES, 'maxPixels', 'signal'];

/** Refuses unknown names, naming the nearest known one. */
export function checkOptionNames(options: object, known: readonly string[]): void {
  for (const name of Object.keys(options)) {
    if (known.includes(name)) continue;
    const near = nearestName(name, known);
    throw new OptionError(
      'UNKNOWN_OPTION',
      `expected an option of the image processor, got ${name}${near === undefined ? '' : `; did you mean ${near}?`}`,
    );
  }
}

function nearestName(name: string, known: readonly string[]): string | undefined {
  const plain = (text: string): string => text.replaceAll('_', '').toLowerCase();
  const ranked = known.map((candidate) => ({ candidate, distance: editDistance(plain(name), plain(candidate)) }));
  ranked.sort((a, b) => a.distance - b.distance);
  const best = ranked[0];
  return best !== undefined && best.distance <= Math.max(2, name.length / 3) ? best.candidate : undefined;
}

function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, i) => i);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const replaced = (row[j - 1] as number) + (a[i - 1] === b[j - 1] ? 0 : 1);
      next.push(Math.min(replaced, (row[j] as number) + 1, (next[j - 1] as number) + 1));
    }
    row = next;
  }
  return row[b.length] as number;
}
