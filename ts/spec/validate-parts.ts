/** Checks of what encoder and decoder have in common: tensors, linear maps, norms. */
import { equal, fail, finite, size } from './checks';
import type * as m from './model-spec';

export const MAX_LAYERS = 1000;

/** Every check names the place `at` which it found something wrong. */
export class PartsValidator {
  readonly #source: m.ModelSource;

  constructor(source: m.ModelSource) {
    this.#source = source;
  }

  mlp(mlp: m.Mlp, at: string, width: number): void {
    this.linear(mlp.up, `${at}.up`, width, mlp.up.out);
    this.linear(mlp.down, `${at}.down`, mlp.up.out, width);
  }

  norm(norm: m.Norm, at: string, width: number): void {
    this.tensor(norm.weight, `${at}.weight`, width);
    if (norm.kind === 'layer') this.tensor(norm.bias, `${at}.bias`, width);
    if (!(finite(norm.eps, `${at}.eps`) >= 0)) fail(`${at}.eps`, 'at least 0', norm.eps);
  }

  linear(linear: m.Linear, at: string, width: number, out: number): void {
    equal(linear.in, size(width, `${at}.in`), `${at}.in`);
    equal(linear.out, size(out, `${at}.out`), `${at}.out`);
    let rows = 0;
    linear.parts.forEach((part, index) => {
      rows += size(part.out, `${at}.parts[${index}].out`);
      this.tensor(part.weight, `${at}.parts[${index}].weight`, part.out * width);
      if (part.bias !== null) this.tensor(part.bias, `${at}.parts[${index}].bias`, part.out);
    });
    equal(rows, out, `${at}.parts`);
  }

  tensor(ref: m.TensorRef, at: string, elements: number): void {
    const place = Number.isSafeInteger(ref) ? this.#source.tensors[ref] : undefined;
    if (!place) return fail(at, `a tensor below ${this.#source.tensors.length}`, ref);
    equal(
      place.shape.reduce((product, side) => product * side, 1),
      elements,
      `${at} (${place.name}) elements`,
    );
    this.#place(place, at);
  }

  #place(place: m.TensorPlace, at: string): void {
    const { files, created } = this.#source;
    switch (place.kind) {
      case 'file':
        if (!files[place.file]) fail(`${at}.file`, `a file below ${files.length}`, place.file);
        break;
      case 'memory':
        if (created[place.buffer]?.name !== place.name)
          fail(`${at}.buffer`, `the new tensor ${place.name}`, place.buffer);
        break;
    }
  }
}
