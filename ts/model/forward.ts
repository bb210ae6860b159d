/** What forward() takes, checked, as the native side wants it. */
import type { ImageSizes } from '../arch/architecture';
import type { VisionEncoderDecoderConfig } from '../arch/vision-encoder-decoder';
import { OptionError } from '../errors';
import { nearest } from '../names';
import type { NativeForwardRequest, NativeTensor } from '../native/contract';
import type { ModelSpec } from '../spec/model-spec';
import { checkIdRows, checkPixels, checkTensor, pixelsAsNative, shiftRight, type Tensor } from './inputs';

export interface ForwardInputs {
  /** One of the two. */
  pixelValues?: Tensor;
  /** [batch, tokens, H]: Hugging Face's, after the encoder's own final norm and before enc_to_dec_proj. */
  encoderLastHiddenState?: Tensor;
  /** Used exactly as given: no start token is prepended, pads are not masked. */
  decoderInputIds?: number[][];
  /** 1 = visible, 0 = hidden. */
  decoderAttentionMask?: number[][];
  /** -100 is ignored. Alone they are enough: the decoder then reads them shifted right. */
  labels?: number[][];
  outputHiddenStates?: boolean;
  outputAttentions?: boolean;
  interpolatePosEncoding?: boolean;
  signal?: AbortSignal;
}

export interface ForwardOutput {
  /** Mean cross-entropy over the labels that are not -100; NaN when all are. */
  loss?: number;
  /** [batch, tokens, vocab] */
  logits: Tensor;
  encoderLastHiddenState: Tensor;
  encoderHiddenStates?: Tensor[];
  decoderHiddenStates?: Tensor[];
  /** Per layer [batch, heads, tokens, encoderTokens] */
  crossAttentions?: Tensor[];
}

const FORWARD_INPUTS = [
  'pixelValues',
  'encoderLastHiddenState',
  'decoderInputIds',
  'decoderAttentionMask',
  'labels',
  'outputHiddenStates',
  'outputAttentions',
  'interpolatePosEncoding',
  'signal',
];

/** Checks everything against the model; `sizes`: those of images that the encoder takes. */
export function forwardRequest(
  inputs: ForwardInputs,
  config: VisionEncoderDecoderConfig,
  spec: ModelSpec,
  sizes: ImageSizes,
): NativeForwardRequest {
  for (const name of Object.keys(inputs)) {
    if (FORWARD_INPUTS.includes(name)) continue;
    const hint = nearest(name, FORWARD_INPUTS);
    throw new OptionError(
      'UNKNOWN_OPTION',
      `forward: expected a known input, got '${name}'${hint ? `; did you mean '${hint}'?` : ''}`,
    );
  }
  const { pixelValues, encoderLastHiddenState: states } = inputs;
  if (!pixelValues === !states) {
    throw new OptionError(
      'INPUT_REQUIRED',
      'forward: expected one of pixelValues and encoderLastHiddenState, got ' + (states ? 'both' : 'none'),
    );
  }
  const request: NativeForwardRequest = {
    ...decoderInputs(inputs, config, spec),
    outputHiddenStates: inputs.outputHiddenStates ?? false,
    outputAttentions: inputs.outputAttentions ?? false,
  };
  if (pixelValues) {
    checkPixels(pixelValues, spec, sizes, inputs.interpolatePosEncoding ?? false);
    request.pixelValues = pixelsAsNative(pixelValues);
  } else if (states) {
    checkTensor(states, 3, 'encoderLastHiddenState');
    const width = spec.encoder.hiddenSize;
    if (states.dims[2] !== width)
      throw shapeError('encoderLastHiddenState', `a last dimension of ${width}`, states.dims[2]);
    request.encoderStates = asNative(states);
  }
  const batch = (pixelValues ?? states)?.dims[0];
  if (request.decoderInputIds.length !== batch)
    throw shapeError('decoderInputIds', `${batch} rows, one per image`, request.decoderInputIds.length);
  return request;
}

function decoderInputs(
  inputs: ForwardInputs,
  config: VisionEncoderDecoderConfig,
  spec: ModelSpec,
): Pick<NativeForwardRequest, 'decoderInputIds' | 'decoderAttentionMask' | 'labels'> {
  const { vocabSize, maxPositions } = spec.decoder;
  const labels = inputs.labels && checkIdRows(inputs.labels, 'labels', vocabSize, [-100]);
  const given = inputs.decoderInputIds ?? (labels && shiftRight(labels, config));
  if (!given) throw new OptionError('INPUT_REQUIRED', 'forward: expected decoderInputIds or labels, got neither');
  const decoderInputIds = checkIdRows(given, 'decoderInputIds', vocabSize);
  const width = decoderInputIds[0]?.length ?? 0;
  if (width > maxPositions) throw shapeError('decoderInputIds', `at most ${maxPositions} ids per row`, width);
  const mask = inputs.decoderAttentionMask && checkIdRows(inputs.decoderAttentionMask, 'decoderAttentionMask', 2);
  for (const [name, rows] of [
    ['decoderAttentionMask', mask],
    ['labels', labels],
  ] as const) {
    if (rows && (rows.length !== decoderInputIds.length || rows[0]?.length !== width)) {
      throw shapeError(
        name,
        `the shape of decoderInputIds (${decoderInputIds.length}×${width})`,
        `${rows.length}×${rows[0]?.length}`,
      );
    }
  }
  return { decoderInputIds, ...(mask && { decoderAttentionMask: mask }), ...(labels && { labels }) };
}

function asNative(tensor: Tensor): NativeTensor {
  return { data: tensor.data, dims: [...tensor.dims] };
}

function shapeError(name: string, expected: string, got: unknown): OptionError {
  return new OptionError('SHAPE_MISMATCH', `${name}: expected ${expected}, got ${String(got)}`);
}
