import test from 'ava';
import { ConfigError } from '../../ts/errors';
import { parseJsonObject } from '../../ts/files/json';
import { cloneJson, floatKeys, markFloat, stringifyJson } from '../../ts/json';

const again = (text: string) => stringifyJson(parseJsonObject(text, 'text', { keepFloats: true }));
const compact = (text: string) => text.replaceAll(/\s+/g, '');

test('numbers are written as they were read, floats as floats', (t) => {
  const text = `{"a":1,"b":1.0,"c":[2.0,2,{"d":-0.0,"e":-3}],"f":{"1":5.0},"g":1e-12,"h":0.1,"i":[[1.0],[1]]}`;
  t.is(compact(again(text)), text);
  t.is(compact(again('{"a":1e3,"b":1E+22,"c":100000.0}')), '{"a":1000.0,"b":1e+22,"c":100000.0}');
});

test('digits and points inside strings and keys are no numbers', (t) => {
  const text = String.raw`{"1.0":"2.0","k":"a\"3.0","\"4.0":5,"float":"float","x":["float",6.0,"7.0\\"]}`;
  t.is(compact(again(text)), text);
});

test('the last of two equal keys counts, with its own kind', (t) => {
  t.is(compact(again('{"a":1,"a":1.0}')), '{"a":1.0}');
  t.is(compact(again('{"a":1.0,"a":1}')), '{"a":1}');
});

test('a copy remembers, a changed value is written as what it is', (t) => {
  const value = parseJsonObject('{"a":1.0,"b":{"c":2.0},"l":[3.0]}', 'text', { keepFloats: true });
  const copy = cloneJson(value);
  copy['a'] = 4;
  (copy['b'] as Record<string, unknown>)['c'] = 'text';
  t.is(compact(stringifyJson(copy)), '{"a":4.0,"b":{"c":"text"},"l":[3.0]}');
  t.is(compact(stringifyJson(value)), '{"a":1.0,"b":{"c":2.0},"l":[3.0]}');
  t.deepEqual(floatKeys(copy), ['a']);
});

test('without keepFloats nothing is remembered', (t) => {
  t.is(compact(stringifyJson(parseJsonObject('{"a":1.0}', 'text'))), '{"a":1}');
});

test('layout, special values and keys', (t) => {
  t.is(
    stringifyJson({ a: [], b: {}, c: [1, { d: null }], e: undefined, f: true }),
    [
      '{',
      '  "a": [],',
      '  "b": {},',
      '  "c": [',
      '    1,',
      '    {',
      '      "d": null',
      '    }',
      '  ],',
      '  "f": true',
      '}',
    ].join('\n'),
  );
  t.is(compact(stringifyJson({ a: -Infinity, b: NaN })), '{"a":{"__float__":"-Infinity"},"b":{"__float__":"NaN"}}');
  const text = '{"__proto__":{"x":1.0},"constructor":2.0}';
  const value = parseJsonObject(text, 'text', { keepFloats: true, allowProtoKey: true });
  t.is(compact(stringifyJson(cloneJson(value))), text);
  t.is(({} as Record<string, unknown>)['x'], undefined);
});

test('what JSON cannot hold is refused', (t) => {
  const cycle: Record<string, unknown> = {};
  cycle['self'] = cycle;
  for (const value of [{ a: () => 1 }, { a: Symbol('x') }, { a: [1n] }, cycle])
    t.throws(() => cloneJson<unknown>(value), { instanceOf: ConfigError });
});

test('marks on what is no number do nothing', (t) => {
  const value: Record<string, unknown> = { a: 'x', b: 1.5, c: null };
  for (const key of ['a', 'b', 'c', 'missing']) markFloat(value, key);
  t.is(compact(stringifyJson(value)), '{"a":"x","b":1.5,"c":null}');
});
