// A result → Markdown.

const percent = (value, digits = 1) => (Number.isFinite(value) ? `${(100 * value).toFixed(digits)} %` : '–');
const ms = (value) => (Number.isFinite(value) ? value.toFixed(value < 10 ? 1 : 0) : '–');
const table = (head, rows) =>
  [head, head.map((_, i) => (i ? '---:' : '---')), ...rows].map((row) => `| ${row.join(' | ')} |`).join('\n');

const NAMES = {
  clean: 'clean print',
  screenshots: 'screenshots',
  degraded: 'degraded',
  numbers: 'numbers and codes',
  western: 'Western European',
  capitals: 'digits and capitals, up to 16',
};

function errors({ ours, tesseract }) {
  const rows = Object.entries(NAMES).map(([key, name]) => {
    const [mine, theirs] = [ours?.categories[key], tesseract?.categories?.[key]];
    const pair = (of) => [of(mine ?? {}), of(theirs ?? {})];
    return [
      name,
      String(mine?.lines ?? theirs?.lines ?? '–'),
      ...pair((s) => percent(s.cer)),
      ...pair((s) => percent(s.cerFolded)),
      ...pair((s) => percent(s.wer)),
      ...pair((s) => percent(s.exact, 0)),
    ];
  });
  const head = ['category', 'lines', 'CER ours', 'Tesseract', 'CER, quotes and dashes alike: ours', 'Tesseract', 'WER ours', 'Tesseract', 'whole lines ours', 'Tesseract']; // prettier-ignore
  return table(head, rows);
}

function blank({ ours, tesseract }) {
  const rows = [
    ['ours', ours?.categories['no-text']],
    ['Tesseract', tesseract?.categories?.['no-text']],
  ].flatMap(([name, s]) => (s ? [[name, String(s.lines), percent(s.empty, 0), s.meanCharacters.toFixed(1)]] : []));
  return table(['crops without text', 'crops', 'read as nothing', 'characters on average'], rows);
}

function times({ ours, tesseract, meta }) {
  const keys = Object.keys(NAMES);
  const over = (of) => {
    const values = keys.map(of).filter(Number.isFinite);
    return values.reduce((a, b) => a + b, 0) / values.length;
  };
  const rows = [];
  const add = (name, of) => rows.push([name, ms(over((k) => of(k)?.msPerLine)), ms(over((k) => of(k)?.cpuMsPerLine))]);
  if (ours) add(`ours, batch ${meta.batch}`, (k) => ours.categories[k]);
  if (tesseract?.categories) {
    add('Tesseract library, one thread', (k) => tesseract.categories[k]?.library1);
    add('Tesseract library, all threads', (k) => tesseract.categories[k]?.libraryAll);
    add('`tesseract` command', (k) => tesseract.categories[k]?.command);
  }
  return table(['per line', 'ms', 'processor ms'], rows);
}

function confidence({ ours }) {
  if (!ours) return '';
  const rows = ours.confidence.map(({ least, lines, right }) => [
    `≥ ${least}`,
    String(lines),
    lines ? percent(right) : '–',
  ]);
  return table(['confidence', 'lines', 'wholly right'], rows);
}

export function markdown(result) {
  const { meta, tesseract } = result;
  const setting = `${meta.date}, ${meta.cpu}, ${meta.cpus} processors, ${meta.threads} threads, load ${meta.load.toFixed(1)} before and ${meta.loadAfter.toFixed(1)} after${meta.note ? `; ${meta.note}` : ''}.`; // prettier-ignore
  const against = tesseract?.version
    ? ` Against ${tesseract.version}, \`--psm 7\`.`
    : ` Tesseract: ${tesseract?.skipped ?? 'not run'}.`;
  const parts = [errors(result), blank(result), confidence(result), times(result), setting + against];
  return parts.filter(Boolean).join('\n\n');
}
