import { ConfigError } from '../errors';
import type { Size } from './settings';

export interface Extent {
  readonly width: number;
  readonly height: number;
}

/** Python's round(): halves go to the even neighbour. */
function roundHalfEven(value: number): number {
  const floor = Math.floor(value);
  const rest = value - floor;
  if (rest !== 0.5) return Math.round(value);
  return floor % 2 === 0 ? floor : floor + 1;
}

/** Short side = s, long side = int(s * long / short) (transformers 5.18 get_resize_output_image_size). */
export function shortestEdgeExtent(image: Extent, shortest: number): Extent {
  const landscape = image.width > image.height;
  const short = landscape ? image.height : image.width;
  const long = landscape ? image.width : image.height;
  const newLong = Math.trunc((shortest * long) / short);
  return landscape ? { width: newLong, height: shortest } : { width: shortest, height: newLong };
}

/** Short side = s unless the long side would pass its limit (get_size_with_aspect_ratio). */
function boundedEdgeExtent(image: Extent, shortest: number, longest: number): Extent {
  const short = Math.min(image.width, image.height);
  const long = Math.max(image.width, image.height);
  const raw = (long / short) * shortest > longest ? (longest * short) / long : shortest;
  const side = roundHalfEven(raw);
  if (short === side) return { width: image.width, height: image.height };
  if (image.width < image.height) return { width: side, height: Math.trunc((raw * image.height) / image.width) };
  return { width: Math.trunc((raw * image.width) / image.height), height: side };
}

/** The largest extent of the same ratio inside maxHeight x maxWidth (get_image_size_for_max_height_width). */
function withinExtent(image: Extent, maxHeight: number, maxWidth: number): Extent {
  const scale = Math.min(maxHeight / image.height, maxWidth / image.width);
  return { width: Math.trunc(image.width * scale), height: Math.trunc(image.height * scale) };
}

/** What `size` asks for, given the image. */
export function targetExtent(image: Extent, size: Size): Extent {
  switch (size.kind) {
    case 'exact':
      return { width: size.width, height: size.height };
    case 'shortestEdge':
      return size.longest === undefined
        ? shortestEdgeExtent(image, size.shortest)
        : boundedEdgeExtent(image, size.shortest, size.longest);
    case 'within':
      return withinExtent(image, size.maxHeight, size.maxWidth);
  }
}

/** `size` where only a height and a width make sense. */
export function exactExtent(size: Size, key: string): Extent {
  if (size.kind === 'exact') return { width: size.width, height: size.height };
  throw new ConfigError('IMAGE_CONFIG_INVALID', `${key}: expected { height, width }, got ${JSON.stringify(size)}`);
}

/** Donut and Nougat: no side above the target; the longer input side sets the other, truncated. */
export function thumbnailExtent(image: Extent, target: Extent): Extent {
  const height = Math.min(image.height, target.height);
  const width = Math.min(image.width, target.width);
  if (height === image.height && width === image.width) return { width, height };
  if (image.height > image.width) return { width: Math.trunc((image.width * height) / image.height), height };
  if (image.width > image.height) return { width, height: Math.trunc((image.height * width) / image.width) };
  return { width, height };
}

/** Whether image and target lie on different long axes. */
export function axesDiffer(image: Extent, target: Extent): boolean {
  return (
    (target.width < target.height && image.width > image.height) ||
    (target.width > target.height && image.width < image.height)
  );
}
