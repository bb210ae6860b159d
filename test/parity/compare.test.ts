import test from 'ava';
import { largest, numberDifference, tensorDifference } from './compare';

const dims = [2, 2];
const expected = { data: [1, -2, 3, 0.5], dims };
const differ = (data: number[], shape = dims) => tensorDifference({ data, dims: shape }, expected, 1e-3);

test('equal and nearly equal tensors pass', (t) => {
  t.is(differ([1, -2, 3, 0.5]), null);
  t.is(differ([1.002, -2, 3, 0.498]), null);
});

test('one bad element fails, wherever it stands', (t) => {
  for (let index = 0; index < 4; index++) {
    const data = [...expected.data];
    data[index]! += 0.0031;
    t.regex(differ(data) ?? '', new RegExp(`^element ${index}:`));
  }
});

test('NaN, infinity and a flipped sign fail', (t) => {
  t.not(differ([1, NaN, 3, 0.5]), null);
  t.not(differ([1, -Infinity, 3, 0.5]), null);
  t.not(differ([1, 2, 3, 0.5]), null);
  t.not(tensorDifference(expected, { data: [1, -2, NaN, 0.5], dims }, 1e-3), null);
});

test('another shape or a short buffer fails', (t) => {
  t.not(differ([1, -2, 3, 0.5], [4]), null);
  t.not(differ([1, -2, 3]), null);
  t.not(tensorDifference({ data: [], dims: [0] }, expected, 1), null);
});

test('numbers compare relatively', (t) => {
  t.is(numberDifference(-100.005, -100, 1e-4), null);
  for (const bad of [-100.02, 100, NaN, undefined]) t.not(numberDifference(bad, -100, 1e-4), null);
  t.is(largest([1, -7, 3]), 7);
});
