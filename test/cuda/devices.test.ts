/** `ved devices` where there is a device: which products are whose. */
import test from 'ava';
import { describeCuda } from '../../ts/cli/devices';
import { loadNative } from '../../ts/native/load';

const onDevice = process.env['VED_TEST_DEVICE'] ? test : test.skip;

onDevice('devices: says whether cuBLAS is used, or why not', (t) => {
  const report = loadNative().cudaReport();
  t.true(report.available);
  const { library, version, reason } = report.cublas;
  t.is(library === '', reason !== '');
  const lines = describeCuda(report).map((line) => line.trim());
  if (library) t.true(lines.includes(`cuBLAS ${version}: ${library}`));
  else t.true(lines.includes('matrix products: own kernels') && lines.includes(`cuBLAS not used: ${reason}`));
});
