// Reads one image of a printed line with the bundled model.
//   node examples/read-line.mjs [IMAGE]        without one: the first of examples/images
import { readdirSync } from 'node:fs';
import process from 'node:process';
import { pipeline } from 'vision-encoder-decoder';

const images = new URL('images/', import.meta.url);
const sample = () =>
  new URL(
    readdirSync(images)
      .filter((name) => name.endsWith('.png'))
      .sort()[0],
    images,
  );
const image = process.argv[2] ?? sample();

const read = await pipeline('image-to-text');
const [{ generatedText, confidence }] = await read(image);
console.log(generatedText);
console.error(`probability that all of it is right: ${confidence.toFixed(3)}`);
await read.dispose();
