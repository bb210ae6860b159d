import { plainKind } from './kind';

/** ViT, Swin, TrOCR, GPT-2 captioners: resize to 224x224 bilinear, normalise by 0.5. */
export const vit = plainKind('ViTImageProcessor', {});
