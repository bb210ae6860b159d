import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { ImageError } from '../errors';

/** Largest encoded image that is fetched. */
const MAX_DOWNLOAD_BYTES = 512 * 1024 * 1024;
const FETCH_TIMEOUT_MS = 60_000;

/** How an error names an encoded image. */
export function describeSource(input: string | URL | Uint8Array): string {
  if (input instanceof Uint8Array) return `image bytes (${input.byteLength})`;
  const text = String(input);
  return text.startsWith('data:') ? `data: URL (${text.length} characters)` : `image ${text}`;
}

/** The encoded bytes: a copy of bytes given, so that the caller's buffer may be moved while a decoder works. */
export async function readSource(input: string | URL | Uint8Array, signal?: AbortSignal): Promise<Buffer> {
  if (input instanceof Uint8Array) return Buffer.from(input);
  try {
    const url = asUrl(input);
    if (url === undefined) return await readFile(input as string, { signal });
    if (url.protocol === 'file:') return await readFile(fileURLToPath(url), { signal });
    return await fetchBytes(url, signal);
  } catch (error) {
    signal?.throwIfAborted();
    if (error instanceof ImageError) throw error;
    const reason = ((error as Error).cause as Error | undefined)?.message ?? (error as Error).message;
    throw new ImageError('IMAGE_READ_FAILED', `${describeSource(input)}: expected a readable image, got: ${reason}`, {
      cause: error,
    });
  }
}

/** A URL if the input is one; a path (a Windows drive letter included) is not. */
function asUrl(input: string | URL): URL | undefined {
  if (input instanceof URL) return checkProtocol(input);
  return /^(https?:\/\/|file:|data:)/iu.test(input) ? checkProtocol(new URL(input)) : undefined;
}

function checkProtocol(url: URL): URL {
  if (['http:', 'https:', 'file:', 'data:'].includes(url.protocol)) return url;
  throw new ImageError(
    'IMAGE_READ_FAILED',
    `image ${url.href}: expected http:, https:, file: or data:, got ${url.protocol}`,
  );
}

async function fetchBytes(url: URL, signal?: AbortSignal): Promise<Buffer> {
  const timeout = AbortSignal.timeout(FETCH_TIMEOUT_MS);
  const response = await fetch(url, { signal: signal === undefined ? timeout : AbortSignal.any([signal, timeout]) });
  if (!response.ok || response.body === null) {
    await response.body?.cancel();
    throw new ImageError('IMAGE_READ_FAILED', `image ${url.href}: expected HTTP status 200, got ${response.status}`);
  }
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of response.body as unknown as AsyncIterable<Uint8Array>) {
    size += chunk.byteLength;
    if (size > MAX_DOWNLOAD_BYTES) {
      throw new ImageError(
        'IMAGE_TOO_LARGE',
        `${describeSource(url)}: expected at most ${MAX_DOWNLOAD_BYTES} bytes, got more`,
      );
    }
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}
