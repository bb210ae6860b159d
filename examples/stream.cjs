// Prints the text of one image while it is written. CommonJS, to show that both module systems work.
//   node examples/stream.cjs [IMAGE]        without one: the first of examples/images
'use strict';
const { readdirSync } = require('node:fs');
const path = require('node:path');
const { pipeline } = require('vision-encoder-decoder');

const images = path.join(__dirname, 'images');
const sample = () =>
  path.join(
    images,
    readdirSync(images)
      .filter((name) => name.endsWith('.png'))
      .sort()[0],
  );

async function main([image = sample()]) {
  const read = await pipeline('image-to-text');
  for await (const { text, done } of read.stream(image)) process.stdout.write(done ? `${text}\n` : text);
  await read.dispose();
}

main(process.argv.slice(2)).catch((error) => {
  console.error(error.message);
  process.exitCode = 1;
});
