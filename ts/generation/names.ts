/** Hints for misspelled options. */
import { editDistance, toCamelCase } from '../names.js';

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
