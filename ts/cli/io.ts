/** What a command may touch of the world, so that tests can hand it another one. */
import type { Writable } from 'node:stream';
import { OptionError } from '../errors';
import type { pipeline } from '../pipeline';

export const EXIT = { ok: 0, imagesFailed: 1, usage: 2, notLoaded: 3, interrupted: 130 } as const;

export type OutputStream = Writable & { isTTY?: boolean };

export interface CliIo {
  stdout: OutputStream;
  stderr: OutputStream;
  stdin: AsyncIterable<Uint8Array>;
  /** Aborted by SIGINT. */
  signal?: AbortSignal;
  /** Default: process.env. */
  env?: Readonly<Record<string, string | undefined>>;
  /** Default: the package's own. */
  pipeline?: typeof pipeline;
}

/** One run of a command: its streams, and one signal for all that ends it early. */
export class Session {
  readonly signal: AbortSignal;
  readonly #pipe = new AbortController();
  #progressShown = false;

  constructor(readonly io: CliIo) {
    this.signal = io.signal ? AbortSignal.any([io.signal, this.#pipe.signal]) : this.#pipe.signal;
    io.stdout.on('error', (error: NodeJS.ErrnoException) => this.#pipe.abort(error));
    io.stderr.on('error', () => undefined); // nowhere left to report it
  }

  /** The reader of standard output has gone (`ved … | head -1`): nobody is left to fail for. */
  get pipeBroken(): boolean {
    return this.#pipe.signal.aborted && (this.#pipe.signal.reason as NodeJS.ErrnoException).code === 'EPIPE';
  }

  /** Writes to standard output; resolves when the stream has taken it. */
  print(text: string): Promise<void> {
    this.signal.throwIfAborted();
    this.clearProgress();
    return new Promise((resolve, reject) => {
      this.io.stdout.write(text, (error) => (error ? reject(error) : resolve()));
    });
  }

  note(line: string): void {
    this.clearProgress();
    this.io.stderr.write(`${line}\n`);
  }

  report(error: unknown, subject = ''): void {
    this.note(`ved: ${subject && `${subject}: `}${describeError(error, this.#env('VED_DEBUG') === '1')}`);
  }

  /** A line that the next one replaces; on a terminal only. */
  progress(line: string): void {
    if (!this.io.stderr.isTTY) return;
    this.io.stderr.write(`\r\x1b[K${line}`);
    this.#progressShown = true;
  }

  clearProgress(): void {
    if (this.#progressShown) this.io.stderr.write('\r\x1b[K');
    this.#progressShown = false;
  }

  #env(name: string): string | undefined {
    return (this.io.env ?? process.env)[name];
  }
}

export function usageError(message: string): OptionError {
  return new OptionError('USAGE', message);
}

/** By name: an error keeps it wherever its class was loaded from. */
export function isOptionError(error: unknown): boolean {
  return error instanceof Error && error.name === 'OptionError';
}

export function codeOf(error: unknown): string {
  const code = (error as { code?: unknown } | null)?.code;
  return typeof code === 'string' ? code : 'UNEXPECTED';
}

export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

function describeError(error: unknown, withStack: boolean): string {
  const stack = withStack && error instanceof Error && error.stack ? `\n${error.stack}` : '';
  return `${messageOf(error)} (${codeOf(error)})${stack}`;
}
