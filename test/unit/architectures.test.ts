/** The registry as a whole: every entry is documented, checked against transformers, and refused with a reason if it is not there. */
import test from 'ava';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import * as classes from '../../ts/arch/config';
import * as registry from '../../ts/arch/registry';
import * as composite from '../../ts/arch/vision-encoder-decoder';
import { UnsupportedError } from '../../ts/errors';
import { cases } from '../parity/golden';

const { decoders, encoders, refusedEncoders } = registry;
const ROOT = join(__dirname, '../..');
const manifest = JSON.parse(readFileSync(join(ROOT, 'test/golden/models/cases.json'), 'utf8')) as Record<
  string,
  string
>[];

for (const [key, entries] of Object.entries({ encoder: encoders, decoder: decoders })) {
  for (const name of Object.keys(entries)) {
    test(`${key} ${name} has a golden case`, (t) => {
      const own = manifest.filter((entry) => entry[key] === name).map((entry) => entry['name']);
      t.true(own.length > 0, `expected a case of tools/golden with ${key} ${name}`);
      t.true(
        own.every((folder) => cases.some((entry) => entry.name === folder)),
        'the parity test runs it',
      );
    });
  }
}

test('at least twelve pairs of an encoder and a decoder are checked', (t) => {
  t.true(new Set(manifest.map(({ encoder, decoder }) => `${encoder} + ${decoder}`)).size >= 12);
});

test('docs/architectures.md is what tools/architectures.mjs writes', async (t) => {
  const tool = (await import(pathToFileURL(join(ROOT, 'tools/architectures.mjs')).href)) as {
    updated(text: string, sources: object): string;
  };
  const sources = { registry, composite, classes };
  const text = readFileSync(join(ROOT, 'docs/architectures.md'), 'utf8');
  t.is(tool.updated(text, sources), text, 'run: node --import tsx tools/architectures.mjs');
  const damaged = text.replace(/`ViTConfig`/, '`VitConfig`');
  t.not(damaged, text);
  t.is(tool.updated(damaged, sources), text);
});

test('what is refused says why, and is not in the registry', (t) => {
  for (const [name, reason] of Object.entries(refusedEncoders)) {
    t.false(Object.hasOwn(encoders, name), name);
    const load = () =>
      composite.VisionEncoderDecoderConfig.fromJSON({ encoder: { model_type: name }, decoder: { model_type: 'gpt2' } });
    const error = t.throws(load, { instanceOf: UnsupportedError, code: 'UNSUPPORTED_ARCHITECTURE' });
    t.true(error?.message.includes('encoder.model_type'));
    t.true(error?.message.endsWith(reason));
  }
});

test('docs/add-an-architecture.md shows a file that is there', (t) => {
  const text = readFileSync(join(ROOT, 'docs/add-an-architecture.md'), 'utf8');
  const [, diff = ''] = /^```diff\n([^]*?)^```$/m.exec(text) ?? [];
  const file = diff.replace(/^\+/gm, '');
  t.is(file, readFileSync(join(ROOT, 'ts/arch/encoders/vit-msn.ts'), 'utf8'));
});
