import { plainKind, SHORTEST } from './kind';

/** SigLIP: resize to 224x224 bicubic, normalise by 0.5; a stored whole number is the shortest edge. */
export const siglip = plainKind('SiglipImageProcessor', { resample: 3 }, SHORTEST);
