/** The Python with torch and transformers that some tests need: $PYTHON, else python3. Without it they are skipped. */
import { execFile, spawnSync } from 'node:child_process';
import { promisify } from 'node:util';

const command = process.env['PYTHON'] ?? 'python3';

/** Whether both packages can be found; importing them to find out would take seconds. */
export const hasTransformers: boolean =
  spawnSync(
    command,
    ['-c', 'import importlib.util as u, sys; sys.exit(not all(map(u.find_spec, ("torch", "transformers"))))'],
    { stdio: 'ignore' },
  ).status === 0;

/** Runs a script of this folder; gives one parsed object per line it prints. */
export async function runPython<T>(script: string, args: readonly string[]): Promise<T[]> {
  const { stdout } = await promisify(execFile)(command, [`${__dirname}/${script}`, ...args], {
    maxBuffer: 256 << 20,
    env: { ...process.env, HF_HUB_OFFLINE: '1', CUDA_VISIBLE_DEVICES: '' },
  });
  return stdout
    .split('\n')
    .filter((line) => line.startsWith('{'))
    .map((line) => JSON.parse(line) as T);
}
