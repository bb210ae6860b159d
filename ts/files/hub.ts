import { stat } from 'node:fs/promises';
import { isAbsolute, join, resolve } from 'node:path';
import { ConfigError, HubError, OptionError } from '../errors.js';
import { errnoOf } from './bytes.js';
import { cacheFolder, hubEndpoint, hubToken, isCommit, isOffline, RepoCache } from './hub-cache.js';
import {
  fetchIntoSnapshot,
  isTransient,
  remoteCommit,
  remoteFiles,
  type DownloadProgress,
  type HubConnection,
  type RemoteFile,
} from './hub-download.js';
import { readJsonFile } from './json.js';

export type FileKind = 'model' | 'config' | 'tokenizer' | 'processor';

export interface ResolveOptions {
  /** Branch, tag or commit; default 'main'. */
  revision?: string | undefined;
  cacheDir?: string | undefined;
  localFilesOnly?: boolean | undefined;
  token?: string | undefined;
  onProgress?: DownloadProgress | undefined;
  signal?: AbortSignal | undefined;
  /** What the caller is going to read; default 'model'. */
  files?: FileKind | readonly FileKind[] | undefined;
}

/** Per kind: the names to fetch where they exist, and the names of which at least one must exist (fetched last). */
interface Wanted {
  readonly optional: readonly RegExp[];
  readonly anyOf: readonly RegExp[];
}

const WANTED: Readonly<Record<FileKind, Wanted>> = {
  config: { optional: [/^generation_config\.json$/, /^confidence_calibration\.json$/], anyOf: [/^config\.json$/] },
  model: { optional: [/^generation_config\.json$/, /^confidence_calibration\.json$/], anyOf: [/^config\.json$/] }, // and the weights: see fetchWeights
  processor: { optional: [/^config\.json$/], anyOf: [/^preprocessor_config\.json$/, /^processor_config\.json$/] },
  tokenizer: {
    optional: [/^config\.json$/, /^special_tokens_map\.json$/, /^added_tokens\.json$/, /^merges\.txt$/],
    anyOf: [/^tokenizer\.json$/, /^vocab\.(json|txt)$/, /^[\w.-]+\.model$/, /^tokenizer_config\.json$/],
  },
};

const WEIGHTS = [
  'model.safetensors',
  'model.safetensors.index.json',
  'pytorch_model.bin',
  'pytorch_model.bin.index.json',
] as const;

/**
 * The folder to read a model from: `source` itself when it is a folder, else the snapshot of the Hub model `source` in the
 * cache, after fetching what is missing. Without network, or when the Hub fails, the last snapshot fetched is used.
 */
export async function resolveSource(source: string, options: ResolveOptions = {}): Promise<string> {
  options.signal?.throwIfAborted();
  const folder = await localFolder(source);
  if (folder !== undefined) return folder;
  checkId(source);
  const revision = checkRevision(options.revision ?? 'main');
  const kinds: readonly FileKind[] = typeof options.files === 'string' ? [options.files] : (options.files ?? ['model']);
  const cache = new RepoCache(cacheFolder(options.cacheDir), source);
  const cached = (): Promise<string | undefined> => cachedSnapshot(cache, revision, kinds);
  const offline = options.localFilesOnly === true || isOffline();
  if (offline || isCommit(revision)) {
    const snapshot = await cached();
    if (snapshot !== undefined) return snapshot;
    if (offline) throw notCached(source, revision, kinds, cache, options.localFilesOnly === true);
  }
  try {
    return await download(source, revision, kinds, cache, options);
  } catch (error) {
    options.signal?.throwIfAborted();
    const snapshot = mayUseCache(error) ? await cached() : undefined;
    if (snapshot !== undefined) return snapshot;
    throw error;
  }
}

/** As huggingface_hub does, a refusal (expired token, model made private) does not hide what was fetched before. */
function mayUseCache(error: unknown): boolean {
  return (
    isTransient(error) ||
    (error instanceof HubError && ['HUB_UNAUTHORIZED', 'HUB_FORBIDDEN', 'HUB_NOT_FOUND'].includes(error.code))
  );
}

async function download(
  id: string,
  revision: string,
  kinds: readonly FileKind[],
  cache: RepoCache,
  options: ResolveOptions,
): Promise<string> {
  const hub: HubConnection = {
    endpoint: hubEndpoint(),
    token: await hubToken(options.token),
    signal: options.signal,
    onProgress: options.onProgress,
  };
  const commit = isCommit(revision) ? revision : await remoteCommit(hub, id, revision);
  const files = await remoteFiles(hub, id, commit);
  for (const file of selectFiles(id, kinds, files)) await fetchIntoSnapshot(hub, id, commit, file, cache);
  if (kinds.includes('model')) await fetchWeights(hub, id, commit, files, cache);
  await cache.writeRef(revision, commit); // last, so that a name never leads to a snapshot known to be incomplete
  return cache.snapshot(commit);
}

function selectFiles(id: string, kinds: readonly FileKind[], files: ReadonlyMap<string, RemoteFile>): RemoteFile[] {
  const names = [...files.keys()];
  const chosen = new Set<string>();
  for (const kind of kinds)
    for (const name of names) if (WANTED[kind].optional.some((pattern) => pattern.test(name))) chosen.add(name);
  for (const kind of kinds) {
    const needed = WANTED[kind].anyOf.flatMap((pattern) => names.filter((name) => pattern.test(name)));
    if (needed.length === 0)
      throw missing(
        id,
        kind,
        WANTED[kind].anyOf.map((pattern) => pattern.source.replace(/[\^$\\]/g, '')),
      );
    for (const name of needed) {
      chosen.delete(name);
      chosen.add(name);
    }
  }
  return [...chosen].map((name) => files.get(name) as RemoteFile);
}

async function fetchWeights(
  hub: HubConnection,
  id: string,
  commit: string,
  files: ReadonlyMap<string, RemoteFile>,
  cache: RepoCache,
): Promise<void> {
  const name = WEIGHTS.find((candidate) => files.has(candidate));
  if (name === undefined) throw missing(id, 'model', WEIGHTS);
  await fetchIntoSnapshot(hub, id, commit, files.get(name) as RemoteFile, cache);
  for (const shard of await shardNames(cache.snapshot(commit), name)) {
    const file = files.get(shard);
    if (!file)
      throw new HubError(
        'HUB_FILE_MISSING',
        `expected shard ${shard} in ${id}, got an index that names it and no such file`,
      );
    await fetchIntoSnapshot(hub, id, commit, file, cache);
  }
}

/** The files an index names; none for a weight file that is not an index. repository.ts validates the index itself. */
async function shardNames(snapshot: string, name: string): Promise<string[]> {
  if (!name.endsWith('.index.json')) return [];
  const index = await readJsonFile(join(snapshot, name));
  const map = index['weight_map'];
  const values: unknown[] = typeof map === 'object' && map !== null ? Object.values(map) : [];
  return [...new Set(values.filter((value) => typeof value === 'string'))];
}

/** The snapshot a revision had when last seen, provided it holds what is asked for. */
async function cachedSnapshot(
  cache: RepoCache,
  revision: string,
  kinds: readonly FileKind[],
): Promise<string | undefined> {
  const commit = isCommit(revision) ? revision : await cache.readRef(revision);
  if (commit === undefined) return undefined;
  const names = await cache.list(commit);
  const complete = kinds.every((kind) =>
    WANTED[kind].anyOf.some((pattern) => names.some((name) => pattern.test(name))),
  );
  if (!complete || (kinds.includes('model') && !(await hasWeights(cache.snapshot(commit), names)))) return undefined;
  return cache.snapshot(commit);
}

async function hasWeights(snapshot: string, names: readonly string[]): Promise<boolean> {
  const name = WEIGHTS.find((candidate) => names.includes(candidate));
  if (name === undefined) return false;
  const shards = await shardNames(snapshot, name).catch(() => undefined);
  return shards?.every((shard) => names.includes(shard)) === true;
}

/** `source` as a folder; undefined when it may be a Hub id. */
async function localFolder(source: string): Promise<string | undefined> {
  if (typeof source !== 'string' || source === '' || source.includes('\0')) {
    throw new OptionError(
      'SOURCE_INVALID',
      `expected a folder or a Hub id, got ${JSON.stringify(source) ?? typeof source}`,
    );
  }
  try {
    const info = await stat(source);
    if (info.isDirectory()) return resolve(source);
    throw new ConfigError(
      'SOURCE_NOT_FOLDER',
      `expected a folder or a Hub id, got ${source}, which is a file; pass the folder it lies in`,
    );
  } catch (error) {
    if (error instanceof ConfigError) throw error;
    const code = errnoOf(error);
    if (code === 'ENOENT' || code === 'ENOTDIR' || code === 'ENAMETOOLONG') return undefined;
    throw new ConfigError(
      'SOURCE_UNREADABLE',
      `expected a readable folder at ${source}, got ${code ?? String(error)}`,
      { cause: error },
    );
  }
}

/** The rules of `validate_repo_id` in huggingface_hub/utils/_validators.py. */
function checkId(source: string): void {
  const pathLike = isAbsolute(source) || /^[.~]|[\\:]|\/$/.test(source) || source.split('/').length > 2;
  const valid =
    /^(\w[\w.-]*\/)?\w[\w.-]*$/.test(source) && source.length <= 96 && !/--|\.\.|[.-](\/|$)|\.git$/.test(source);
  if (valid && !pathLike) return;
  throw new HubError(
    'SOURCE_NOT_FOUND',
    `expected an existing folder or a Hub id such as org/name, got ${JSON.stringify(source.slice(0, 300))}: no folder lies at ${resolve(source)}, and it is not a Hub id`,
  );
}

/** A revision becomes a path below refs/, so it may not climb. */
function checkRevision(revision: string): string {
  const valid =
    /^[\w][\w./-]*$/.test(revision) && revision.length <= 256 && !/\.\.|\/\/|\/$|\/\.|\.lock$/.test(revision);
  if (valid) return revision;
  throw new OptionError(
    'REVISION_INVALID',
    `expected a branch, tag or commit as revision, got ${JSON.stringify(revision).slice(0, 300)}`,
  );
}

function missing(id: string, kind: FileKind, names: readonly string[]): HubError {
  return new HubError(
    'HUB_FILE_MISSING',
    `expected one of ${names.join(', ')} in ${id} (files for: ${kind}), got a repository without them`,
  );
}

function notCached(
  id: string,
  revision: string,
  kinds: readonly FileKind[],
  cache: RepoCache,
  byOption: boolean,
): HubError {
  const why = byOption ? 'localFilesOnly is set' : 'HF_HUB_OFFLINE or TRANSFORMERS_OFFLINE is set';
  return new HubError(
    'HUB_NOT_CACHED',
    `expected ${id}@${revision} (files for: ${kinds.join(', ')}) in the cache at ${cache.folder}, got no complete snapshot, and ${why}`,
  );
}
