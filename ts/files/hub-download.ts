import { createHash, type Hash } from 'node:crypto';
import { open, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { HubError } from '../errors.js';
import { errnoOf } from './bytes.js';
import { fileSize, isCommit, type RepoCache } from './hub-cache.js';

/** Progress of one file. */
export type DownloadProgress = (progress: { stage: string; file?: string; loaded: number; total: number }) => void;

// Local folders need none of it: loaded with the first model of the Hub, it is a third of what the package takes to load.
function client(): typeof import('@huggingface/hub') {
  // eslint-disable-next-line @typescript-eslint/no-require-imports
  return require('@huggingface/hub') as typeof import('@huggingface/hub');
}

export interface HubConnection {
  readonly endpoint: string;
  readonly token: string | undefined;
  readonly signal: AbortSignal | undefined;
  readonly onProgress: DownloadProgress | undefined;
}

/** One file of a commit, as the Hub lists it. `etag` is what the cache calls the blob. */
export interface RemoteFile {
  readonly path: string;
  readonly size: number;
  /** sha256 of the content (LFS), or git's sha1 of the blob. */
  readonly etag: string;
}

const MAX_LISTED = 100_000;
const ATTEMPTS = 3;
/** Failures that another attempt, or an older snapshot in the cache, may cure. */
const TRANSIENT = new Set(['HUB_UNREACHABLE', 'HUB_SERVER_ERROR', 'HUB_RATE_LIMITED', 'HUB_DOWNLOAD_INCOMPLETE']);

export function isTransient(error: unknown): boolean {
  return error instanceof HubError && TRANSIENT.has(error.code);
}

/** The commit a revision stands for now. */
export async function remoteCommit(hub: HubConnection, id: string, revision: string): Promise<string> {
  const info = await guarded(hub, id, revision, () =>
    client().modelInfo({
      name: id,
      revision,
      additionalFields: ['sha'],
      hubUrl: hub.endpoint,
      fetch: fetchFrom(hub, metadataTimeout()),
    }),
  );
  const commit: unknown = info.sha;
  if (typeof commit === 'string' && isCommit(commit)) return commit;
  throw new HubError(
    'HUB_ANSWER_INVALID',
    `expected a commit of 40 hex digits for ${id}@${revision}, got ${JSON.stringify(commit)}`,
  );
}

/** The files in the top folder of a commit, by name. Names and checksums are checked: they become paths in the cache. */
export async function remoteFiles(hub: HubConnection, id: string, commit: string): Promise<Map<string, RemoteFile>> {
  const files = new Map<string, RemoteFile>();
  await guarded(hub, id, commit, async () => {
    let listed = 0;
    for await (const entry of client().listFiles({
      repo: id,
      revision: commit,
      hubUrl: hub.endpoint,
      fetch: fetchFrom(hub, metadataTimeout()),
    })) {
      if (++listed > MAX_LISTED)
        throw new HubError('HUB_ANSWER_INVALID', `expected at most ${MAX_LISTED} files in ${id}, got more`);
      if (entry.type !== 'file' || !/^\w[\w.-]*$/.test(entry.path)) continue;
      const etag = entry.lfs?.oid ?? entry.oid;
      const size = entry.lfs?.size ?? entry.size;
      if (
        typeof etag !== 'string' ||
        !/^([0-9a-f]{40}|[0-9a-f]{64})$/.test(etag) ||
        !Number.isSafeInteger(size) ||
        size < 0
      ) {
        throw new HubError(
          'HUB_ANSWER_INVALID',
          `expected a checksum and a size for ${entry.path} of ${id}, got ${JSON.stringify([etag, size])}`,
        );
      }
      files.set(entry.path, { path: entry.path, size, etag });
    }
  });
  return files;
}

/** Makes one file present in the snapshot of a commit; does nothing when it is there already. */
export async function fetchIntoSnapshot(
  hub: HubConnection,
  id: string,
  commit: string,
  file: RemoteFile,
  cache: RepoCache,
): Promise<void> {
  hub.signal?.throwIfAborted();
  if ((await fileSize(join(cache.snapshot(commit), file.path))) === file.size) return;
  try {
    if ((await fileSize(cache.blob(file.etag))) !== file.size) await downloadBlob(hub, id, commit, file, cache);
    await cache.link(commit, file.path, file.etag);
  } catch (error) {
    if (errnoOf(error) === undefined || error instanceof HubError || hub.signal?.aborted === true) throw error;
    throw new HubError(
      'HUB_CACHE_WRITE',
      `expected to write ${file.path} below ${cache.folder}, got ${errnoOf(error)}`,
      { cause: error },
    );
  }
}

async function downloadBlob(
  hub: HubConnection,
  id: string,
  commit: string,
  file: RemoteFile,
  cache: RepoCache,
): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    const temporary = await cache.temporaryBlob(file.etag);
    try {
      await guarded(hub, id, commit, () => receive(hub, id, commit, file, temporary));
      return await rename(temporary, cache.blob(file.etag));
    } catch (error) {
      if (attempt === ATTEMPTS || !isTransient(error)) throw error;
    } finally {
      await rm(temporary, { force: true });
    }
    await delay(250 * 4 ** (attempt - 1), undefined, hub.signal ? { signal: hub.signal } : {}).catch(() =>
      hub.signal?.throwIfAborted(),
    );
  }
}

/** Streams a file to disk; length and checksum must come out as listed, and an endless body ends at the listed length. */
async function receive(
  hub: HubConnection,
  id: string,
  commit: string,
  file: RemoteFile,
  temporary: string,
): Promise<void> {
  const stalled = new AbortController();
  const idle = setTimeout(() => stalled.abort(new Error('no data within the time limit')), downloadTimeout());
  const handle = await open(temporary, 'wx');
  try {
    const url = `${hub.endpoint}/${id}/resolve/${commit}/${encodeURIComponent(file.path)}`;
    const response = await fetchFrom(hub, stalled.signal)(url, { headers: { 'accept-encoding': 'identity' } });
    if (!response.ok) throw Object.assign(new Error(`status ${response.status}`), { statusCode: response.status });
    const hash = contentHash(file);
    let loaded = 0;
    for await (const chunk of response.body ?? []) {
      idle.refresh();
      loaded += chunk.length;
      if (loaded > file.size)
        throw new HubError('HUB_SIZE_MISMATCH', `expected ${file.size} bytes of ${file.path} from ${id}, got more`);
      hash.update(chunk);
      await handle.writeFile(chunk);
      hub.onProgress?.({ stage: 'download', file: file.path, loaded, total: file.size });
    }
    if (loaded < file.size)
      throw new HubError(
        'HUB_DOWNLOAD_INCOMPLETE',
        `expected ${file.size} bytes of ${file.path} from ${id}, got ${loaded}`,
      );
    const digest = hash.digest('hex');
    if (digest !== file.etag)
      throw new HubError(
        'HUB_CHECKSUM_MISMATCH',
        `expected checksum ${file.etag} for ${file.path} from ${id}, got ${digest}`,
      );
    await handle.sync();
  } finally {
    clearTimeout(idle);
    await handle.close();
  }
}

/** LFS files are named by their sha256, others by git's blob hash: sha1 over "blob <size>\0" and the content. */
function contentHash(file: RemoteFile): Hash {
  return file.etag.length === 64 ? createHash('sha256') : createHash('sha1').update(`blob ${file.size}\0`);
}

/** fetch with the signals attached, and the token for the Hub's own origin only (redirects to a CDN lose it by fetch's own rule). */
function fetchFrom(hub: HubConnection, limit: AbortSignal): typeof fetch {
  const origin = new URL(hub.endpoint).origin;
  return async (input, init) => {
    const url = new URL(input instanceof Request ? input.url : input);
    const headers = new Headers(init?.headers);
    if (hub.token !== undefined && url.origin === origin) headers.set('authorization', `Bearer ${hub.token}`);
    return fetch(url, { ...init, headers, signal: hub.signal ? AbortSignal.any([hub.signal, limit]) : limit });
  };
}

/** Runs requests and names their failures; an abort passes through as the signal's reason. */
async function guarded<T>(hub: HubConnection, id: string, revision: string, action: () => Promise<T>): Promise<T> {
  try {
    return await action();
  } catch (error) {
    hub.signal?.throwIfAborted();
    if (error instanceof HubError) throw error;
    const status = (error as { statusCode?: unknown } | null)?.statusCode;
    if (typeof status === 'number') throw statusError(status, hub, id, revision, error);
    if (errnoOf(error) !== undefined && (error as { syscall?: unknown }).syscall !== undefined && !isNetwork(error))
      throw error;
    const cause = (error as { cause?: { code?: unknown; message?: unknown } }).cause;
    const detail = String(cause?.code ?? cause?.message ?? (error as Error).message);
    throw new HubError('HUB_UNREACHABLE', `expected an answer about ${id} from ${hub.endpoint}, got ${detail}`, {
      cause: error,
    });
  }
}

function isNetwork(error: unknown): boolean {
  return /^(ECONN|ENET|EHOST|EAI_|ENOTFOUND|ETIMEDOUT|EPIPE)/.test(errnoOf(error) ?? '');
}

function statusError(status: number, hub: HubConnection, id: string, revision: string, cause: unknown): HubError {
  const what = `${id}@${revision} from ${hub.endpoint}`;
  const token =
    hub.token === undefined
      ? 'no access token was sent: set HF_TOKEN or the option token'
      : 'the access token was not accepted';
  const make = (code: string, reason: string): HubError =>
    new HubError(code, `expected ${what}, got HTTP ${status}: ${reason}`, { cause });
  if (status === 401) return make('HUB_UNAUTHORIZED', `the model does not exist or is private; ${token}`);
  if (status === 403)
    return make('HUB_FORBIDDEN', `the model is gated or the token lacks the right to read it; ${token}`);
  if (status === 404) return make('HUB_NOT_FOUND', 'no such model, revision or file');
  if (status === 429) return make('HUB_RATE_LIMITED', 'too many requests');
  if (status >= 500) return make('HUB_SERVER_ERROR', 'the server failed');
  return make('HUB_HTTP_ERROR', 'unexpected status');
}

/** Seconds from a variable that huggingface_hub honours too; 10 by default. */
function seconds(name: string): number {
  const value = Number(process.env[name] ?? '');
  return Number.isFinite(value) && value > 0 ? Math.min(value, 86_400) * 1000 : 10_000;
}

function metadataTimeout(): AbortSignal {
  return AbortSignal.timeout(seconds('HF_HUB_ETAG_TIMEOUT'));
}
function downloadTimeout(): number {
  return seconds('HF_HUB_DOWNLOAD_TIMEOUT');
}
