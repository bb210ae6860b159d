// Reads the pictures named on stdin (a JSON array) with this package; prints one JSON object.
//   node ours.mjs MODEL BATCH THREADS
// Times hold everything from the path of a picture to its text: file, decoding, resizing, model, tokenizer.
import path from 'node:path';
import process from 'node:process';
import { text } from 'node:stream/consumers';
import { pathToFileURL } from 'node:url';

const [, , model, batch, threads] = process.argv;
const entry = path.join(import.meta.dirname, '..', '..', 'dist', 'index.js');
const { default: ved } = await import(pathToFileURL(entry));
const files = JSON.parse(await text(process.stdin));
const options = threads === 'all' ? {} : { threads: Number(threads) };

const read = await ved.pipeline('image-to-text', model, options);
await read(files.slice(0, Number(batch)));
const results = [];
const started = process.cpuUsage();
const began = performance.now();
for (let at = 0; at < files.length; at += Number(batch)) {
  for (const [best] of await read(files.slice(at, at + Number(batch)))) {
    results.push({
      read: best.generatedText,
      confidence: best.confidence,
      logProb: best.tokens.reduce((sum, token) => sum + token.logProb, 0),
    });
  }
}
const { user, system } = process.cpuUsage(started);
const spent = {
  msPerLine: (performance.now() - began) / files.length,
  cpuMsPerLine: (user + system) / 1e3 / files.length,
};
await read.dispose();
console.log(JSON.stringify({ ...spent, results }));
