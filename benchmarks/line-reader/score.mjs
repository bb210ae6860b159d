// Error rates over lines of { text, read }.

/** Levenshtein distance of two arrays. */
export function distance(a, b) {
  let row = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      next[j] = Math.min(row[j] + 1, next[j - 1] + 1, row[j - 1] + (a[i - 1] === b[j - 1] ? 0 : 1));
    }
    row = next;
  }
  return row[b.length];
}

const characters = (text) => [...text.normalize('NFC')];
const words = (text) => text.split(/\s+/).filter(Boolean);
const sum = (list, of) => list.reduce((total, item) => total + of(item), 0);

/** Quotes and dashes as ASCII has them: Tesseract writes typographic ones where the picture has plain ones, and the reverse. */
export const folded = (text) =>
  text
    .replace(/[‘’‚‛′`´]/g, "'")
    .replace(/[“”„″]/g, '"')
    .replace(/[–—−]/g, '-');

/** What came back, on one line, without outer or doubled spaces. */
export const tidy = (text) => text.replace(/\s+/g, ' ').trim();

function rate(lines, split, change = (text) => text) {
  const wrong = sum(lines, ({ text, read }) => distance(split(change(text)), split(change(read))));
  return (
    wrong /
    Math.max(
      1,
      sum(lines, ({ text }) => split(change(text)).length),
    )
  );
}

/** Shares in 0 … 1; `exact` is the share of lines read without an error. */
export function score(lines) {
  return {
    lines: lines.length,
    cer: rate(lines, characters),
    cerFolded: rate(lines, characters, folded),
    wer: rate(lines, words),
    exact: sum(lines, ({ text, read }) => (text === read ? 1 : 0)) / lines.length,
  };
}

/** For crops without text: the share read as nothing, and what the others gave. */
export function scoreBlank(lines) {
  return {
    lines: lines.length,
    empty: sum(lines, ({ read }) => (read === '' ? 1 : 0)) / lines.length,
    meanCharacters: sum(lines, ({ read }) => read.length) / lines.length,
  };
}

/** Of the lines with at least this confidence: how many, and the share that is wholly right. */
export function above(lines, least) {
  const sure = lines.filter(({ confidence }) => confidence >= least);
  return { least, lines: sure.length, right: sum(sure, (l) => (l.text === l.read ? 1 : 0)) / Math.max(1, sure.length) };
}
