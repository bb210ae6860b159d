// Prints a digest over every number that a model gives for fixed pixels: equal from run to run, or something races.
//   node repeat.cjs PACKAGE MODEL_FOLDER DEVICE DTYPE
'use strict';
const { createHash } = require('node:crypto');
const path = require('node:path');

const [packageFolder, folder, device, dtype] = process.argv.slice(2);
const { VisionEncoderDecoderModel } = require(path.join(packageFolder, 'dist', 'index.js'));
const { readFileSync } = require('node:fs');
const BATCH = 5;

/** Deterministic values in [-1, 1). */
function pixels({ num_channels: channels = 3, image_size: size }) {
  const [height, width] = Array.isArray(size) ? size : [size, size];
  const data = new Float32Array(BATCH * channels * height * width);
  let state = 20;
  for (let i = 0; i < data.length; i++) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    data[i] = state / 2 ** 31 - 1;
  }
  return { data, dims: [BATCH, channels, height, width] };
}

async function main() {
  const config = JSON.parse(readFileSync(path.join(folder, 'config.json'), 'utf8'));
  const model = await VisionEncoderDecoderModel.fromPretrained(folder, { device, dtype });
  const pixelValues = pixels(config.encoder);
  const once = async () => {
    const hash = createHash('sha256');
    const tensor = ({ data }) => hash.update(new Uint8Array(data.buffer, data.byteOffset, data.byteLength));
    const decoderInputIds = Array.from({ length: BATCH }, (_, row) => [2, 3 + row, 9, 4]);
    const output = await model.forward({ pixelValues, decoderInputIds });
    tensor(output.logits);
    tensor(output.encoderLastHiddenState);
    for (const options of [{}, { numBeams: 3 }, { doSample: true, seed: 7, topK: 0 }]) {
      const { sequences, tokenLogProbs } = await model.generate(pixelValues, { maxNewTokens: 12, ...options });
      hash.update(JSON.stringify(sequences));
      for (const row of tokenLogProbs) tensor({ data: Float64Array.from(row) });
    }
    return hash.digest('hex');
  };
  const digests = [await once(), await once(), await once()];
  await model.dispose();
  if (new Set(digests).size !== 1) throw new Error(`three runs in one process differ: ${digests.join(' ')}`);
  console.log(digests[0]);
}

main().catch((error) => {
  console.error(error?.stack ?? error);
  process.exitCode = 1;
});
