/** `ved devices`: what this machine and this build can compute on, and what keeps CUDA from being used. */
import type { CudaReport } from '../native/contract';
import { loadNative } from '../native/load';
import { EXIT, usageError, type Session } from './io';
import { parseFlags } from './options';

const GIB = 2 ** 30;

export async function devices(args: string[], session: Session): Promise<number> {
  const { values, positionals } = parseFlags(args, { json: { type: 'boolean' } });
  if (positionals.length > 0) throw usageError(`devices: expected no argument, got '${positionals[0]}'`);
  const native = loadNative();
  const cpu = native.cpuFeatures();
  const cuda = native.cudaReport();
  const lines = [
    `cpu   ${cpu.best}, ${cpu.hardwareThreads} hardware threads`,
    `      kernels: ${cpu.isas.join(', ')}`,
    ...describeCuda(cuda),
  ];
  await session.print(`${values['json'] ? JSON.stringify({ cpu, cuda }) : lines.join('\n')}\n`);
  return EXIT.ok;
}

export function describeCuda(cuda: CudaReport): string[] {
  const lines = cuda.devices.map(({ index, name, computeCapability, multiprocessors, memoryBytes, reason }) => {
    const memory = `${(memoryBytes / GIB).toFixed(1)} GiB`;
    const text = `${name}, compute capability ${computeCapability}, ${multiprocessors} SMs, ${memory}`;
    return `cuda:${index}  ${text}${reason ? `; not used: ${reason}` : ''}`;
  });
  if (!cuda.available && lines.length === 0) return [`cuda  not used: ${cuda.reason}`];
  lines.push(`      library: ${cuda.library}`, `      CUDA ${cuda.runtime}, driver for CUDA ${cuda.driver}`);
  if (cuda.available) lines.push(...describeProducts(cuda.cublas));
  if (cuda.emulated) lines.push("      this is the tests' emulator, not a device: 'auto' leaves it out");
  return lines;
}

function describeProducts({ library, version, reason }: CudaReport['cublas']): string[] {
  if (!library) return ['      matrix products: own kernels', `      cuBLAS not used: ${reason}`];
  return [
    '      matrix products: cuBLAS for many rows in 16 bits, else own kernels',
    `      cuBLAS ${version}: ${library}`,
  ];
}
