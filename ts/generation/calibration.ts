import { ConfigError } from '../errors';

/** The file beside config.json that says what a checkpoint's sequence probabilities are worth. Not a file of Hugging Face's. */
export const CALIBRATION_FILE = 'confidence_calibration.json';

const INPUT = 'sequence_probability';
const MAX_POINTS = 1024;

/** From exp(Σ token log-probabilities) to the share of texts with such a value that were wholly right; both in 0 … 1. */
export type Calibration = (probability: number) => number;

export const UNCALIBRATED: Calibration = (probability) => probability;

/**
 * Reads the content of {@link CALIBRATION_FILE}: `{ "input": "sequence_probability", "points": [[x, y], …] }`, a monotone
 * piecewise linear map, constant outside its points. Throws ConfigError on anything else.
 */
export function parseCalibration(json: Record<string, unknown>): Calibration {
  if (json['input'] !== INPUT) {
    const got = JSON.stringify(json['input']);
    throw new ConfigError('CALIBRATION_INVALID', `${CALIBRATION_FILE}: expected input "${INPUT}", got ${got}`);
  }
  const points = readPoints(json['points']);
  return (probability) => interpolate(points, probability);
}

type Point = readonly [x: number, y: number];

function readPoints(value: unknown): readonly Point[] {
  if (!Array.isArray(value) || value.length === 0 || value.length > MAX_POINTS) {
    const got = Array.isArray(value) ? `${value.length} of them` : JSON.stringify(value);
    throw new ConfigError(
      'CALIBRATION_INVALID',
      `${CALIBRATION_FILE}: expected 1 to ${MAX_POINTS} points [x, y], got ${got}`,
    );
  }
  let last: Point = [-1, 0];
  return value.map((entry: unknown, index) => {
    if (!isPoint(entry) || entry[0] <= last[0] || entry[1] < last[1]) {
      throw new ConfigError(
        'CALIBRATION_INVALID',
        `${CALIBRATION_FILE}: expected points in 0 … 1 with x rising and y never falling, got ${JSON.stringify(entry)} as points[${index}]`,
      );
    }
    last = entry;
    return entry;
  });
}

function isPoint(value: unknown): value is Point {
  return Array.isArray(value) && value.length === 2 && value.every((v) => typeof v === 'number' && v >= 0 && v <= 1);
}

function interpolate(points: readonly Point[], x: number): number {
  const above = points.findIndex((point) => point[0] >= x);
  const right = points[above === -1 ? points.length - 1 : above] as Point;
  const left = points[above - 1];
  if (above <= 0 || left === undefined || right[0] === x) return right[1];
  return left[1] + ((right[1] - left[1]) * (x - left[0])) / (right[0] - left[0]);
}
