/** Native jobs as promises: abort signals, and native errors as this package's typed ones. */
import * as errors from '../errors';
import type { NativeJob } from './contract';

const CLASSES: Record<string, typeof errors.VedError> = {
  config: errors.ConfigError,
  weights: errors.WeightsError,
  option: errors.OptionError,
  unsupported: errors.UnsupportedError,
  image: errors.ImageError,
  device: errors.DeviceError,
  memory: errors.OutOfMemoryError,
  disposed: errors.DisposedError,
};

interface NativeFailure {
  message: string;
  code?: unknown;
  kind?: unknown;
}

/** The place of the call, taken before anything asynchronous: errors of the native side carry its stack. */
export function callSite(): Error {
  return new Error();
}

/** A native error as a typed one; whatever user code threw is passed on as it is. */
export function toTyped(error: unknown, site: Error): unknown {
  const { message, code, kind } = (error ?? {}) as NativeFailure;
  if (typeof code !== 'string' || typeof kind !== 'string') return error;
  const Class = CLASSES[kind] ?? errors.VedError;
  const typed = new Class(code, message);
  const frames = site.stack?.split('\n').slice(2).join('\n') ?? '';
  typed.stack = `${typed.name}: ${message}\n${frames}`;
  return typed;
}

/** Calls the native side now; its synchronous errors become typed ones. */
export function call<T>(run: () => T, site: Error): T {
  try {
    return run();
  } catch (error) {
    throw toTyped(error, site);
  }
}

export interface JobOptions {
  cancel: (id: number) => void;
  signal?: AbortSignal | undefined;
  site: Error;
}

/** Runs a job to its end. Aborting rejects with the signal's reason as soon as the native side has let go. */
export async function runJob<T>(start: () => NativeJob<T>, { cancel, signal, site }: JobOptions): Promise<T> {
  signal?.throwIfAborted();
  const { id, promise } = call(start, site);
  const abort = () => cancel(id);
  signal?.addEventListener('abort', abort, { once: true });
  try {
    return await promise;
  } catch (error) {
    if (signal?.aborted && (error as NativeFailure).code === 'ABORTED') throw signal.reason;
    throw toTyped(error, site);
  } finally {
    signal?.removeEventListener('abort', abort);
  }
}
