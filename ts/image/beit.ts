import { plainKind } from './kind';

/** BEiT and DiT: resize to 224x224 bicubic, no crop (transformers 4's slow class resized to 256 and cropped). */
export const beit = plainKind('BeitImageProcessor', { resample: 3 });
