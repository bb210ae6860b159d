/** From IMAGE arguments to a list of images with names. */
import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { ImageError } from '../errors';
import type { Session } from './io';

export interface NamedImage {
  name: string;
  input: string | Uint8Array;
}

export type FoundImage = NamedImage | { name: string; error: unknown };

const IMAGE_FILE = /\.(png|jpe?g|webp|gif|tiff?|avif)$/i;

/** In the order given; a folder stands for its image files. What cannot be listed is an entry with its error. */
export async function findImages(args: readonly string[], { io, signal }: Session): Promise<FoundImage[]> {
  const found: FoundImage[] = [];
  let bytes: Uint8Array | undefined;
  for (const arg of args) {
    try {
      if (arg === '-') found.push({ name: '-', input: (bytes ??= await readAll(io.stdin, signal)) });
      else found.push(...(await expand(arg)));
    } catch (error) {
      signal.throwIfAborted();
      found.push({ name: arg, error });
    }
  }
  return found;
}

async function expand(arg: string): Promise<NamedImage[]> {
  // What is not there is left to the decoder, whose error says so.
  const isFolder = await stat(arg).then(
    (info) => info.isDirectory(),
    () => false,
  );
  if (!isFolder) return [{ name: arg, input: arg }];
  const entries = await readdir(arg, { withFileTypes: true });
  const names = entries
    .filter((entry) => !entry.isDirectory() && IMAGE_FILE.test(entry.name))
    .map((entry) => entry.name);
  if (names.length === 0) {
    throw new ImageError('NO_IMAGES', 'expected image files (png, jpg, webp, gif, tif, avif) in this folder, got none');
  }
  return names.sort().map((name) => ({ name: join(arg, name), input: join(arg, name) }));
}

async function readAll(stream: AsyncIterable<Uint8Array>, signal: AbortSignal): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  const reading = (async () => {
    for await (const chunk of stream) chunks.push(chunk);
  })();
  // Nobody may ever write: an interrupt must not wait for the end of standard input.
  await Promise.race([reading, rejectOn(signal)]);
  return Buffer.concat(chunks);
}

function rejectOn(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    const fail = () => reject(signal.reason as Error);
    if (signal.aborted) fail();
    else signal.addEventListener('abort', fail, { once: true });
  });
}
