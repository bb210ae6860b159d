// Time from fromPretrained() to a ready model, against reading the same file once (1 MiB at a time into one buffer, one
// thread; both from the page cache when it fits).
//   node benchmarks/loading/run.mjs FOLDER [--repeats N] [--threads 1,2]
// Medians. CPU time is split as the kernel accounts it: packing is user time; reading and the first touch of the memory that
// weights are packed into are system time. Ratio: ready / read, the bar is 1.5. Needs a build.
import { closeSync, openSync, readFileSync, readSync, statSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import process from 'node:process';
import { parseArgs } from 'node:util';

const { values: args, positionals } = parseArgs({
  allowPositionals: true,
  options: { repeats: { type: 'string', default: '3' }, threads: { type: 'string', default: '1,2' } },
});
if (positionals.length !== 1) throw new Error('expected one folder with model.safetensors');
const root = path.join(import.meta.dirname, '..', '..');
const { VisionEncoderDecoderModel } = createRequire(import.meta.url)(path.join(root, 'dist', 'index.js'));
const folder = path.resolve(positionals[0]);
const file = path.join(folder, 'model.safetensors');
const bytes = statSync(file).size;
const buffer = Buffer.alloc(1 << 20);

function readOnce() {
  const handle = openSync(file);
  while (readSync(handle, buffer, 0, buffer.length, null) > 0);
  closeSync(handle);
}

async function timed(run) {
  const [cpu, start] = [process.cpuUsage(), performance.now()];
  const result = await run();
  const wall = performance.now() - start;
  const { user, system } = process.cpuUsage(cpu);
  return { wall, user: user / 1e3, system: system / 1e3, result };
}

const median = (list, key) => list.map((entry) => entry[key]).sort((a, b) => a - b)[list.length >> 1];
const peakMiB = () => Number(/VmHWM:\s+(\d+)/.exec(readFileSync('/proc/self/status', 'utf8'))?.[1] ?? NaN) / 1024;

readOnce();
console.log(`${file}: ${(bytes / 2 ** 20).toFixed(0)} MiB`);
console.log(
  '| dtype | threads | read once ms | ready ms | ratio | CPU: read ms | ready, user ms | ready, system ms | peak MiB |',
);
console.log('| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |');
// The smallest first: the peak is of the whole process so far.
for (const dtype of ['int8', 'bfloat16', 'float32'])
  for (const threads of args.threads.split(',').map(Number)) {
    const [reads, loads] = [[], []];
    for (let i = 0; i < Number(args.repeats); i++) {
      reads.push(await timed(() => readOnce()));
      loads.push(
        await timed(() => VisionEncoderDecoderModel.fromPretrained(folder, { device: 'cpu', dtype, threads })),
      );
      await loads.at(-1).result.dispose();
    }
    const [read, ready] = [median(reads, 'wall'), median(loads, 'wall')];
    const cells = [read, ready].map((ms) => ms.toFixed(0));
    const cpu = [median(reads, 'user') + median(reads, 'system'), median(loads, 'user'), median(loads, 'system')];
    console.log(
      `| ${[dtype, threads, ...cells, (ready / read).toFixed(2), ...cpu.map((ms) => ms.toFixed(0)), peakMiB().toFixed(0)].join(' | ')} |`,
    );
  }
