#!/usr/bin/env node
/** The process around run(): standard streams, SIGINT, exit code. */
import { EXIT } from './io';
import { run } from './run';

const interrupted = new AbortController();

process.on('SIGINT', () => {
  // A second one does not wait for the engine to stop.
  if (interrupted.signal.aborted) process.exit(EXIT.interrupted);
  interrupted.abort();
});

const { stdout, stderr, stdin } = process;
void run(process.argv.slice(2), { stdout, stderr, stdin, signal: interrupted.signal }).then((code) => {
  // An unfinished read of standard input would keep an interrupted process alive.
  if (code === EXIT.interrupted) process.exit(code);
  process.exitCode = code;
});
