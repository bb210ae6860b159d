// One driver, one child process, one JSON line.
import { spawn } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { performance } from 'node:perf_hooks';
import process from 'node:process';
import { python } from './prepare/prepare.mjs';

const LIMIT_MS = 240_000;
const drivers = path.join(import.meta.dirname, 'drivers');
const COMMANDS = {
  ours: [process.execPath, path.join(drivers, 'ours.mjs')],
  transformersjs: [process.execPath, path.join(drivers, 'transformersjs.mjs')],
  pytorch: [python, path.join(drivers, 'pytorch.py')],
};

/** CPU seconds used by the whole machine since it started, steal included; undefined where /proc/stat is not there. */
function machineCpuSeconds() {
  try {
    const [user, nice, system, , , irq, softirq, steal] = readFileSync('/proc/stat', 'utf8')
      .split('\n')[0]
      .trim()
      .split(/\s+/)
      .slice(1)
      .map(Number);
    return (user + nice + system + irq + softirq + steal) / 100;
  } catch {
    return undefined;
  }
}

function run(command, args, env) {
  return new Promise((resolve) => {
    const started = performance.now();
    const child = spawn(command, args, { env, timeout: LIMIT_MS, stdio: ['ignore', 'pipe', 'pipe'] });
    let out = '';
    let errors = '';
    let firstMs;
    child.stdout.on('data', (data) => {
      out += data;
      if (/^\{.*\n/m.test(out)) firstMs ??= performance.now() - started;
    });
    child.stderr.on('data', (data) => (errors = (errors + data).slice(-2000)));
    child.on('error', (error) => resolve({ error: error.message }));
    child.on('close', (code, signal) => {
      const line = out.split('\n').find((text) => text.startsWith('{'));
      const wallMs = performance.now() - started;
      if (line) resolve({ ...JSON.parse(line), spawnToResultMs: firstMs, wallMs });
      else resolve({ error: `exit ${code ?? signal}: ${errors.trim().split('\n').at(-1)}` });
    });
  });
}

/** What the driver printed, and how many CPUs everybody else used meanwhile. */
export async function execute(cell, setup, scratch) {
  const { modelDir, pixelShape } = setup;
  const onnxDir = setup.onnxDir + (cell.engine.setup ? '-kept' : '');
  const job = { ...cell.job, modelDir, onnxDir, pixelShape, pixelValuesFile: path.join(modelDir, 'pixels.f32') };
  const file = path.join(scratch, `job-${process.pid}.json`);
  writeFileSync(file, JSON.stringify(job));
  const [command, driver] = COMMANDS[cell.engine.driver];
  const env = { ...process.env, VED_BENCH_ENTRY: setup.entry, VED_BENCH_JS: setup.js };
  const load = os.loadavg()[0];
  const before = machineCpuSeconds();
  const result = await run(command, [driver, file], env);
  const busy = machineCpuSeconds();
  if (busy !== undefined && result.wallMs) {
    result.otherCpus = Math.max(0, busy - before - result.cpuSeconds) / (result.wallMs / 1000);
  }
  const { engine: engineVersion, ...rest } = result;
  return { case: cell.name, engine: cell.engine.id, engineVersion, threads: cell.job.threads, load, ...rest };
}
