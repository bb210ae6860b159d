// Innermost loops of the matrix kernels, counted in the disassembly.
import { spawnSync } from 'node:child_process';

const DOTS = /^(vfmadd\d+ps|vdpbf16ps|vpdpbusd|vpmaddwd|tdpbf16ps|tdpbssd)$/;

/** Functions of an object file: name to instructions { at, op, operands }. */
function functions(object) {
  const { stdout, status, stderr } = spawnSync('objdump', ['-d', '-C', '-w', '--no-show-raw-insn', object], {
    encoding: 'utf8',
    maxBuffer: 1 << 28,
  });
  if (status !== 0) throw new Error(`objdump ${object}: ${stderr}`);
  const all = new Map();
  let current;
  for (const line of stdout.split('\n')) {
    const head = /^[0-9a-f]+ <(.*)>:$/.exec(line);
    if (head) all.set(head[1], (current = []));
    const body = /^\s*([0-9a-f]+):\s+(?:\{vex\} )?(\S+)\s*(.*)$/.exec(line);
    if (body && current) current.push({ at: parseInt(body[1], 16), op: body[2], operands: body[3] });
  }
  return all;
}

/** Every loop (a jump back, and what lies between) with a multiply-add, without those around others. */
function loops(code) {
  const found = [];
  code.forEach(({ at, op, operands }, end) => {
    const target = op.startsWith('j') ? parseInt(operands, 16) : NaN;
    if (!(target <= at)) return;
    const begin = code.findIndex((instruction) => instruction.at === target);
    if (begin >= 0) found.push(code.slice(begin, end + 1));
  });
  const multiplies = found.filter((loop) => loop.some(({ op }) => DOTS.test(op)));
  return multiplies.filter(
    (loop) => !multiplies.some((other) => other !== loop && loop.includes(other[0]) && other.length < loop.length),
  );
}

/** The name of a kernel of the largest tile; undefined for other functions. */
function kernelOf(name, tileRows) {
  if (/\.cold/.test(name)) return undefined;
  if (/::tilePanel<true, true>/.test(name)) return 'tiles';
  const match = /panelKernel<.*::(Dot\w+), (\d+), 2>/.exec(name);
  return match && Number(match[2]) === tileRows ? match[1] : undefined;
}

/**
 * Objects are { file, isa, tileRows }. Of the largest tile of each product: multiply-adds, instructions and accesses to the stack of one pass through its loop. Where
 * the compiler made several loops of one, the worst of each.
 */
export function countLoops(objects) {
  const counts = {};
  for (const { file, isa, tileRows } of objects)
    for (const [name, code] of functions(file)) {
      const kernel = kernelOf(name, tileRows);
      if (!kernel) continue;
      const all = loops(code);
      if (!all.length) throw new Error(`${file}: no loop in ${name}`);
      const worst = (of) => Math.max(...all.map(of));
      counts[`${isa} ${kernel}`] = {
        multiplyAdds: Math.min(...all.map((loop) => loop.filter(({ op }) => DOTS.test(op)).length)),
        instructions: worst((loop) => loop.length),
        stack: worst((loop) => loop.filter(({ operands }) => /%[er]?[sb]p\b/.test(operands)).length),
      };
    }
  return counts;
}
