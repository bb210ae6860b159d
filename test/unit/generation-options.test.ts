import test from 'ava';
import { assembleSequences } from '../../ts/generation/finalize.js';
import { GenerationConfig, generationConfigFromFiles } from '../../ts/generation/generation-config.js';
import { nearestName } from '../../ts/generation/names.js';
import { resolveGenerateOptions } from '../../ts/generation/options.js';
import { OPTION_NAMES } from '../../ts/generation/option-specs.js';

function resolve(call: object, model: object = {}, extra: object = {}, batchSize = 1) {
  const config = { vocabSize: 100, maxPositions: 512, encoderModelType: 'vit', ...extra };
  return resolveGenerateOptions({
    call,
    model: { decoderStartTokenId: 2, eosTokenId: 2, ...model },
    config,
    batchSize,
  });
}
const code = (run: () => unknown): string => {
  try {
    run();
  } catch (error) {
    return (error as { code: string }).code;
  }
  return 'none';
};

test('length arithmetic', (t) => {
  t.is(resolve({}).maxLength, 21);
  t.is(resolve({ maxLength: 20 }).maxLength, 20);
  t.is(resolve({}, { maxLength: 20 }).maxLength, 20);
  t.is(resolve({ maxNewTokens: 7, maxLength: 3 }).maxLength, 8);
  t.is(resolve({ maxLength: 3 }, { maxNewTokens: 7 }).maxLength, 8);
  t.is(resolve({ maxLength: 3, maxNewTokens: null }, { maxNewTokens: 7 }).maxLength, 3);
  t.is(resolve({ minNewTokens: 3, minLength: 9 }).minLength, 4);
  t.is(resolve({}, { maxLength: 900 }).maxLength, 513);
  t.is(resolve({}, {}, { maxPositions: 8 }).maxLength, 9);
  for (const call of [{ maxLength: 900 }, { maxLength: 1 }, { maxNewTokens: 0 }]) {
    t.is(
      code(() => resolve(call)),
      'OPTION_OUT_OF_RANGE',
    );
  }
});

test('precedence and null', (t) => {
  t.is(resolve({}).topK, 50);
  t.is(resolve({ topK: null }, { topK: 7 }).topK, 0);
  t.is(resolve({ numBeams: undefined }, { numBeams: 4 }).numBeams, 4);
  t.is(resolve({ numBeams: null }, { numBeams: 4 }).numBeams, 1);
  t.is(resolve({}).padTokenId, 2);
  t.is(resolve({}, { padTokenId: 0 }).padTokenId, 0);
  t.deepEqual(resolve({ eosTokenId: null }).eosTokenIds, []);
});

test('unknown options name the nearest right one', (t) => {
  const hint = (name: string) => nearestName(name, OPTION_NAMES);
  t.is(hint('max_new_tokens'), 'maxNewTokens');
  t.is(hint('maxNewToken'), 'maxNewTokens');
  t.is(hint('num_beam'), 'numBeams');
  t.throws(() => resolve({ max_new_tokens: 3 }), { code: 'UNKNOWN_OPTION', message: /maxNewTokens/ });
});

test('ranges', (t) => {
  const bad = [
    { temperature: 0 },
    { topP: 1.5 },
    { topP: -1 },
    { topK: -1 },
    { typicalP: 0 },
    { numBeams: 0 },
    { eosTokenId: 100 },
    { badWordsIds: [] },
    { sequenceBias: [[[1]]] },
    { numReturnSequences: 2 },
    { numBeams: 2, numReturnSequences: 3 },
    { earlyStopping: 'always' },
    { repetitionPenalty: NaN },
    { decoderStartTokenId: [1, 2] },
    { seed: -1 },
  ];
  for (const call of bad)
    t.is(
      code(() => resolve(call)),
      'OPTION_OUT_OF_RANGE',
      JSON.stringify(call),
    );
  t.is(resolve({ topK: 0, lengthPenalty: 3 }).topK, 0);
  t.is(
    code(() => resolve({ stopStrings: 'x' })),
    'TOKENIZER_MISSING',
  );
  t.is(
    code(() => resolve({ forcedEosTokenId: 2, suppressTokens: [2] })),
    'OPTION_CONFLICT',
  );
});

test('unsupported options throw from the call and from the file, unless neutral', (t) => {
  for (const set of [{ guidanceScale: 2 }, { numBeamGroups: 2 }, { penaltyAlpha: 0.6 }, { promptLookupNumTokens: 3 }]) {
    t.is(
      code(() => resolve(set)),
      'UNSUPPORTED_OPTION',
    );
    t.is(
      code(() => resolve({}, set)),
      'UNSUPPORTED_OPTION',
    );
  }
  t.notThrows(() => resolve({ guidanceScale: 1, numBeamGroups: 1, diversityPenalty: 0, useCache: false }));
});

test('prompts', (t) => {
  t.deepEqual(resolve({}, {}, {}, 2).prompts, [[2], [2]]);
  t.deepEqual(resolve({ decoderInputIds: [[5], [6]] }, {}, {}, 2).prompts, [
    [2, 5],
    [2, 6],
  ]);
  t.deepEqual(resolve({ decoderInputIds: [[5], [2]] }, {}, {}, 2).prompts, [[5], [2]]);
  t.deepEqual(resolve({ decoderInputIds: [[5]] }, {}, { encoderModelType: 'donut-swin' }).prompts, [[5]]);
  t.is(
    code(() => resolve({ decoderInputIds: [[5], [6, 7]] }, {}, {}, 2)),
    'OPTION_OUT_OF_RANGE',
  );
  t.is(
    code(() => resolve({ decoderStartTokenId: null })),
    'DECODER_START_MISSING',
  );
});

test('files: generation_config.json alone, else config.json and its decoder', (t) => {
  const legacy = { num_beams: 4, eos_token_id: null, decoder: { eos_token_id: 3, num_beams: 1, max_length: 20 } };
  const config = generationConfigFromFiles(undefined, legacy);
  t.deepEqual([config.numBeams, config.eosTokenId, config.maxLength], [4, 3, 20]);
  t.is(generationConfigFromFiles({ max_length: 9 }, legacy).numBeams, undefined);
  const json = { max_length: 9, top_k: null, custom_key: { a_b: 1 }, transformers_version: '5.18.0' };
  t.deepEqual(GenerationConfig.fromJSON(json).toJSON(), json);
});

test('padding', (t) => {
  const rows = [
    [2, 5],
    [2, 5, 6],
  ];
  const eosTokenIds = [3];
  t.deepEqual(assembleSequences(rows, { padTokenId: 0, eosTokenIds, mode: 'single' })[0], [2, 5, 0]);
  t.deepEqual(assembleSequences(rows, { padTokenId: 0, eosTokenIds, mode: 'beam' })[0], [2, 5, 3]);
  t.deepEqual(assembleSequences(rows, { padTokenId: 1, eosTokenIds: [], mode: 'beam' })[0], [2, 5, -1]);
});
