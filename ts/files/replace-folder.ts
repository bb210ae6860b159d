/** Puts a set of files into a folder all or none: written aside first, then renamed into place. */
import { randomBytes } from 'node:crypto';
import { link, lstat, mkdir, open, readdir, rename, rm, rmdir, stat } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { ConfigError, VedError, WeightsError } from '../errors.js';
import { errnoOf, isMissing } from './bytes.js';

export interface Replacement {
  /** Writes the new files into an empty folder on the same file system. */
  readonly write: (folder: string) => Promise<void>;
  /** Files of the folder that the new ones make obsolete; those written are replaced in any case. */
  readonly obsolete: RegExp;
}

/**
 * A folder that does not exist appears complete. In one that exists the files are replaced one after the other, each in one
 * step, after all of them are on the disk; if one cannot be, those before it are put back. Other files stay. A process that
 * is killed between two renames leaves the replaced files in `.saving-*` inside the folder.
 */
export async function replaceInFolder(target: string, replacement: Replacement): Promise<void> {
  const folder = resolve(target);
  try {
    if (await isFolder(folder)) await replaceFiles(folder, replacement);
    else await createFolder(folder, replacement);
  } catch (error) {
    const code = errnoOf(error);
    if (error instanceof VedError || code === undefined || !/^E[A-Z0-9]+$/.test(code)) throw error;
    throw new WeightsError('SAVE_FAILED', `expected to write into ${folder}, got ${(error as Error).message}`, {
      cause: error,
    });
  }
}

async function isFolder(path: string): Promise<boolean> {
  try {
    if ((await stat(path)).isDirectory()) return true;
  } catch (error) {
    if (isMissing(error)) return false;
    throw error;
  }
  throw new ConfigError('SAVE_TARGET_NOT_FOLDER', `expected a folder at ${path}, got a file`);
}

const asideName = (folder: string): string => join(folder, `.saving-${randomBytes(6).toString('hex')}`);

async function createFolder(folder: string, { write }: Replacement): Promise<void> {
  const parent = dirname(folder);
  const made = await mkdir(parent, { recursive: true });
  const aside = asideName(parent);
  try {
    await mkdir(aside);
    await write(aside);
    await renameFile(aside, folder);
    await syncFolder(parent);
  } catch (error) {
    await rm(aside, { recursive: true, force: true });
    if (made !== undefined) await removeEmpty(parent, made);
    throw error;
  }
}

/** Parents that were made for nothing, innermost first; one that is in use by now stays. */
async function removeEmpty(from: string, to: string): Promise<void> {
  for (let at = from; at.length >= to.length; at = dirname(at)) {
    try {
      await rmdir(at);
    } catch {
      return;
    }
  }
}

async function replaceFiles(folder: string, { write, obsolete }: Replacement): Promise<void> {
  const aside = asideName(folder);
  const [fresh, old] = [join(aside, 'new'), join(aside, 'old')];
  try {
    await mkdir(fresh, { recursive: true });
    await mkdir(old);
    await write(fresh);
    await swap(folder, fresh, old, obsolete);
    await syncFolder(folder);
  } finally {
    await rm(aside, { recursive: true, force: true });
  }
}

async function swap(folder: string, fresh: string, old: string, obsolete: RegExp): Promise<void> {
  const names = await readdir(fresh);
  const undo: (() => Promise<void>)[] = [];
  try {
    for (const name of names) {
      const path = join(folder, name);
      const existed = await keepOld(path, join(old, name));
      undo.push(() => (existed ? renameFile(join(old, name), path) : rm(path, { force: true })));
      await renameFile(join(fresh, name), path);
    }
    for (const name of await readdir(folder)) {
      if (names.includes(name) || !obsolete.test(name)) continue;
      await renameFile(join(folder, name), join(old, name));
      undo.push(() => renameFile(join(old, name), join(folder, name)));
    }
  } catch (error) {
    for (const step of undo.reverse()) await step();
    throw error;
  }
}

/** A second name for the old file, so that the new one can replace it in one step; without links it moves away before. */
async function keepOld(path: string, backup: string): Promise<boolean> {
  try {
    if ((await lstat(path)).isDirectory())
      throw new ConfigError('SAVE_TARGET_NOT_FILE', `expected a file at ${path}, got a folder`);
  } catch (error) {
    if (isMissing(error)) return false;
    throw error;
  }
  try {
    await link(path, backup);
  } catch {
    await renameFile(path, backup);
  }
  return true;
}

/** Virus scanners and indexers on Windows hold files open for moments: there a rename is tried for about two seconds. */
async function renameFile(from: string, to: string): Promise<void> {
  for (let wait = 10; ; wait *= 2) {
    try {
      return await rename(from, to);
    } catch (error) {
      const held = ['EPERM', 'EACCES', 'EBUSY'].includes(errnoOf(error) ?? '');
      if (process.platform !== 'win32' || !held || wait > 1000) throw error;
    }
    await sleep(wait);
  }
}

/** Makes the renames last through a power failure, where the system has a way to. */
async function syncFolder(folder: string): Promise<void> {
  if (process.platform === 'win32') return;
  const handle = await open(folder, 'r');
  try {
    await handle.sync();
  } catch (error) {
    if (!['EINVAL', 'ENOTSUP', 'EPERM'].includes(errnoOf(error) ?? '')) throw error;
  } finally {
    await handle.close();
  }
}
