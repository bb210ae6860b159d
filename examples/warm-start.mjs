// A new model from an encoder's and a decoder's checkpoint, saved, and used from where it was saved. Both are the bundled line
// reader here, so that nothing is left to draw at random and the new model reads; with others, training would come before.
//   node examples/warm-start.mjs [IMAGE]
import { copyFile, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import { pipeline, VisionEncoderDecoderModel } from 'vision-encoder-decoder';

const reader = fileURLToPath(new URL('../models/line-reader', import.meta.url));
const image = process.argv[2] ?? fileURLToPath(new URL('images/invoice.png', import.meta.url));

const model = await VisionEncoderDecoderModel.fromEncoderDecoderPretrained(reader, reader, {
  config: { decoderStartTokenId: 0, padTokenId: 1, eosTokenId: 2 },
});
if (model.newlyInitialized.length > 0) console.error('to be trained:', model.newlyInitialized.join(', '));

const folder = await mkdtemp(path.join(tmpdir(), 'warm-start-'));
await model.savePretrained(folder, { maxShardSize: 1_000_000 });
await model.dispose();
// A model's folder holds its weights and configs; what makes texts and pixels of it comes beside.
for (const file of ['tokenizer.json', 'tokenizer_config.json', 'preprocessor_config.json']) {
  await copyFile(path.join(reader, file), path.join(folder, file));
}

const read = await pipeline('image-to-text', folder);
// A new model has the common default of 20 tokens at most.
const [{ generatedText }] = await read(image, { maxNewTokens: 100 });
console.log(generatedText);
await read.dispose();
await rm(folder, { recursive: true });
