import { plainKind } from './kind';

/** DeiT (TrOCR small): resize to 256x256 bicubic, centre crop 224, normalise by 0.5. */
export const deit = plainKind('DeiTImageProcessor', {
  size: { kind: 'exact', height: 256, width: 256 },
  resample: 3,
  doCenterCrop: true,
});
