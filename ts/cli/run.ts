/** `ved`: finds the command, runs it, turns what it throws into a line and an exit code. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { HELP, type CommandName } from './help';
import { EXIT, isOptionError, Session, usageError, type CliIo } from './io';

type Command = (args: string[], session: Session) => Promise<number>;

/* eslint-disable @typescript-eslint/no-require-imports -- loaded when asked for: `ved --help` needs nothing else */
const COMMANDS: Readonly<Record<CommandName, () => Command>> = {
  generate: () => (require('./generate') as typeof import('./generate')).generate,
  info: () => (require('./info') as typeof import('./info')).info,
  devices: () => (require('./devices') as typeof import('./devices')).devices,
};
/* eslint-enable @typescript-eslint/no-require-imports */

/** Runs one command line (without the program's name) and gives its exit code. Rejects never. */
export async function run(argv: readonly string[], io: CliIo): Promise<number> {
  const session = new Session(io);
  try {
    return await dispatch(argv, session);
  } catch (error) {
    if (session.pipeBroken) return EXIT.ok;
    if (io.signal?.aborted) return EXIT.interrupted;
    session.report(error);
    return isOptionError(error) ? EXIT.usage : EXIT.notLoaded;
  } finally {
    session.clearProgress();
  }
}

async function dispatch(argv: readonly string[], session: Session): Promise<number> {
  const [name, ...args] = argv;
  if (name === '--version' || name === '-v') return say(session, packageVersion());
  if (name === '--help' || name === '-h' || name === 'help') return say(session, helpFor(args[0]));
  if (name === undefined) {
    session.note(HELP.ved);
    return EXIT.usage;
  }
  if (!isCommand(name)) throw unknownCommand(name);
  const options = args.slice(0, args.includes('--') ? args.indexOf('--') : args.length);
  if (options.includes('--help') || options.includes('-h')) return say(session, HELP[name]);
  return COMMANDS[name]()(args, session);
}

async function say(session: Session, text: string): Promise<number> {
  await session.print(`${text}\n`);
  return EXIT.ok;
}

function helpFor(name: string | undefined): string {
  if (name === undefined) return HELP.ved;
  if (!isCommand(name)) throw unknownCommand(name);
  return HELP[name];
}

function isCommand(name: string): name is CommandName {
  return Object.hasOwn(COMMANDS, name);
}

function unknownCommand(name: string): Error {
  const known = Object.keys(COMMANDS);
  return usageError(`expected a command (${known.join(', ')}), got '${name}'; see 'ved --help'`);
}

function packageVersion(): string {
  // Two folders up from ts/cli/ (tests) and from dist/cli/ alike.
  const manifest = JSON.parse(readFileSync(join(__dirname, '..', '..', 'package.json'), 'utf8')) as { version: string };
  return manifest.version;
}
