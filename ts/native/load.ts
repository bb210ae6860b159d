import * as path from 'node:path';
import { DeviceError } from '../errors';
import type { NativeModule } from './contract';

interface Loaded {
  module?: unknown;
  file?: string;
  tried: { file: string; reason: string }[];
}

// The same two steps up lead to the package's root from ts/native/ (tests) and from dist/native/.
const root = path.join(__dirname, '..', '..');
// Shared with the install script, hence plain JavaScript outside ts/.
const resolver = require('../../native/resolve.cjs') as { load(root: string): Loaded };

let loaded: NativeModule | undefined;

/** The native module, loaded on first use. A failure is not remembered: the next call looks again. */
export function loadNative(): NativeModule {
  if (loaded) return loaded;
  const result = resolver.load(root);
  if (result.module === undefined) throw new DeviceError('NATIVE_LOAD_FAILED', failureMessage(result.tried));
  loaded = result.module as NativeModule;
  return loaded;
}

function failureMessage(tried: Loaded['tried']): string {
  const lines = [
    `expected a native library for ${process.platform}-${process.arch} (Node ${process.versions.node}), got none that loads:`,
    ...tried.map(({ file, reason }) => `  ${file}: ${reason}`),
    'To build it, run one of these (CMake >= 3.22 and a C++20 compiler are needed):',
    '  npm rebuild vision-encoder-decoder    # in a project that depends on the package',
    '  npm run build:native                  # in a checkout of the package',
    'With npm 11.19 or newer, install scripts may have to be allowed first (npm help approve-scripts).',
  ];
  return lines.join('\n');
}
