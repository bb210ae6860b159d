module.exports = {
  // test/cuda needs a device, or the emulator of the CUDA kernels: part "cuda" of tools/run-tests.mjs.
  files: ['test/**/*.test.ts', ...(process.env.VED_TEST_DEVICE ? [] : ['!test/cuda/**'])],
  extensions: { ts: 'commonjs' },
  nodeArguments: ['--import=tsx'],
  timeout: '120s',
  workerThreads: true,
};
