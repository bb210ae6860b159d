/** `ved generate`: images to text, in batches; an image that fails, fails alone. */
import type { ImageToTextPipeline, PipelineOptions, ReadOptions, ReadOutcome, ReadResult } from '../pipeline';
import { findImages, type NamedImage } from './images';
import { codeOf, EXIT, isOptionError, messageOf, usageError, type Session } from './io';
import {
  countFlag,
  definedOnly,
  GENERATION_FLAGS,
  generationOptions,
  HUB_FLAGS,
  hubOptions,
  parseFlags,
} from './options';

const DEFAULT_BATCH = 16;

const FLAGS = {
  ...GENERATION_FLAGS,
  ...HUB_FLAGS,
  model: { type: 'string' },
  device: { type: 'string' },
  dtype: { type: 'string' },
  threads: { type: 'string' },
  'max-batch': { type: 'string' },
  'max-pixels': { type: 'string' },
  'image-backend': { type: 'string' },
  batch: { type: 'string' },
  prompt: { type: 'string' },
  'post-process': { type: 'string' },
  grayscale: { type: 'boolean' },
  'stop-on-repetition': { type: 'boolean' },
  json: { type: 'boolean' },
  stream: { type: 'boolean' },
} as const;

interface Job {
  read: ImageToTextPipeline;
  options: ReadOptions;
  images: NamedImage[];
  batch: number;
  json: boolean;
  /** Lines begin with the image's name. */
  named: boolean;
}

export async function generate(args: string[], session: Session): Promise<number> {
  const { values, positionals } = parseFlags(args, FLAGS);
  if (positionals.length === 0)
    throw usageError("generate: expected at least one IMAGE, got none; see 'ved generate --help'");
  const options = readOptions(values, session);
  const load = loadOptions(values, session);
  const batch = countFlag(values, 'batch') ?? DEFAULT_BATCH;
  const json = values['json'] === true;

  const found = await findImages(positionals, session);
  const images = found.filter((image): image is NamedImage => 'input' in image);
  const named = found.length > 1 || positionals[0] !== found[0]?.name;
  const read = await openPipeline(values['model'] as string | undefined, load, session);
  try {
    const job: Job = { read, options, images, batch, json, named };
    let failed = 0;
    for (const image of found)
      if ('error' in image) failed += await printFailure(job, session, image.name, image.error);
    failed += values['stream'] ? await streamAll(job, session) : await readAll(job, session);
    return failed > 0 ? EXIT.imagesFailed : EXIT.ok;
  } finally {
    await read.dispose();
  }
}

function readOptions(values: Record<string, unknown>, { signal }: Session): ReadOptions {
  const options = generationOptions(values);
  const own = definedOnly({
    prompt: values['prompt'] as string | undefined,
    postProcess: values['post-process'] as ReadOptions['postProcess'],
    grayscale: values['grayscale'] as boolean | undefined,
    stopOnRepetition: values['stop-on-repetition'] as boolean | undefined,
  });
  if (values['stream'] && (options.numReturnSequences ?? 1) > 1) {
    throw usageError(`--num-return-sequences: expected 1 with --stream, got ${options.numReturnSequences}`);
  }
  return { ...options, ...own, signal };
}

function loadOptions(values: Record<string, unknown>, session: Session): PipelineOptions {
  const onProgress: NonNullable<PipelineOptions['onProgress']> = ({ stage, file, loaded, total }) => {
    const percent = total > 0 ? `${Math.floor((100 * loaded) / total)} %` : '';
    session.progress(`loading ${file ?? stage} ${percent}`);
  };
  const chosen = definedOnly({
    device: values['device'] as PipelineOptions['device'],
    dtype: values['dtype'] as PipelineOptions['dtype'],
    threads: countFlag(values, 'threads'),
    maxBatch: countFlag(values, 'max-batch'),
    maxPixels: countFlag(values, 'max-pixels'),
    imageBackend: values['image-backend'] as PipelineOptions['imageBackend'],
  });
  return { ...hubOptions(values), ...chosen, onProgress, signal: session.signal };
}

async function openPipeline(
  source: string | undefined,
  options: PipelineOptions,
  { io }: Session,
): Promise<ImageToTextPipeline> {
  // eslint-disable-next-line @typescript-eslint/no-require-imports -- late: wrong usage is told without loading anything
  const open = io.pipeline ?? (require('../pipeline') as typeof import('../pipeline')).pipeline;
  return open('image-to-text', source, options);
}

/** Gives the number of images that failed. */
async function readAll(job: Job, session: Session): Promise<number> {
  const { images, batch } = job;
  let failed = 0;
  for (let at = 0; at < images.length; at += batch) {
    if (images.length > batch) session.progress(`${at}/${images.length} images`);
    const part = images.slice(at, at + batch);
    const outcomes = await readBatch(job, part, session);
    for (const [index, outcome] of outcomes.entries()) {
      const { name } = part[index] as NamedImage;
      if ('error' in outcome) failed += await printFailure(job, session, name, outcome.error);
      else await printResults(job, session, name, outcome.results);
    }
  }
  return failed;
}

/** A batch that fails as a whole is tried image by image, so that one image cannot take the others with it. */
async function readBatch(job: Job, images: NamedImage[], session: Session): Promise<ReadOutcome[]> {
  const inputs = images.map(({ input }) => input);
  try {
    const outcomes = await job.read.settled(inputs, job.options);
    session.signal.throwIfAborted();
    return outcomes;
  } catch (error) {
    session.signal.throwIfAborted();
    if (isOptionError(error)) throw error;
    if (images.length === 1) return [{ error }];
    const alone: ReadOutcome[] = [];
    for (const image of images) alone.push(...(await readBatch(job, [image], session)));
    return alone;
  }
}

async function printResults(job: Job, session: Session, image: string, results: readonly ReadResult[]): Promise<void> {
  if (job.json) return session.print(`${JSON.stringify({ image, results })}\n`);
  for (const { generatedText, json } of results) {
    const text = json === undefined ? generatedText : JSON.stringify(json);
    await session.print(job.named ? `${image}\t${oneLine(text)}\n` : `${text}\n`);
  }
}

/** Always 1, the count of failures. */
async function printFailure(job: Job, session: Session, image: string, error: unknown): Promise<number> {
  session.report(error, image);
  if (job.json) {
    await session.print(`${JSON.stringify({ image, error: { code: codeOf(error), message: messageOf(error) } })}\n`);
  }
  return 1;
}

async function streamAll(job: Job, session: Session): Promise<number> {
  let failed = 0;
  for (const image of job.images) {
    try {
      await streamOne(job, session, image);
    } catch (error) {
      session.signal.throwIfAborted();
      if (isOptionError(error)) throw error;
      failed += await printFailure(job, session, image.name, error);
    }
  }
  return failed;
}

async function streamOne(job: Job, session: Session, { name, input }: NamedImage): Promise<void> {
  let begun = false;
  for await (const { text, row, done } of job.read.stream(input, job.options)) {
    if (job.json) {
      await session.print(`${JSON.stringify({ image: name, row, text, done })}\n`);
      continue;
    }
    const start = begun || !job.named ? '' : `${name}\t`;
    begun = true;
    await session.print(`${start}${job.named ? oneLine(text) : text}${done ? '\n' : ''}`);
  }
  session.signal.throwIfAborted();
}

/** Where each line belongs to one image, a line break inside a text is written as \n. */
function oneLine(text: string): string {
  return text.replace(/\\/g, '\\\\').replace(/\r/g, '\\r').replace(/\n/g, '\\n');
}
