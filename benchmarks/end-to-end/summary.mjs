// The short form of a report: README's table, and its plot.
import { counterpart, losses, median, OURS, table } from './report.mjs';

const COLD = 'cold start';
const ENGINES = [
  'transformers.js fp32',
  'transformers.js + cross cache fp32',
  'PyTorch fp32',
  'ours fp32',
  'PyTorch bf16',
  'ours bf16',
  'transformers.js int8',
  'transformers.js + cross cache int8',
  'ours int8',
];
const COLOURS = {
  ours: '#1a7f37',
  PyTorch: '#d1573b',
  'transformers.js': '#3b6fd1',
  'transformers.js + cross cache': '#7b9fe8',
};
const product = (engine) => engine.replace(/ \w+$/, '');
const type = (engine) => engine.split(' ').at(-1);

/** Median milliseconds, or NaN. */
function total(records, name, engine) {
  const good = records.filter((r) => r.case === name && r.engine === engine && r.totalMs?.length);
  return median(good.flatMap((r) => (name === COLD ? r.spawnToResultMs : r.totalMs)));
}

/** The cases with the most threads, as "batch 1, greedy": full name. */
function shownCases(records) {
  const names = [...new Set(records.map((r) => r.case))].filter((name) => name !== COLD);
  const threads = (name) => Number(/(\d+) threads?$/.exec(name)?.[1] ?? 0);
  const most = Math.max(...names.map(threads));
  const shown = names.filter((name) => threads(name) === most);
  return { most, cases: shown.map((name) => [name.replace(/, \d+ threads?$/, ''), name]) };
}

const shownEngines = (records, names) =>
  ENGINES.filter((engine) => names.some((name) => Number.isFinite(total(records, name, engine))));

function coldLosses(records) {
  return ENGINES.filter((engine) => !OURS.includes(engine))
    .map((engine) => [engine, total(records, COLD, engine) / total(records, COLD, counterpart(engine))])
    .filter(([, share]) => share <= 1)
    .map(([engine, share]) => `start to first result: ${engine} ${share.toFixed(2)} × ${counterpart(engine)}`);
}

export function summary({ meta, records }, plot) {
  const { most, cases } = shownCases(records);
  const columns = [...cases, ['start to first result', COLD]];
  const names = columns.map(([, name]) => name);
  const rows = shownEngines(records, names).map((engine) => {
    const bold = OURS.includes(engine) ? '**' : '';
    const cell = (name) => {
      const ms = total(records, name, engine);
      return Number.isFinite(ms) ? `${bold}${ms.toFixed(0)}${bold}` : '–';
    };
    return [`${bold}${engine}${bold}`, ...names.map(cell)];
  });
  const lost = [...losses(records.filter((r) => r.case !== COLD)), ...coldLosses(records)];
  return [
    `Milliseconds from pixel values to ${meta.newTokens} new token ids, ViT-B/16 and GPT-2 with cross-attention (${meta.model}), ${most} threads, lower is better:`,
    table(['engine', ...columns.map(([label]) => label)], rows),
    `![The same as bars](${plot})`,
    lost.length
      ? `Where a peer is as fast or faster in its type (ratio of its time to ours): ${lost.join('; ')}.`
      : 'No peer was faster in its type.',
    `Random weights, ${meta.rounds} round(s), ${meta.cpu}, ${meta.cpus} CPUs, ${meta.date}; ${meta.engines.join('; ')}. Method, one thread, memory and all ratios: [performance](docs/performance.md).`,
  ].join('\n\n');
}

const escape = (text) => text.replace(/[&<>]/g, (c) => `&#${c.charCodeAt(0)};`);

/** Bars by case; within a case, engines of one type stand together. */
export function plotSvg({ records }) {
  const { most, cases } = shownCases(records);
  const names = cases.map(([, name]) => name);
  const engines = shownEngines(records, names);
  const [left, width, bar, gap] = [230, 720, 16, 34];
  const parts = [];
  let y = 28;
  for (const [label, name] of cases) {
    const shown = engines.filter((engine) => Number.isFinite(total(records, name, engine)));
    const longest = Math.max(...shown.map((engine) => total(records, name, engine)));
    parts.push(`<text x="8" y="${y}" font-weight="bold">${escape(label)}, ${most} threads</text>`);
    y += 8;
    for (const engine of shown) {
      const ms = total(records, name, engine);
      const length = Math.max(1, ((width - left - 60) * ms) / longest).toFixed(1);
      const weight = OURS.includes(engine) ? ' font-weight="bold"' : '';
      parts.push(
        `<text x="${left - 8}" y="${y + 12}" text-anchor="end"${weight}>${escape(engine)}</text>`,
        `<rect x="${left}" y="${y}" width="${length}" height="${bar - 3}" fill="${COLOURS[product(engine)]}" fill-opacity="${{ fp32: 0.55, bf16: 0.8, int8: 1 }[type(engine)]}"/>`,
        `<text x="${left + Number(length) + 5}" y="${y + 12}">${ms.toFixed(0)} ms</text>`,
      );
      y += bar;
    }
    y += gap;
  }
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${y - gap + 12}" font-family="sans-serif" font-size="12">`,
    '<rect width="100%" height="100%" fill="#fff"/>',
    ...parts,
    '</svg>',
    '',
  ].join('\n');
}
