/** Warm starts against those of transformers: the same tensors are new, and all others are the same. */
import test, { type ExecutionContext } from 'ava';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { supported } from '../../ts/arch/vision-encoder-decoder';
import { VisionEncoderDecoderModel } from '../../ts/index';
import { tempFolder } from '../hostile/helpers';
import { hasTransformers, runPython } from './python';

interface Side {
  missing: string[];
}
type Made = Record<'encoders' | 'decoders', Record<string, Side>>;
interface Comparison {
  name: string;
  different: string[];
  extra: string[];
  shapes: string[];
  missing: string[];
}

const MODEL_TYPES: Readonly<Record<string, string>> = {
  ViTModel: 'vit',
  ViTForImageClassification: 'vit',
  DeiTForImageClassification: 'deit',
  BeitForImageClassification: 'beit',
  SwinForImageClassification: 'swin',
  Dinov2Model: 'dinov2',
  YolosForObjectDetection: 'yolos',
  Aimv2VisionModel: 'aimv2_vision_model',
  HieraForImageClassification: 'hiera',
  GPT2LMHeadModel: 'gpt2',
  GPT2Model: 'gpt2',
  TrOCRForCausalLM: 'trocr',
  BertForMaskedLM: 'bert',
  BertForPreTraining: 'bert',
  BertModel: 'bert',
  RobertaForMaskedLM: 'roberta',
  RobertaModel: 'roberta',
  ElectraForMaskedLM: 'electra',
  BartForConditionalGeneration: 'bart',
  BartModel: 'bart',
  MBartForConditionalGeneration: 'mbart',
  PegasusForConditionalGeneration: 'pegasus',
  BigBirdPegasusForConditionalGeneration: 'bigbird_pegasus',
  ProphetNetForConditionalGeneration: 'prophetnet',
  RoFormerForMaskedLM: 'roformer',
  XmodForMaskedLM: 'xmod',
  RoCBertForPreTraining: 'roc_bert',
};

/** Of these, the pairs that this package can load. */
const PAIRS = [
  'ViTModel+GPT2LMHeadModel',
  'ViTForImageClassification+GPT2Model',
  'DeiTForImageClassification+TrOCRForCausalLM',
  'ViTModel+BertForMaskedLM',
  'ViTForImageClassification+BertForPreTraining',
  'SwinForImageClassification+BertModel',
  'BeitForImageClassification+RobertaForMaskedLM',
  'Dinov2Model+RobertaModel',
  'YolosForObjectDetection+GPT2Model',
  'Aimv2VisionModel+BartModel',
  'HieraForImageClassification+BertModel',
  'ViTModel+ElectraForMaskedLM',
  'ViTModel+BartForConditionalGeneration',
  'DeiTForImageClassification+BartModel',
  'SwinForImageClassification+MBartForConditionalGeneration',
  'ViTModel+PegasusForConditionalGeneration',
  'ViTModel+BigBirdPegasusForConditionalGeneration',
  'ViTModel+ProphetNetForConditionalGeneration',
  'ViTModel+RoFormerForMaskedLM',
  'Dinov2Model+XmodForMaskedLM',
  'ViTModel+RoCBertForPreTraining',
].filter((pair) => {
  const [encoder, decoder] = sides(pair).map((name) => MODEL_TYPES[name]!);
  return supported.encoders.includes(encoder!) && supported.decoders.includes(decoder!);
});

function sides(pair: string): [encoder: string, decoder: string] {
  return pair.split('+') as [string, string];
}

const root = tempFolder();
let made: Made;
const created = new Map<string, string[]>();
let compared = new Map<string, Comparison>();

test.before(async (t) => {
  if (!hasTransformers) return;
  t.timeout(400_000);
  [made] = (await runPython<Made>('parts.py', ['make', root])) as [Made];
  for (const pair of PAIRS) {
    const [encoder, decoder] = sides(pair).map((name, index) => join(root, index ? 'decoders' : 'encoders', name));
    await using model = await VisionEncoderDecoderModel.fromEncoderDecoderPretrained(encoder!, decoder!, {
      device: 'cpu',
      seed: 1,
    });
    const folder = join(root, 'ours', pair);
    await model.savePretrained(folder);
    created.set(pair, [...model.newlyInitialized]);
    writeFileSync(join(folder, 'request.json'), JSON.stringify({ new: model.newlyInitialized }));
  }
  const results = await runPython<Comparison>('parts.py', ['check', root, ...PAIRS]);
  compared = new Map(results.map((result) => [result.name, result]));
});

/** Copies that are tied to another tensor are listed there once more; the pooler takes no part in what a decoder reads. */
const TIED_OR_IDLE =
  /^encoder\.pooler\.|^decoder\.(lm_head\.decoder|cls\.predictions\.decoder)\.(bias|weight)$|^decoder\.(lm_head|generator_lm_head)\.weight$/;
/** transformers draws the decoder's embedding of a sequence-to-sequence checkpoint, which holds it under another name. */
const SHARED = 'decoder.model.decoder.embed_tokens.weight';

/** BigBird-Pegasus ties no head: its own counts. */
const OWN_HEAD = 'BigBirdPegasusForConditionalGeneration';

function check(t: ExecutionContext, pair: string): void {
  const [encoder, decoder] = sides(pair);
  const isNotOurs = (name: string) =>
    TIED_OR_IDLE.test(name) && !(decoder === OWN_HEAD && name === 'decoder.lm_head.weight');
  const theirs = [
    ...made.encoders[encoder]!.missing.map((name) => `encoder.${name}`),
    ...made.decoders[decoder]!.missing.map((name) => `decoder.${name}`),
  ].filter((name) => !isNotOurs(name) && name !== SHARED);
  const ours = created.get(pair)!;
  t.deepEqual(ours.filter((name) => !name.startsWith('enc_to_dec_proj.')).sort(), theirs.sort());
  if (decoder === OWN_HEAD) t.true(ours.includes('decoder.lm_head.weight'));
  const { different, extra, shapes, missing } = compared.get(pair)!;
  t.deepEqual(
    different.filter((name) => !isNotOurs(name) && name !== SHARED),
    [],
    'taken over unchanged',
  );
  t.deepEqual(extra, [], 'nothing transformers does not have');
  t.deepEqual(shapes, []);
  t.deepEqual(
    missing.filter((name) => !name.startsWith('encoder.pooler.')),
    [],
    'what was saved is complete',
  );
}

const maybe = hasTransformers ? test : test.skip;
for (const pair of PAIRS) maybe(`the same warm start as transformers: ${pair}`, check, pair);
