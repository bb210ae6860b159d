/** Names of options: snake_case in files, camelCase in code, and hints for misspelled ones. */

export function toCamelCase(name: string): string {
  return name.replace(/(?<=[a-z0-9])_+([a-z0-9])/g, (_, letter: string) => letter.toUpperCase());
}

export function toSnakeCase(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}

/** Levenshtein distance. */
export function editDistance(a: string, b: string): number {
  let previous = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const current = [i];
    for (let j = 1; j <= b.length; j++) {
      const substitution = previous[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1);
      current.push(Math.min(substitution, previous[j]! + 1, current[j - 1]! + 1));
    }
    previous = current;
  }
  return previous[b.length]!;
}

/** Names that other libraries or older versions use for the same thing. */
const ALIASES: Readonly<Record<string, string>> = {
  maxTokens: 'maxNewTokens',
  beams: 'numBeams',
  beamSize: 'numBeams',
  beamWidth: 'numBeams',
  logitsProcessor: 'logitsProcessors',
  stoppingCriterion: 'stoppingCriteria',
  inputIds: 'decoderInputIds',
  sample: 'doSample',
  repeatPenalty: 'repetitionPenalty',
  customStopTriggers: 'stopStrings',
  stop: 'stopStrings',
  nRepeatNgramSize: 'noRepeatNgramSize',
};

/** The known name that was most likely meant. */
export function nearestName(name: string, known: readonly string[]): string {
  const camel = toCamelCase(name);
  if (known.includes(camel)) return camel;
  const alias = ALIASES[camel];
  if (alias !== undefined && known.includes(alias)) return alias;
  const wanted = camel.toLowerCase();
  let best = known[0]!;
  let bestDistance = Infinity;
  for (const candidate of known) {
    const distance = editDistance(wanted, candidate.toLowerCase());
    if (distance < bestDistance) [best, bestDistance] = [candidate, distance];
  }
  return best;
}
