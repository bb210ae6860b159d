/** Reads test/golden/models. */
import { readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import type { GenerateOptions } from '../../ts/index';
import type { Numbers } from './compare';

export const GOLDEN = resolve(__dirname, '../golden/models');

export interface GoldenCase {
  name: string;
  /** The folder that holds the expected values. */
  expected: string;
  encoder: string;
  decoder: string;
}

export interface ExpectedForward {
  name: string;
  pixelValues: string;
  decoderInputIds?: number[][];
  decoderAttentionMask?: number[][];
  labels?: number[][];
  interpolatePosEncoding?: boolean;
  loss?: number;
}

export interface ExpectedGeneration {
  name: string;
  options: Partial<GenerateOptions>;
  sequences: number[][];
  sequenceScores?: number[];
  tokenLogProbs?: number[][];
}

export interface Expected {
  forwards: ExpectedForward[];
  generations: ExpectedGeneration[];
  tensors: Map<string, Numbers & { data: Float32Array }>;
}

export const cases = JSON.parse(readFileSync(join(GOLDEN, 'cases.json'), 'utf8')) as GoldenCase[];

export function readExpected(name: string): Expected {
  const json = JSON.parse(readFileSync(join(GOLDEN, name, 'expected.json'), 'utf8')) as Omit<Expected, 'tensors'>;
  return { ...json, tensors: readSafetensors(join(GOLDEN, name, 'expected.safetensors')) };
}

/** A plain reader for the tests' own float32 files, independent of the package's. */
function readSafetensors(path: string): Expected['tensors'] {
  const bytes = readFileSync(path);
  const start = 8 + Number(bytes.readBigUInt64LE(0));
  const header = JSON.parse(bytes.toString('utf8', 8, start)) as Record<
    string,
    { shape: number[]; data_offsets: [number, number] }
  >;
  const tensors: Expected['tensors'] = new Map();
  for (const [name, entry] of Object.entries(header)) {
    if (name === '__metadata__') continue;
    const [from, to] = entry.data_offsets;
    const copy = bytes.buffer.slice(bytes.byteOffset + start + from, bytes.byteOffset + start + to);
    tensors.set(name, { data: new Float32Array(copy as ArrayBuffer), dims: entry.shape });
  }
  return tensors;
}
