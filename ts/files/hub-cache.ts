import { randomBytes } from 'node:crypto';
import { copyFile, mkdir, readdir, readFile, rename, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { dirname, join, relative, resolve } from 'node:path';
import { HubError } from '../errors.js';
import { errnoOf } from './bytes.js';

/**
 * The cache that Python's huggingface_hub keeps, so that a model downloaded by either is found by both:
 * `models--org--name/{refs/<revision>, blobs/<etag>, snapshots/<commit>/<file> → ../../blobs/<etag>}`. The shared store of
 * newer versions (`<cache>/blobs`) is read through links and never written. See huggingface_hub's guide "Manage the cache".
 */
export class RepoCache {
  readonly folder: string;

  constructor(cacheDir: string, id: string) {
    this.folder = join(cacheDir, `models--${id.split('/').join('--')}`);
  }

  snapshot(commit: string): string {
    return join(this.folder, 'snapshots', commit);
  }
  blob(etag: string): string {
    return join(this.folder, 'blobs', etag);
  }

  /** A name for a download in progress that no other process or call uses. */
  async temporaryBlob(etag: string): Promise<string> {
    await mkdir(join(this.folder, 'blobs'), { recursive: true });
    return `${this.blob(etag)}.${uniqueSuffix()}.incomplete`;
  }

  /** The commit a branch or tag stood for when it was last resolved. */
  async readRef(revision: string): Promise<string | undefined> {
    const text = await readFile(join(this.folder, 'refs', ...revision.split('/')), 'utf8').catch(() => '');
    const commit = text.trim();
    return isCommit(commit) ? commit : undefined;
  }

  async writeRef(revision: string, commit: string): Promise<void> {
    if (revision === commit || (await this.readRef(revision)) === commit) return;
    const path = join(this.folder, 'refs', ...revision.split('/'));
    await mkdir(dirname(path), { recursive: true });
    await replace(path, (temporary) => writeFile(temporary, commit));
  }

  /** Links a snapshot's file to its blob; copies where links are not allowed (Windows without developer mode). */
  async link(commit: string, file: string, etag: string): Promise<void> {
    const path = join(this.snapshot(commit), file);
    await mkdir(dirname(path), { recursive: true });
    await replace(path, async (temporary) => {
      try {
        await symlink(relative(dirname(path), this.blob(etag)), temporary);
      } catch (error) {
        if (!['EPERM', 'EACCES', 'ENOSYS', 'ENOTSUP', 'EINVAL'].includes(errnoOf(error) ?? '')) throw error;
        await copyFile(this.blob(etag), temporary);
      }
    });
  }

  /** Names of the files a snapshot really holds (dangling links left out). */
  async list(commit: string): Promise<string[]> {
    const folder = this.snapshot(commit);
    const names = await readdir(folder).catch(() => [] as string[]);
    const present = await Promise.all(names.map(async (name) => (await fileSize(join(folder, name))) !== undefined));
    return names.filter((_, i) => present[i]);
  }
}

/** Size of the regular file at a path or behind a link there; undefined for anything else. */
export async function fileSize(path: string): Promise<number | undefined> {
  const info = await stat(path).catch(() => undefined);
  return info?.isFile() === true ? info.size : undefined;
}

export function isCommit(text: string): boolean {
  return /^[0-9a-f]{40}$/.test(text);
}

/** Puts something at a path in one step: readers see the old or the new one. */
async function replace(path: string, write: (temporary: string) => Promise<void>): Promise<void> {
  const temporary = `${path}.${uniqueSuffix()}.tmp`;
  try {
    await write(temporary);
    await rename(temporary, path);
  } finally {
    await rm(temporary, { force: true });
  }
}

function uniqueSuffix(): string {
  return `${process.pid}-${randomBytes(6).toString('hex')}`;
}

// ---- environment (huggingface_hub/constants.py) -------------------------------------------------------------------

type Environment = Readonly<Record<string, string | undefined>>;

function hfHome(env: Environment): string {
  const base = env['XDG_CACHE_HOME'] ? expand(env['XDG_CACHE_HOME'], env) : join(homedir(), '.cache');
  return env['HF_HOME'] ? expand(env['HF_HOME'], env) : join(base, 'huggingface');
}

/** HF_HUB_CACHE, HUGGINGFACE_HUB_CACHE, HF_HOME/hub, XDG_CACHE_HOME/huggingface/hub, ~/.cache/huggingface/hub. */
export function cacheFolder(explicit?: string, env: Environment = process.env): string {
  if (explicit !== undefined && explicit !== '') return resolve(explicit);
  const named = env['HF_HUB_CACHE'] || env['HUGGINGFACE_HUB_CACHE'];
  return resolve(named ? expand(named, env) : join(hfHome(env), 'hub'));
}

/** The Hub's address without trailing slash: HF_ENDPOINT or https://huggingface.co. */
export function hubEndpoint(env: Environment = process.env): string {
  const text = (env['HF_ENDPOINT'] || 'https://huggingface.co').replace(/\/+$/, '');
  if (!URL.canParse(text) || !/^https?:$/.test(new URL(text).protocol)) {
    throw new HubError(
      'HUB_ENDPOINT_INVALID',
      `expected an http(s) address in HF_ENDPOINT, got ${JSON.stringify(text)}`,
    );
  }
  return text;
}

/** True when HF_HUB_OFFLINE or TRANSFORMERS_OFFLINE is 1, on, yes or true. */
export function isOffline(env: Environment = process.env): boolean {
  return [env['HF_HUB_OFFLINE'], env['TRANSFORMERS_OFFLINE']].some(isTrue);
}

/** The option, HF_TOKEN, HUGGING_FACE_HUB_TOKEN, else the file at HF_TOKEN_PATH or HF_HOME/token. */
export async function hubToken(explicit?: string, env: Environment = process.env): Promise<string | undefined> {
  if (explicit !== undefined) return checkToken(explicit);
  if (isTrue(env['HF_HUB_DISABLE_IMPLICIT_TOKEN'])) return undefined;
  const named = checkToken(env['HF_TOKEN'] ?? '') ?? checkToken(env['HUGGING_FACE_HUB_TOKEN'] ?? '');
  if (named !== undefined) return named;
  const path = env['HF_TOKEN_PATH'] ? expand(env['HF_TOKEN_PATH'], env) : join(hfHome(env), 'token');
  return checkToken(await readFile(path, 'utf8').catch(() => ''));
}

function checkToken(text: string): string | undefined {
  const token = text.trim();
  if (token === '') return undefined;
  if (!/^[\x21-\x7e]+$/.test(token))
    throw new HubError('HUB_TOKEN_INVALID', 'expected an access token of printable characters, got others (not shown)');
  return token;
}

function isTrue(text: string | undefined): boolean {
  return /^(1|on|yes|true)$/i.test(text ?? '');
}

/** `~` and `$NAME`, as os.path.expanduser and expandvars do. */
function expand(path: string, env: Environment): string {
  const home = path === '~' || path.startsWith('~/') || path.startsWith('~\\') ? homedir() + path.slice(1) : path;
  return home.replace(
    /\$(?:(\w+)|\{(\w+)\})/g,
    (whole, plain?: string, braced?: string) => env[plain ?? braced ?? ''] ?? whole,
  );
}
