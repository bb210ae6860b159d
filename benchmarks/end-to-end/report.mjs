// Records → medians, ratios, checks, Markdown.

export function median(values) {
  const sorted = values.filter(Number.isFinite).sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  if (sorted.length === 0) return NaN;
  return sorted.length % 2 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

const MIB = 2 ** 20;
/** The types of this package that ran, and the one a peer is held against: its own type. */
export const OURS = ['ours fp32', 'ours bf16', 'ours int8'];
export const counterpart = (engine) => `ours ${engine.split(' ').at(-1)}`;
const fixed = (value, digits = 0) => (Number.isFinite(value) ? value.toFixed(digits) : '–');
export const table = (head, rows) =>
  [head, head.map((_, i) => (i ? '---:' : '---')), ...rows].map((row) => `| ${row.join(' | ')} |`).join('\n');

const timed = (record) => record.totalMs?.length > 0;
const of = (records, name, engine) => records.filter((r) => r.case === name && r.engine === engine);

/** peer/ours of the same round, then the median over rounds: what slows the machine for minutes cancels. */
function ratio(records, name, engine, key, against) {
  const mine = of(records, name, against);
  const pairs = of(records, name, engine)
    .filter(timed)
    .map((peer) => {
      const own = mine.find((r) => r.round === peer.round && timed(r));
      return own ? median(peer[key]) / median(own[key]) : NaN;
    });
  return median(pairs);
}

/** Tokens of `record` that stand where PyTorch fp32 put them. */
function agreement(records, name, record) {
  const truth = of(records, name, 'PyTorch fp32').find(timed)?.sequences.flat();
  if (!truth || !record?.sequences) return undefined;
  const got = record.sequences.flat();
  return { equal: truth.filter((id, i) => id === got[i]).length, total: truth.length };
}

function row(records, name, engine) {
  const all = of(records, name, engine);
  const good = all.filter(timed);
  if (good.length === 0) return undefined;
  const middle = (key) => median(good.flatMap((r) => r[key]));
  const same = agreement(records, name, good[0]);
  const loops = good.flatMap((r) => r.eventLoop ?? []);
  const idle = good.flatMap((r) => r.eventLoopIdle ?? []);
  const delay = (list, key) => fixed(median(list.map((entry) => entry[key])), 1);
  return [
    engine,
    fixed(middle('encoderMs')),
    fixed(middle('perTokenMs'), 1),
    fixed(middle('totalMs')),
    ...RATIO_KEYS.map((key) => OURS.map((own) => fixed(ratio(records, name, engine, key, own), 2)).join(' / ')),
    fixed(middle('cpuMs')),
    fixed(median(good.map((r) => r.peakBytes)) / MIB),
    loops.length ? `${delay(idle, 'p50')} / ${delay(idle, 'p99')}` : '–',
    loops.length ? `${delay(loops, 'p50')} / ${delay(loops, 'p99')} / ${delay(loops, 'max')}` : '–',
    same ? `${same.equal}/${same.total}` : '–',
    fixed(median(good.map((r) => r.otherCpus ?? NaN)), 1),
  ];
}

const RATIO_KEYS = ['totalMs', 'encoderMs', 'perTokenMs', 'cpuMs'];
const HEAD = ['engine', 'encoder ms', 'ms per token', 'total ms'].concat([
  'total / ours fp32, bf16, int8',
  'encoder / ours',
  'token / ours',
  'CPU / ours',
  'CPU ms',
  'peak MiB',
  'event loop idle, p50 / p99 ms',
  'event loop generating, p50 / p99 / max ms',
  'tokens as PyTorch fp32',
  'CPUs used by others',
]);

function coldTable(records) {
  const cold = records.filter((r) => r.case === 'cold start' && timed(r));
  const rows = [...new Set(cold.map((r) => r.engine))].map((engine) => {
    const good = cold.filter((r) => r.engine === engine);
    const middle = (key) => fixed(median(good.map((r) => [r[key]].flat()[0])));
    return [engine, ...['spawnToResultMs', 'importMs', 'loadMs', 'totalMs'].map(middle), good.length];
  });
  return rows.length
    ? table(['engine', 'start to token ids ms', 'import ms', 'load ms', 'first generate ms', 'runs'], rows)
    : '';
}

function memoryLine(records, weightBytes) {
  const entry = records.find((r) => r.loadMemory && r.case !== 'cold start');
  if (!entry) return '';
  const { before, loaded, end, model } = entry.loadMemory;
  const mib = (bytes) => `${fixed(bytes / MIB)} MiB`;
  const resident = model.weightBytes + model.workspaceBytes;
  const peak = loaded.peak - before.rss;
  const factor = peak / resident;
  return [
    `Weights in the checkpoint: ${mib(weightBytes)}; resident in our layout (packed panels):`,
    `${mib(model.weightBytes)}, ${fixed(model.weightBytes / weightBytes, 2)} × the checkpoint; arena ${mib(model.workspaceBytes)}.`,
    `Peak while loading, above the ${mib(before.rss)} of Node and the package: ${mib(peak)}, ${fixed(factor, 2)} × resident weights and arena`,
    `(the bar is 1.3 ×: ${factor <= 1.3 ? 'met' : 'missed'}) and ${fixed(peak / weightBytes, 2)} × the checkpoint; held after loading: ${mib(loaded.rss - before.rss)}.`,
    `Peak of the whole process after generating: ${mib(end.peak)}. Key/value cache by the model's own account: ${mib(model.cacheBytes)} of address space for 32 rows, resident only where used.`,
  ].join('\n');
}

const LOSS_KEYS = { totalMs: 'total', encoderMs: 'encoder', perTokenMs: 'token', cpuMs: 'CPU time' };

/** Every place where a peer is at least as fast as we are in its type, fastest peer first. */
export function losses(records) {
  const names = [...new Set(records.map((r) => r.case))].filter((name) => name !== 'cold start');
  const engines = [...new Set(records.map((r) => r.engine))].filter((engine) => !OURS.includes(engine));
  const found = [];
  for (const name of names) {
    for (const engine of engines) {
      for (const [key, label] of Object.entries(LOSS_KEYS)) {
        const own = counterpart(engine);
        const value = ratio(records, name, engine, key, own);
        if (value <= 1) found.push({ value, text: `${name}: ${engine} ${label} ${fixed(value, 2)} × ${own}` });
      }
    }
  }
  return found.sort((a, b) => a.value - b.value).map((entry) => entry.text);
}

/** fp32 engines whose tokens differ from PyTorch's: the run is not a comparison then. */
export function disagreements(records) {
  return records
    .filter((r) => timed(r) && r.engine.endsWith('fp32') && r.case !== 'cold start')
    .map((r) => ({ r, same: agreement(records, r.case, r) }))
    .filter(({ same }) => same && same.equal !== same.total)
    .map(({ r, same }) => `${r.case}, ${r.engine}: ${same.equal} of ${same.total} tokens agree with PyTorch fp32`);
}

export function skips(records) {
  return [
    ...new Set(
      records.filter((r) => r.skipped || r.error).map((r) => `${r.case}, ${r.engine}: ${r.skipped ?? r.error}`),
    ),
  ];
}

const list = (items, none) => (items.length ? items.map((item) => `- ${item}`).join('\n') : none);

/** What the time budget left of the rounds asked for. */
function roundsDone(records) {
  const cells = new Map();
  for (const { case: name, engine } of records) cells.set(name + engine, (cells.get(name + engine) ?? 0) + 1);
  const [least, most] = [Math.min(...cells.values()), Math.max(...cells.values())];
  return `${least === most ? most : `${least} to ${most}`} process(es) per cell`;
}

export function markdown({ meta, records }) {
  const warm = records.filter((r) => r.case !== 'cold start');
  const names = [...new Set(warm.map((r) => r.case))];
  const engines = [...new Set(warm.map((r) => r.engine))];
  const parts = [
    `${meta.date}, ${meta.cpu}, ${meta.cpus} CPUs, Node ${meta.node}, ${roundsDone(warm)}; ${meta.engines.join('; ')}. ${meta.note}`,
  ];
  for (const name of names) {
    const rows = engines.map((engine) => row(warm, name, engine)).filter(Boolean);
    if (rows.length) parts.push(`### ${meta.model}, ${name}, ${meta.newTokens} new tokens`, table(HEAD, rows));
  }
  parts.push(
    '### Start to first result (2 threads, files in the page cache)',
    coldTable(records) || 'Not measured in this run.',
  );
  parts.push('### Memory while loading', memoryLine(records, meta.weightBytes));
  parts.push('### Where a peer is as fast or faster in its type', list(losses(warm), 'Nowhere in this run.'));
  const compared = warm.some((r) => r.engine === 'PyTorch fp32' && timed(r));
  const agreed = compared
    ? 'All fp32 engines that ran gave the same tokens in every case.'
    : 'PyTorch fp32 did not run: not compared.';
  parts.push('### Agreement of the fp32 tokens', list(disagreements(records), agreed));
  parts.push('### Skipped', list(skips(records), 'Nothing.'));
  return parts.join('\n\n');
}
