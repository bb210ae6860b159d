import test from 'ava';
import * as fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import { ConfigError } from '../../ts/errors';
import { parseCalibration } from '../../ts/generation/calibration';
import { pipeline } from '../../ts/pipeline';

const root = path.join(__dirname, '..', '..');
const bundled = path.join(root, 'models', 'line-reader');
const image = path.join(root, 'examples', 'images', 'invoice.png');

test('a calibration is linear between its points and constant outside', (t) => {
  const map = parseCalibration({
    input: 'sequence_probability',
    points: [
      [0.2, 0.1],
      [0.6, 0.5],
      [0.9, 0.98],
    ],
  });
  const got = [0, 0.2, 0.3, 0.6, 0.75, 0.9, 1].map(map);
  [0.1, 0.1, 0.2, 0.5, 0.74, 0.98, 0.98].forEach((want, i) => t.true(Math.abs((got[i] ?? NaN) - want) < 1e-12));
});

for (const [what, json] of Object.entries({
  'no input': { points: [[0, 0]] },
  'another input': { input: 'mean_log_prob', points: [[0, 0]] },
  'no points': { input: 'sequence_probability' },
  'an empty list': { input: 'sequence_probability', points: [] },
  'a number for a point': { input: 'sequence_probability', points: [0.5] },
  'three numbers': { input: 'sequence_probability', points: [[0, 0, 0]] },
  'a text': { input: 'sequence_probability', points: [['0', 0]] },
  'above 1': { input: 'sequence_probability', points: [[0, 1.1]] },
  'below 0': { input: 'sequence_probability', points: [[-0.1, 0]] },
  'x twice': { input: 'sequence_probability', points: [[0.5, 0.1], [0.5, 0.2]] }, // prettier-ignore
  'falling y': { input: 'sequence_probability', points: [[0, 0.2], [1, 0.1]] }, // prettier-ignore
  'too many': { input: 'sequence_probability', points: Array.from({ length: 1025 }, (_, i) => [i / 2000, 0]) },
})) {
  test(`a calibration is refused: ${what}`, (t) => {
    t.throws(() => parseCalibration(json), { instanceOf: ConfigError, code: 'CALIBRATION_INVALID' });
  });
}

test('the pipeline maps confidence by the file of the checkpoint', async (t) => {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'ved-calibration-'));
  t.teardown(() => fs.rmSync(folder, { recursive: true, force: true }));
  fs.cpSync(bundled, folder, { recursive: true });
  const file = path.join(folder, 'confidence_calibration.json');
  const confidence = async () => {
    await using read = await pipeline('image-to-text', folder);
    const [result] = await read(image);
    return result?.confidence ?? NaN;
  };
  fs.rmSync(file, { force: true });
  const raw = await confidence();
  fs.writeFileSync(file, '{"input": "sequence_probability", "points": [[0, 0.25], [1, 0.75]]}');
  t.true(Math.abs((await confidence()) - (0.25 + raw / 2)) < 1e-9);
  fs.writeFileSync(file, '{"points": 3}');
  await t.throwsAsync(confidence, { instanceOf: ConfigError, code: 'CALIBRATION_INVALID' });
});
