// What the Node drivers share: the job, the pixels, event-loop delays, peak memory.
import { readFileSync } from 'node:fs';
import { monitorEventLoopDelay, performance } from 'node:perf_hooks';
import process from 'node:process';

export const job = JSON.parse(readFileSync(process.argv[2], 'utf8'));

const sleep = (ms) => new Promise((done) => setTimeout(done, ms));

/** The first `batch` images as one Float32Array. */
export function pixels() {
  const count = job.batch * job.pixelShape.reduce((a, b) => a * b);
  const bytes = readFileSync(job.pixelValuesFile);
  return new Float32Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + count * 4));
}

/** VmHWM and VmRSS in bytes; elsewhere than on Linux only the peak is known. */
export function memory() {
  try {
    const status = readFileSync('/proc/self/status', 'utf8');
    const read = (key) => Number(new RegExp(`${key}:\\s+(\\d+)`).exec(status)[1]) * 1024;
    return { peak: read('VmHWM'), rss: read('VmRSS') };
  } catch {
    return { peak: process.resourceUsage().maxRSS * 1024, rss: process.memoryUsage().rss };
  }
}

function cpuMs() {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
}

/** Runs `work` and says how late timers fired meanwhile. One tick passes after the reset: a first block would not be seen. */
export async function withEventLoop(work) {
  const delays = monitorEventLoopDelay({ resolution: 1 });
  delays.enable();
  await sleep(15);
  delays.reset();
  await sleep(5);
  const cpuBefore = cpuMs();
  const started = performance.now();
  const result = await work();
  const ms = performance.now() - started;
  const cpu = cpuMs() - cpuBefore;
  await sleep(10);
  delays.disable();
  const at = (value) => value / 1e6;
  return {
    result,
    ms,
    cpu,
    loop: { p50: at(delays.percentile(50)), p99: at(delays.percentile(99)), max: at(delays.max) },
  };
}

/** Warm-up runs, then timed runs until `repeats` or `maxSeconds`. `once` returns { sequences, encoderMs }. */
export async function repeat(once) {
  const out = { warmupMs: [], encoderMs: [], perTokenMs: [], totalMs: [], cpuMs: [], eventLoop: [], sequences: [] };
  out.eventLoopIdle = job.warmup ? (await withEventLoop(() => sleep(300))).loop : undefined;
  const began = performance.now();
  for (let run = 0; run < job.warmup + job.repeats; run++) {
    const { result, ms, cpu, loop } = await withEventLoop(once);
    out.sequences = result.sequences;
    if (run < job.warmup) {
      out.warmupMs.push(ms);
      continue;
    }
    const encoderMs = await result.encoderMs();
    out.encoderMs.push(encoderMs);
    out.totalMs.push(ms);
    out.cpuMs.push(cpu);
    out.perTokenMs.push((ms - encoderMs) / job.newTokens);
    out.eventLoop.push(loop);
    if (performance.now() - began > job.maxSeconds * 1000) break;
  }
  return out;
}

export function finish(result) {
  console.log(JSON.stringify({ ...result, cpuSeconds: cpuMs() / 1000, peakBytes: memory().peak }));
  process.exit(0);
}
