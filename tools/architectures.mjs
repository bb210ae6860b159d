// The tables of docs/architectures.md, from the registry and the golden cases.
//   node --import tsx tools/architectures.mjs           writes them
//   node --import tsx tools/architectures.mjs --check   fails where they are out of date (a test does the same)
import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import process from 'node:process';
import { fileURLToPath, pathToFileURL } from 'node:url';

const root = path.join(path.dirname(fileURLToPath(import.meta.url)), '..');
const DOCUMENT = path.join(root, 'docs/architectures.md');
const TRANSFORMERS = '5.18.0';
const mark = (name, end) => `<!-- ${end ? 'end of ' : ''}${name}, written by tools/architectures.mjs -->`;

/** The modules the tables are made of; a test that can import TypeScript brings its own. */
async function fromSource() {
  const load = async (name) => {
    const module = await import(pathToFileURL(path.join(root, 'ts/arch', name)).href);
    return module.default ?? module;
  };
  return {
    registry: await load('registry.ts'),
    composite: await load('vision-encoder-decoder.ts'),
    classes: await load('config.ts'),
  };
}

function table(head, rows) {
  const line = (cells) => `| ${cells.join(' | ')} |`;
  return [line(head), line(head.map(() => '---')), ...rows.map(line)].join('\n');
}

function goldenCases() {
  return JSON.parse(readFileSync(path.join(root, 'test/golden/models/cases.json'), 'utf8'));
}

const casesOf = (key, name) =>
  goldenCases()
    .filter((entry) => entry[key] === name)
    .map((entry) => `\`${entry.name}\``)
    .join(', ');

function configName(classes, config) {
  return `\`${Object.keys(classes).find((name) => classes[name] === config)}\``;
}

/** Keys that a config cannot do without. */
const NEEDED = { xmod: { default_language: 'en_XX' } };
/** Decoders that transformers does not have. */
const OWN = { distilbert: 'against a small model in torch: ' };
const NORM = { pre: 'pre-norm', post: 'post-norm', branch: 'norm after each branch' };

function encoderPositions(spec, sizes) {
  const found = [];
  if (spec.embedding.positions.kind === 'grid' && sizes === 'fixed') found.push('learned');
  else if (spec.embedding.positions.kind === 'grid') {
    const smooth = spec.embedding.positions.resample === 'bicubicAntialias';
    found.push(`learned, bicubic${smooth ? ' with antialiasing' : ''} for other grids`);
  }
  if (spec.embedding.positions.kind === 'rotary') found.push('rotary');
  if (spec.embedding.positions.kind === 'waves') found.push('computed');
  if (spec.layerPositions) found.push('a learned table before each further layer');
  const spans = spec.stages.flatMap(({ layers }) => layers.map(({ attention }) => attention.span));
  if (spans.some((span) => span.kind === 'window' && span.bias.kind === 'table'))
    found.push('a bias per distance in a window');
  if (spans.some((span) => span.kind === 'window' && span.bias.kind === 'mlp'))
    found.push('a computed bias in a window');
  return found.join('; ') || 'as the config says';
}

const SIZES = {
  fixed: 'the configured one',
  exact: 'the configured one, others interpolated',
  adaptive: 'any',
};

function encoderRow(name, { config, imageSizes }, spec, classes) {
  const sizes = imageSizes(config.fromJSON({ model_type: name }));
  const count = (tokens) => tokens.reduce((sum, entry) => sum + entry.count, 0);
  const [prefix, suffix] = [count(spec.embedding.prefixTokens), count(spec.embedding.suffixTokens)];
  const layers = `${NORM[spec.normPosition]}, ${spec.finalNorm ? 'final norm' : 'no final norm'}`;
  const pooled = spec.stages.some(({ entry }) => entry);
  const stages = `, ${spec.stages.length} stages of ${pooled ? 'mask units and pooled queries' : 'windows'}`;
  return [
    `\`${name}\``,
    configName(classes, config),
    suffix ? `${prefix}, and ${suffix} behind them` : prefix,
    layers + (spec.stages.length > 1 ? stages : ''),
    encoderPositions(spec, sizes),
    SIZES[sizes],
    casesOf('encoder', name),
  ];
}

function decoderRow(name, { config }, spec, classes) {
  const layers = `${NORM[spec.normPosition]}, ${spec.finalNorm ? 'final norm' : 'no final norm'}`;
  return [`\`${name}\``, configName(classes, config), layers, (OWN[name] ?? '') + casesOf('decoder', name)];
}

/** The text between the marks, by the name of each table. */
function tables({ registry: { encoders, decoders, refusedEncoders, refusedDecoders }, composite, classes }) {
  const specOf = (encoder, decoder) => {
    const config = composite.VisionEncoderDecoderConfig.fromEncoderDecoderConfigs(
      encoders[encoder].config.fromJSON({ model_type: encoder }),
      decoders[decoder].config.fromJSON({ model_type: decoder, ...NEEDED[decoder] }),
    );
    return composite.buildModelSpec(config, { files: [], tensors: new Map() }, 'create').spec;
  };
  const checked = `checked against transformers ${TRANSFORMERS}`;
  return {
    'table of encoders': table(
      ['encoder', 'config class', 'tokens before the patches', 'layers', 'positions', 'image sizes', checked],
      Object.entries(encoders).map(([name, entry]) => encoderRow(name, entry, specOf(name, 'gpt2').encoder, classes)),
    ),
    'table of refused encoders': table(
      ['encoder', 'why it is refused'],
      Object.entries(refusedEncoders).map(([name, reason]) => [`\`${name}\``, reason]),
    ),
    'table of refused decoders': table(
      ['decoder', 'why it is refused'],
      Object.entries(refusedDecoders).map(([name, reason]) => [`\`${name}\``, reason]),
    ),
    'table of decoders': table(
      ['decoder', 'config class', 'layers', checked],
      Object.entries(decoders).map(([name, entry]) => decoderRow(name, entry, specOf('vit', name).decoder, classes)),
    ),
  };
}

/** The document with every table replaced by the one of today. */
export function updated(text, sources) {
  for (const [name, lines] of Object.entries(tables(sources))) {
    const [begin, end] = [text.indexOf(mark(name, false)), text.indexOf(mark(name, true))];
    if (begin < 0 || end < begin) throw new Error(`docs/architectures.md: expected the marks of the ${name}`);
    text = `${text.slice(0, begin)}${mark(name, false)}\n\n${lines}\n\n${text.slice(end)}`;
  }
  return text;
}

if (process.argv[1] && path.resolve(process.argv[1]) === fileURLToPath(import.meta.url)) {
  const before = readFileSync(DOCUMENT, 'utf8');
  const after = updated(before, await fromSource());
  const check = process.argv.includes('--check');
  if (!check) writeFileSync(DOCUMENT, after);
  console.log(
    before === after
      ? 'docs/architectures.md is up to date'
      : check
        ? 'docs/architectures.md is out of date'
        : 'written',
  );
  process.exitCode = check && before !== after ? 1 : 0;
}
