import { UnsupportedError, WeightsError } from '../errors.js';
import { decodeUtf8, readExactly, type OpenFile } from './bytes.js';

/**
 * The part of the zip format that torch.save writes (PKWARE APPNOTE 6.3.10 §4.3; caffe2/serialize/inline_container.cc):
 * stored entries, optional zip64 records, no comment, nothing before or after. Everything else is refused by name, so that
 * two readers cannot see two different archives in one file.
 */
export interface ZipEntry {
  readonly name: string;
  /** Absolute offset of the entry's bytes in the file. */
  readonly dataOffset: number;
  readonly size: number;
}

interface CentralEntry {
  readonly name: string;
  readonly nameBytes: Buffer;
  readonly flags: number;
  readonly crc: number;
  readonly size: number;
  readonly headerOffset: number;
}

interface Directory {
  readonly offset: number;
  readonly size: number;
  readonly count: number;
}

const END_SIGNATURE = 0x06054b50;
const END_BYTES = 22;
const END64_SIGNATURE = 0x06064b50;
const END64_BYTES = 56;
const LOCATOR_SIGNATURE = 0x07064b50;
const LOCATOR_BYTES = 20;
const CENTRAL_SIGNATURE = 0x02014b50;
const CENTRAL_BYTES = 46;
const LOCAL_SIGNATURE = 0x04034b50;
const LOCAL_BYTES = 30;
const MAX_DIRECTORY_BYTES = 64 * 1024 * 1024;
const FULL16 = 0xffff;
const FULL32 = 0xffffffff;
const FLAG_ENCRYPTED = 0x1 | 0x40 | 0x2000;
const FLAG_DESCRIPTOR = 0x8;

/** Lists the entries by name after checking the directory against every local header, and that no two entries overlap. */
export async function readZipEntries(file: OpenFile): Promise<Map<string, ZipEntry>> {
  const directory = await readDirectory(file);
  const bytes = await readExactly(file, directory.offset, directory.size, WeightsError);
  const central = parseCentral(bytes, directory.count, file.path);
  central.sort((a, b) => a.headerOffset - b.headerOffset);
  const entries = new Map<string, ZipEntry>();
  let end = 0;
  for (const entry of central) {
    if (entry.headerOffset < end) {
      throw new WeightsError(
        'ZIP_OVERLAP',
        `expected entry ${entry.name} of ${file.path} after byte ${end}, got offset ${entry.headerOffset}`,
      );
    }
    const dataOffset = await checkLocalHeader(file, entry, directory.offset);
    end = dataOffset + entry.size;
    if (end > directory.offset) {
      throw new WeightsError(
        'ZIP_ENTRY_OUT_OF_FILE',
        `expected entry ${entry.name} of ${file.path} before byte ${directory.offset}, got its end at ${end}`,
      );
    }
    if (entries.has(entry.name))
      throw new WeightsError(
        'ZIP_DUPLICATE_ENTRY',
        `expected each entry once in ${file.path}, got ${entry.name} twice`,
      );
    entries.set(entry.name, { name: entry.name, dataOffset, size: entry.size });
  }
  return entries;
}

async function readDirectory(file: OpenFile): Promise<Directory> {
  const endAt = file.size - END_BYTES;
  const end = endAt < 0 ? undefined : await readExactly(file, endAt, END_BYTES, WeightsError);
  if (!end || end.readUInt32LE(0) !== END_SIGNATURE || end.readUInt16LE(20) !== 0) {
    throw new WeightsError(
      'ZIP_END_MISSING',
      `expected a zip directory at the end of ${file.path}, got none: the file is cut off or is not a torch zip`,
    );
  }
  requireOneDisk(end.readUInt16LE(4), end.readUInt16LE(6), file.path);
  const small = { offset: end.readUInt32LE(16), size: end.readUInt32LE(12), count: end.readUInt16LE(10) };
  const locatorAt = endAt - LOCATOR_BYTES;
  const locator = locatorAt < 0 ? undefined : await readExactly(file, locatorAt, LOCATOR_BYTES, WeightsError);
  const is64 = locator !== undefined && locator.readUInt32LE(0) === LOCATOR_SIGNATURE;
  const directory = is64 ? await readDirectory64(file, locator, locatorAt, small) : small;
  const expectedEnd = is64 ? locatorAt - END64_BYTES : endAt;
  if (directory.offset + directory.size !== expectedEnd) {
    throw new WeightsError(
      'ZIP_DIRECTORY',
      `expected the directory of ${file.path} to end at byte ${expectedEnd}, got ${directory.offset} + ${directory.size}`,
    );
  }
  if (directory.size > MAX_DIRECTORY_BYTES) {
    throw new WeightsError(
      'ZIP_DIRECTORY',
      `expected a directory of at most ${MAX_DIRECTORY_BYTES} bytes in ${file.path}, got ${directory.size}`,
    );
  }
  return directory;
}

/** The zip64 end record; where the small record has room for a number, both must agree. */
async function readDirectory64(
  file: OpenFile,
  locator: Buffer,
  locatorAt: number,
  small: Directory,
): Promise<Directory> {
  const at = locatorAt - END64_BYTES;
  const pointer = safe64(locator, 8, file.path);
  const record = at < 0 || pointer !== at ? undefined : await readExactly(file, at, END64_BYTES, WeightsError);
  if (!record || record.readUInt32LE(0) !== END64_SIGNATURE || safe64(record, 4, file.path) !== END64_BYTES - 12) {
    throw new WeightsError(
      'ZIP_DIRECTORY',
      `expected a zip64 end record at byte ${at} of ${file.path}, got a pointer to ${pointer}`,
    );
  }
  requireOneDisk(record.readUInt32LE(16), record.readUInt32LE(20), file.path);
  const big = {
    offset: safe64(record, 48, file.path),
    size: safe64(record, 40, file.path),
    count: safe64(record, 32, file.path),
  };
  const agree = (a: number, b: number, full: number): boolean => a === full || a === b;
  if (
    !agree(small.offset, big.offset, FULL32) ||
    !agree(small.size, big.size, FULL32) ||
    !agree(small.count, big.count, FULL16)
  ) {
    throw new WeightsError(
      'ZIP_DIRECTORY',
      `expected the two end records of ${file.path} to agree, got ${JSON.stringify(small)} and ${JSON.stringify(big)}`,
    );
  }
  return big;
}

function requireOneDisk(disk: number, directoryDisk: number, path: string): void {
  if (disk === 0 && directoryDisk === 0) return;
  throw new WeightsError(
    'ZIP_MULTI_DISK',
    `expected a zip in one part in ${path}, got disk numbers ${disk} and ${directoryDisk}`,
  );
}

function parseCentral(bytes: Buffer, count: number, path: string): CentralEntry[] {
  const entries: CentralEntry[] = [];
  let at = 0;
  while (at < bytes.length) {
    if (at + CENTRAL_BYTES > bytes.length || bytes.readUInt32LE(at) !== CENTRAL_SIGNATURE) {
      throw new WeightsError(
        'ZIP_DIRECTORY',
        `expected a directory entry at byte ${at} of the directory of ${path}, got something else`,
      );
    }
    const nameEnd = at + CENTRAL_BYTES + bytes.readUInt16LE(at + 28);
    const extraEnd = nameEnd + bytes.readUInt16LE(at + 30);
    const next = extraEnd + bytes.readUInt16LE(at + 32);
    if (next > bytes.length)
      throw new WeightsError(
        'ZIP_DIRECTORY',
        `expected entry ${entries.length} inside the directory of ${path}, got its end at ${next}`,
      );
    entries.push(
      parseCentralEntry(
        bytes.subarray(at, at + CENTRAL_BYTES),
        bytes.subarray(at + CENTRAL_BYTES, nameEnd),
        bytes.subarray(nameEnd, extraEnd),
        path,
      ),
    );
    at = next;
  }
  if (entries.length !== count)
    throw new WeightsError(
      'ZIP_DIRECTORY',
      `expected ${count} entries in the directory of ${path}, got ${entries.length}`,
    );
  return entries;
}

function parseCentralEntry(fixed: Buffer, nameBytes: Buffer, extra: Buffer, path: string): CentralEntry {
  const name = decodeUtf8(nameBytes, `an entry name of ${path}`, WeightsError, 'ZIP_NAME', true);
  const flags = fixed.readUInt16LE(8);
  if ((flags & FLAG_ENCRYPTED) !== 0)
    throw new UnsupportedError(
      'ZIP_ENCRYPTED',
      `expected entry ${name} of ${path} in plain form, got an encrypted one`,
    );
  const method = fixed.readUInt16LE(10);
  if (method !== 0) {
    throw new UnsupportedError(
      'ZIP_COMPRESSED',
      `expected entry ${name} of ${path} stored (method 0, as torch.save writes it), got compression method ${method}`,
    );
  }
  const [size, packed, headerOffset] = resolve64(
    [fixed.readUInt32LE(24), fixed.readUInt32LE(20), fixed.readUInt32LE(42)],
    extra,
    name,
    path,
  ) as [number, number, number];
  if (size !== packed)
    throw new WeightsError(
      'ZIP_ENTRY',
      `expected equal sizes for stored entry ${name} of ${path}, got ${size} and ${packed}`,
    );
  if (fixed.readUInt16LE(34) !== 0)
    throw new WeightsError('ZIP_MULTI_DISK', `expected entry ${name} of ${path} on disk 0, got another`);
  return { name, nameBytes, flags, crc: fixed.readUInt32LE(16), size, headerOffset };
}

/** Replaces each saturated 32-bit value by the next 64-bit one of the zip64 extra field (APPNOTE §4.5.3). */
function resolve64(values: number[], extra: Buffer, name: string, path: string): number[] {
  if (!values.includes(FULL32)) return values;
  let at = 0;
  while (at + 4 <= extra.length) {
    const end = at + 4 + extra.readUInt16LE(at + 2);
    if (end > extra.length) break;
    if (extra.readUInt16LE(at) === 1) {
      let next = at + 4;
      return values.map((value) => {
        if (value !== FULL32) return value;
        next += 8;
        if (next > end)
          throw new WeightsError(
            'ZIP_ENTRY',
            `expected all 64-bit sizes in the zip64 field of ${name} in ${path}, got too few`,
          );
        return safe64(extra, next - 8, path);
      });
    }
    at = end;
  }
  throw new WeightsError('ZIP_ENTRY', `expected a zip64 field for entry ${name} of ${path}, got none`);
}

/** Compares the local header with the directory and returns where the data start. */
async function checkLocalHeader(file: OpenFile, entry: CentralEntry, limit: number): Promise<number> {
  const fail = (what: string): WeightsError =>
    new WeightsError(
      'ZIP_LOCAL_HEADER',
      `expected the local header of entry ${entry.name} of ${file.path} to match the directory, got ${what}`,
    );
  const length = LOCAL_BYTES + entry.nameBytes.length;
  if (entry.headerOffset + length > limit) throw fail(`offset ${entry.headerOffset}, past the data`);
  const local = await readExactly(file, entry.headerOffset, length, WeightsError);
  if (local.readUInt32LE(0) !== LOCAL_SIGNATURE) throw fail('no local header');
  const flags = local.readUInt16LE(6);
  if (flags !== entry.flags) throw fail(`flags ${flags} instead of ${entry.flags}`);
  if (local.readUInt16LE(8) !== 0) throw fail(`compression method ${local.readUInt16LE(8)}`);
  if (local.readUInt16LE(26) !== entry.nameBytes.length || !local.subarray(LOCAL_BYTES).equals(entry.nameBytes))
    throw fail('another name');
  const deferred = (flags & FLAG_DESCRIPTOR) !== 0; // sizes and checksum then stand after the data, and are 0 here
  const matches = (value: number, wanted: number): boolean => value === wanted || (deferred && value === 0);
  const sizeMatches = (value: number): boolean => value === FULL32 || matches(value, entry.size);
  if (!matches(local.readUInt32LE(14), entry.crc)) throw fail('another checksum');
  if (!sizeMatches(local.readUInt32LE(18)) || !sizeMatches(local.readUInt32LE(22))) throw fail('another size');
  return entry.headerOffset + length + local.readUInt16LE(28);
}

function safe64(bytes: Buffer, at: number, path: string): number {
  const value = bytes.readBigUInt64LE(at);
  if (value > BigInt(Number.MAX_SAFE_INTEGER))
    throw new WeightsError('ZIP_NUMBER', `expected numbers below 2^53 in ${path}, got ${value}`);
  return Number(value);
}
