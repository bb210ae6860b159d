// What the fast types cost: logits and tokens of every golden model, error rates of the bundled line reader.
//   node tools/accuracy.mjs [--evaluation FOLDER] [--write]
// --evaluation: what tools/line-reader/make_evaluation.py drew. --write puts the tables into docs/numerics.md. Needs a build.
import { readFileSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { score } from '../benchmarks/line-reader/score.mjs';

const { values: args } = parseArgs({ options: { evaluation: { type: 'string' }, write: { type: 'boolean' } } });
const root = path.join(path.dirname(fileURLToPath(import.meta.url)), '..');
const golden = path.join(root, 'test', 'golden', 'models');
const { VisionEncoderDecoderModel, pipeline } = createRequire(import.meta.url)(path.join(root, 'dist', 'index.js'));
const DTYPES = ['float32', 'bfloat16', 'int8'];
const readJson = (...parts) => JSON.parse(readFileSync(path.join(...parts), 'utf8'));

function readTensors(file) {
  const bytes = readFileSync(file);
  const start = 8 + Number(bytes.readBigUInt64LE(0));
  const header = JSON.parse(bytes.toString('utf8', 8, start));
  const tensor = ({ shape, data_offsets: [from, to] }) => {
    const copy = bytes.buffer.slice(bytes.byteOffset + start + from, bytes.byteOffset + start + to);
    return { data: new Float32Array(copy), dims: shape };
  };
  delete header.__metadata__;
  return new Map(Object.entries(header).map(([name, entry]) => [name, tensor(entry)]));
}

const norm = (values) => Math.sqrt(values.reduce((sum, v) => sum + v * v, 0));

/** Relative error of the logits, and the share of tokens as in float32 of every deterministic generation. */
async function measureModel(folder, dtype, expected, tensors, truth) {
  const model = await VisionEncoderDecoderModel.fromPretrained(folder, { device: 'cpu', dtype });
  try {
    const { pixelValues, decoderInputIds } = expected.forwards.find((run) => run.name === 'ids');
    const all = tensors.get(pixelValues);
    const data = all.data.slice(0, (all.data.length / all.dims[0]) * 2);
    const inputs = { pixelValues: { data, dims: [2, ...all.dims.slice(1)] }, decoderInputIds };
    const { logits } = await model.forward(inputs);
    const want = tensors.get('ids.logits').data;
    const error = norm(want.map((value, i) => logits.data[i] - value)) / norm(want);
    const sequences = [];
    for (const { options } of expected.generations.filter((run) => !run.options.doSample))
      sequences.push((await model.generate(tensors.get('pixel_values'), options)).sequences);
    const [ids, reference] = [sequences, truth ?? sequences].map((list) => list.flat(1));
    const total = reference.flat().length;
    const same = reference.reduce((sum, row, r) => sum + row.filter((id, i) => id === ids[r]?.[i]).length, 0);
    return { error, share: same / total, total, sequences };
  } finally {
    await model.dispose();
  }
}

function table(head, rows) {
  const line = (cells) => `| ${cells.join(' | ')} |`;
  return [line(head), line(head.map((_, i) => (i ? '---:' : '---'))), ...rows.map(line)].join('\n');
}

async function modelTable() {
  const rows = [];
  for (const { name, expected: from } of readJson(golden, 'cases.json')) {
    const expected = readJson(golden, from, 'expected.json');
    const tensors = readTensors(path.join(golden, from, 'expected.safetensors'));
    const cells = [];
    let truth;
    for (const dtype of DTYPES) {
      const { error, share, total, sequences } = await measureModel(
        path.join(golden, name),
        dtype,
        expected,
        tensors,
        truth,
      );
      truth ??= sequences;
      cells.push(error.toExponential(1), ...(dtype === 'float32' ? [total] : [`${(100 * share).toFixed(0)} %`]));
    }
    rows.push([name, ...cells]);
  }
  const head = [
    'golden model',
    'float32: error',
    'tokens',
    'bfloat16: error',
    'same tokens',
    'int8: error',
    'same tokens',
  ];
  return table(head, rows);
}

async function readerTable(folder) {
  const lines = readJson(folder, 'lines.json').lines.filter((line) => line.text !== '');
  const rows = [];
  let truth;
  for (const dtype of DTYPES) {
    const read = await pipeline('image-to-text', path.join(root, 'models', 'line-reader'), { device: 'cpu', dtype });
    const texts = [];
    for (let at = 0; at < lines.length; at += 16) {
      const files = lines.slice(at, at + 16).map((line) => path.join(folder, line.file));
      for (const [best] of await read(files)) texts.push(best.generatedText);
    }
    await read.dispose();
    truth ??= texts;
    const { cer, exact } = score(lines.map(({ text }, i) => ({ text, read: texts[i] })));
    const same = texts.filter((text, i) => text === truth[i]).length;
    rows.push([dtype, `${(100 * cer).toFixed(2)} %`, `${(100 * exact).toFixed(1)} %`, `${same} of ${lines.length}`]);
  }
  return table(['bundled line reader', 'CER', 'whole lines', 'lines read as in float32'], rows);
}

const parts = [await modelTable(), ...(args.evaluation ? [await readerTable(args.evaluation)] : [])];
const text = parts.join('\n\n');
console.log(text);
if (args.write) {
  const file = path.join(root, 'docs', 'numerics.md');
  const page = readFileSync(file, 'utf8');
  const [begin, end] = ['<!-- accuracy:begin -->', '<!-- accuracy:end -->'];
  const [head, tail] = [page.indexOf(begin), page.indexOf(end)];
  if (head < 0 || tail < head) throw new Error(`${file}: expected the markers ${begin} and ${end}`);
  writeFileSync(file, `${page.slice(0, head + begin.length)}\n\n${text}\n\n${page.slice(tail)}`);
}
