/** `ved devices`: what this machine and this build can compute on. */
import { loadNative } from '../native/load';
import { EXIT, usageError, type Session } from './io';
import { parseFlags } from './options';

const CUDA = { available: false, reason: 'not part of this build' } as const;

export async function devices(args: string[], session: Session): Promise<number> {
  const { values, positionals } = parseFlags(args, { json: { type: 'boolean' } });
  if (positionals.length > 0) throw usageError(`devices: expected no argument, got '${positionals[0]}'`);
  const cpu = loadNative().cpuFeatures();
  const lines = [
    `cpu   ${cpu.best}, ${cpu.hardwareThreads} hardware threads`,
    `      kernels: ${cpu.isas.join(', ')}`,
    `cuda  ${CUDA.reason}`,
  ];
  await session.print(`${values['json'] ? JSON.stringify({ cpu, cuda: CUDA }) : lines.join('\n')}\n`);
  return EXIT.ok;
}
