// Reads all PNG and JPEG files of a folder, several per model call. A file that cannot be read is reported; the others go on.
//   node examples/batch-folder.mjs [FOLDER]      without one: examples/images
import { readdir } from 'node:fs/promises';
import path from 'node:path';
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import { pipeline } from 'vision-encoder-decoder';

const BATCH = 8;
const folder = process.argv[2] ?? fileURLToPath(new URL('images', import.meta.url));

const names = (await readdir(folder)).filter((name) => /\.(png|jpe?g)$/i.test(name)).sort();
const read = await pipeline('image-to-text');
for (let at = 0; at < names.length; at += BATCH) {
  const part = names.slice(at, at + BATCH);
  const outcomes = await read.settled(part.map((name) => path.join(folder, name)));
  outcomes.forEach((outcome, index) => {
    if ('error' in outcome) {
      console.error(`${part[index]}: ${outcome.error.message}`);
      process.exitCode = 1;
    } else {
      console.log(`${part[index]}\t${outcome.results[0].generatedText}`);
    }
  });
}
await read.dispose();
