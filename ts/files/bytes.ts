import { constants, type Stats } from 'node:fs';
import { open, realpath, stat, type FileHandle } from 'node:fs/promises';
import type { VedError } from '../errors.js';

/** The constructor of an error class, so that a helper can throw the class its caller promises. */
export type ErrorClass = new (code: string, message: string, options?: ErrorOptions) => VedError;

/** Upper bound of one read() system call; larger requests are split (some systems refuse or shorten reads above 2 GiB). */
const MAX_CHUNK = 1 << 26;

/** An open regular file whose identity (real path, size, time of change) was taken from the handle itself. */
export interface OpenFile {
  readonly handle: FileHandle;
  readonly path: string;
  readonly size: number;
  readonly mtimeMs: number;
}

/** The code of a system error (`ENOENT`, …), or undefined for anything else. */
export function errnoOf(error: unknown): string | undefined {
  if (typeof error !== 'object' || error === null || !('code' in error)) return undefined;
  return typeof error.code === 'string' ? error.code : undefined;
}

/** True for the system errors which say that nothing lies at a path. */
export function isMissing(error: unknown): boolean {
  const code = errnoOf(error);
  return code === 'ENOENT' || code === 'ENOTDIR';
}

/**
 * Opens a regular file, hands it to `use` and closes it whatever happens. Pipes, devices and folders are refused before
 * and after opening (O_NONBLOCK keeps a pipe swapped in between from blocking), so that nothing here can hang.
 */
export async function withFile<T>(path: string, Fail: ErrorClass, use: (file: OpenFile) => Promise<T>): Promise<T> {
  let handle: FileHandle | undefined;
  try {
    const real = await realpath(path);
    requireRegular(await stat(real), path, Fail);
    handle = await open(real, constants.O_RDONLY | (constants.O_NONBLOCK ?? 0));
    const info = await handle.stat();
    requireRegular(info, path, Fail);
    return await use({ handle, path: real, size: info.size, mtimeMs: info.mtimeMs });
  } catch (error) {
    const code = errnoOf(error);
    if (code === undefined || !/^E[A-Z0-9]+$/.test(code)) throw error;
    if (isMissing(error))
      throw new Fail('FILE_NOT_FOUND', `expected a file at ${path}, got nothing there`, { cause: error });
    throw new Fail('FILE_UNREADABLE', `expected a readable file at ${path}, got ${code}`, { cause: error });
  } finally {
    await handle?.close();
  }
}

function requireRegular(info: Stats, path: string, Fail: ErrorClass): void {
  if (info.isFile()) return;
  const kind = info.isDirectory() ? 'a folder' : 'a special file';
  throw new Fail('FILE_NOT_REGULAR', `expected a regular file at ${path}, got ${kind}`);
}

/**
 * Reads exactly `length` bytes at `offset`. The range is checked against the size first, so a hostile length cannot
 * cause a large allocation; a short read (the file shrank meanwhile) is an error, never zero-filled.
 */
export async function readExactly(file: OpenFile, offset: number, length: number, Fail: ErrorClass): Promise<Buffer> {
  if (
    !Number.isSafeInteger(offset) ||
    !Number.isSafeInteger(length) ||
    offset < 0 ||
    length < 0 ||
    offset + length > file.size
  ) {
    throw new Fail(
      'FILE_TRUNCATED',
      `expected ${length} bytes at offset ${offset} of ${file.path}, got a file of ${file.size} bytes`,
    );
  }
  const buffer = Buffer.alloc(length);
  let done = 0;
  while (done < length) {
    const { bytesRead } = await file.handle.read(buffer, done, Math.min(length - done, MAX_CHUNK), offset + done);
    if (bytesRead === 0) {
      throw new Fail(
        'FILE_TRUNCATED',
        `expected ${length} bytes at offset ${offset} of ${file.path}, got ${done}: the file shrank`,
      );
    }
    done += bytesRead;
  }
  return buffer;
}

/** Decodes UTF-8 strictly: malformed bytes are an error instead of U+FFFD. A byte order mark is dropped unless kept. */
export function decodeUtf8(bytes: Uint8Array, what: string, Fail: ErrorClass, code: string, keepBom = false): string {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: keepBom }).decode(bytes);
  } catch (error) {
    throw new Fail(code, `expected valid UTF-8 in ${what}, got malformed bytes`, { cause: error });
  }
}
