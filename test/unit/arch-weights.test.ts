import test from 'ava';
import { WeightsError } from '../../ts/errors';
import type { TensorTable } from '../../ts/files/tensor-table';
import { stack, Weights } from '../../ts/spec/weights';

type Entry = [name: string, shape: number[], dtype?: string];

function table(...entries: Entry[]): TensorTable {
  let offset = 0;
  const tensors: TensorTable['tensors'] = new Map();
  for (const [name, shape, dtype = 'F32'] of entries) {
    const byteLength = shape.reduce((a, b) => a * b, dtype === 'F32' ? 4 : 2);
    tensors.set(name, { file: '/w', offset, byteLength, dtype, shape });
    offset += byteLength;
  }
  return { files: [{ path: '/w', size: offset, mtimeMs: 1 }], tensors };
}

const code = (expected: string) => ({ instanceOf: WeightsError, code: expected });

test('taken tensors become places in the order of their references', (t) => {
  const weights = new Weights(table(['b', [2, 3], 'BF16'], ['a', [4]]));
  t.deepEqual([weights.take('a', [4]), weights.take('b', [2, 3]), weights.take('a', [4])], [0, 1, 0]);
  const { files, tensors } = weights.source();
  t.is(files.length, 1);
  t.deepEqual(tensors[1], {
    kind: 'file',
    name: 'b',
    file: 0,
    offset: 0,
    byteLength: 12,
    dtype: 'BF16',
    shape: [2, 3],
  });
});

test('a missing tensor, a wrong shape and an unusable dtype are named', (t) => {
  const weights = new Weights(table(['a', [4, 2]], ['i', [2], 'I64'], ['h', [2], 'F64']));
  t.throws(() => weights.take('b', [1]), { ...code('MISSING_TENSOR'), message: /tensor b/ });
  const error = t.throws(() => weights.take('a', [2, 4]), code('SHAPE_MISMATCH'));
  t.regex(error.message, /a: expected shape \[2, 4\], got \[4, 2\]/);
  t.throws(() => weights.take('a', [8]), code('SHAPE_MISMATCH'));
  t.throws(() => weights.take('i', [2]), { ...code('UNSUPPORTED_TENSOR_DTYPE'), message: /I64/ });
  t.throws(() => weights.take('h', [2]), code('UNSUPPORTED_TENSOR_DTYPE'));
  t.deepEqual(weights.leftovers(), ['a', 'i', 'h']);
});

test('a second take with another shape is refused', (t) => {
  const weights = new Weights(table(['a', [4, 2]]));
  weights.take('a', [4, 2]);
  t.throws(() => weights.take('a', [2, 4]), code('SHAPE_MISMATCH'));
});

test('a table whose bytes or files do not fit is refused', (t) => {
  const short = table(['a', [4]]);
  short.tensors.get('a')!.byteLength = 12;
  t.throws(() => new Weights(short).take('a', [4]), code('TENSOR_BYTES_MISMATCH'));
  const stray = table(['a', [4]]);
  stray.tensors.get('a')!.file = '/elsewhere';
  t.throws(() => new Weights(stray).take('a', [4]), code('TENSOR_BYTES_MISMATCH'));
});

test('leftovers are refused by name unless ignorable', (t) => {
  const weights = new Weights(table(['a', [1]], ['pooler', [1]], ['typo', [1]]));
  weights.take('a', [1]);
  t.throws(() => weights.refuseLeftovers((name) => name === 'pooler'), {
    ...code('UNEXPECTED_TENSOR'),
    message: /: typo$/,
  });
  t.notThrows(() => weights.refuseLeftovers((name) => name !== 'a'));
});

test('gamma and beta are read as weight and bias under their new names', (t) => {
  const weights = new Weights(table(['x.norm.gamma', [3]], ['x.norm.beta', [3]]));
  t.deepEqual(weights.scope('x.').norm('norm', 3, 0.5), { kind: 'layer', weight: 0, bias: 1, eps: 0.5 });
  t.deepEqual(weights.leftovers(), []);
  t.deepEqual(
    weights.source().tensors.map(({ name }) => name),
    ['x.norm.weight', 'x.norm.bias'],
  );
});

test('takeOptional and has', (t) => {
  const weights = new Weights(table(['a', [1]]));
  t.true(weights.has('a'));
  t.is(weights.takeOptional('b', [1]), null);
  t.is(weights.takeOptional('a', [1]), 0);
  t.throws(() => weights.takeOptional('a', [2]), code('SHAPE_MISMATCH'));
});

test('tied heads follow transformers 5', (t) => {
  const both = (tied: boolean, ...names: string[]) => {
    const weights = new Weights(table(...names.map((name): Entry => [name, [5, 3]])));
    const { table: ref, head } = weights.scope('').tiedHead(tied, 'embed', 'head', [5, 3]);
    const { tensors } = weights.source();
    t.deepEqual(weights.leftovers(), []);
    return [tensors[ref]!.name, tensors[head.parts[0]!.weight]!.name];
  };
  t.deepEqual(both(true, 'embed'), ['embed', 'embed']);
  t.deepEqual(both(true, 'head'), ['embed', 'embed']);
  t.deepEqual(both(true, 'embed', 'head'), ['embed', 'head']);
  t.deepEqual(both(false, 'embed', 'head'), ['embed', 'head']);
  t.throws(() => both(false, 'embed'), { ...code('MISSING_TENSOR'), message: /head/ });
  t.throws(() => both(false, 'head'), { ...code('MISSING_TENSOR'), message: /embed/ });
  t.throws(() => both(true), { ...code('MISSING_TENSOR'), message: /embed/ });
});

test('two names of the same bytes share one reference', (t) => {
  const shared = table(['embed', [5, 3]], ['head', [5, 3]]);
  shared.tensors.get('head')!.offset = 0;
  const weights = new Weights(shared);
  const { table: ref, head } = weights.scope('').tiedHead(true, 'embed', 'head', [5, 3]);
  t.is(head.parts[0]!.weight, ref);
  t.is(weights.source().tensors.length, 1);
  t.deepEqual(weights.leftovers(), []);
});

test('linear maps, convolutions, Conv1D and stacking', (t) => {
  const weights = new Weights(
    table(['q.weight', [4, 3]], ['q.bias', [4]], ['c.weight', [3, 6]], ['c.bias', [6]], ['p.weight', [4, 1, 3, 1]]),
  );
  const all = weights.scope('');
  const linear = all.linear('q', 3, 4);
  const conv1d = all.conv1d('c', 3, 6);
  t.deepEqual(conv1d.parts[0]!.layout, 'inOut');
  t.like(all.linear('p', 3, 4, false, [1, 3, 1]), { in: 3, out: 4 });
  const stacked = stack(linear, conv1d);
  t.like(stacked, { in: 3, out: 10 });
  t.deepEqual(
    stacked.parts.map(({ out }) => out),
    [4, 6],
  );
});

test('ties: what is noted, and under which name a bias is kept', (t) => {
  const biases = ['head.bias', 'bias'];
  const run = (tied: boolean, ...names: string[]) => {
    const weights = new Weights(table(...names.map((name): Entry => [name, name.endsWith('bias') ? [5] : [5, 3]])));
    const { head } = weights.scope('').tiedHead(tied, 'embed', 'head.weight', [5, 3], null, biases);
    t.deepEqual(weights.leftovers(), []);
    const bias = weights.source().tensors[head.parts[0]!.bias!]!.name;
    return { bias, ties: weights.ties() };
  };
  const [weight, copy] = [
    { kept: 'embed', copy: 'head.weight' },
    { kept: 'bias', copy: 'head.bias' },
  ];
  t.deepEqual(run(true, 'embed', 'bias'), { bias: 'bias', ties: [] });
  t.deepEqual(run(true, 'embed', 'head.bias'), { bias: 'bias', ties: [] });
  t.deepEqual(run(true, 'embed', 'head.weight', 'bias'), { bias: 'bias', ties: [weight] });
  t.deepEqual(run(true, 'embed', 'head.weight', 'bias', 'head.bias'), { bias: 'head.bias', ties: [weight, copy] });
  // Untied, transformers 5 computes with the head's own.
  t.deepEqual(run(false, 'embed', 'head.weight', 'bias'), { bias: 'head.bias', ties: [] });
  t.deepEqual(run(false, 'embed', 'head.weight', 'bias', 'head.bias'), { bias: 'head.bias', ties: [] });
});

test('names below a prefix that has been given up are known by those of today', (t) => {
  const weights = new Weights(table(['a.old.x.weight', [3]], ['a.old.x.bias', [3]]));
  const scope = weights.scope('a.').storedBelow('old.');
  t.true(scope.has('x.weight'));
  t.false(weights.scope('a.').has('x.weight'));
  scope.scope('x.').take('weight', [3]);
  t.is(scope.takeOptional('x.bias', [3]), 1);
  t.is(scope.takeOptional('y', [3]), null);
  t.deepEqual(
    weights.source().tensors.map(({ name }) => name),
    ['a.x.weight', 'a.x.bias'],
  );
  t.deepEqual(weights.leftovers(), []);
});

test('what is created: once per name, with its shape, role and zero row', (t) => {
  const asked: string[] = [];
  const weights = new Weights(table(['here', [2]]), (name, role) => {
    asked.push(`${name} ${role}`);
    return { kind: 'constant', value: 1 };
  });
  const scope = weights.scope('');
  const linear = scope.linear('l', 3, 4);
  scope.linear('l', 3, 4);
  scope.norm('n', 4, 0.1);
  scope.embedding('e', [5, 3], -1);
  scope.embedding('f', [5, 3], 7);
  scope.take('here', [2]);
  t.deepEqual(asked, [
    'l.weight weight',
    'l.bias bias',
    'n.weight normWeight',
    'n.bias normBias',
    'e embedding',
    'f embedding',
  ]);
  const { tensors, created } = weights.source();
  t.is(tensors[linear.parts[0]!.weight]!.kind, 'memory');
  t.deepEqual(
    created.map(({ zeroRow }) => zeroRow),
    [null, null, null, null, 4, null],
  );
  t.throws(() => scope.take('e', [3, 5]), code('SHAPE_MISMATCH'));
  t.is(scope.takeOptional('absent', [1]), null);
});
