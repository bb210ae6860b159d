/** X-MOD: RoBERTa with an adapter per language behind every perceptron. A composite names no language: the default one counts. */
import { ConfigError } from '../../errors';
import type { Adapter } from '../../spec/model-spec';
import type { WeightScope } from '../../spec/weights';
import { activation } from '../activations';
import * as is from '../config-class';
import { BERT_FIELDS, bertFamily, buildBert, POST_NORMS } from './bert-family';
import { robertaParts } from './roberta';

const FIELDS = {
  ...BERT_FIELDS,
  padTokenId: is.tokenId(1),
  bosTokenId: is.tokenId(0),
  eosTokenId: is.tokenIds(2),
  classifierDropout: is.optionalNumber(),
  preNorm: is.flag(false),
  adapterReductionFactor: is.size(2),
  adapterLayerNorm: is.flag(false),
  adapterReuseLayerNorm: is.flag(true),
  lnBeforeAdapter: is.flag(true),
  languages: is.texts(['en_XX']),
  defaultLanguage: is.optionalText(),
};

export const XmodConfig = is.configClass('xmod', FIELDS);
export type XmodConfig = InstanceType<typeof XmodConfig>;

function defaultLanguage({ defaultLanguage: language, languages }: XmodConfig): string {
  const list = languages.join(', ');
  if (language === null)
    is.refuse('decoder.default_language', `one of ${list}`, language, 'transformers cannot run a composite without it');
  if (languages.includes(language)) return language;
  throw new ConfigError('INVALID_CONFIG', `config decoder.default_language: expected one of ${list}, got ${language}`);
}

/** modeling_xmod.py, XmodOutput.lang_adapter: the adapters of other languages are part of the model and idle. */
function adapter(config: XmodConfig, weights: WeightScope): Adapter {
  const { hiddenSize: hidden, layerNormEps: eps, adapterReductionFactor: factor } = config;
  const inner = Math.floor(hidden / factor);
  if (inner < 1) {
    const expected = `at most the hidden size ${hidden}`;
    throw new ConfigError(
      'INVALID_CONFIG',
      `config decoder.adapter_reduction_factor: expected ${expected}, got ${factor}`,
    );
  }
  const mlpOf = (language: string) => ({
    up: weights.linear(`output.adapter_modules.${language}.dense1`, hidden, inner),
    activation: activation(config.hiddenAct, 'decoder.hidden_act'),
    down: weights.linear(`output.adapter_modules.${language}.dense2`, inner, hidden),
  });
  const mlps = new Map(config.languages.map((language) => [language, mlpOf(language)]));
  const norm = config.adapterLayerNorm
    ? weights.norm('output.adapter_layer_norm', hidden, eps)
    : config.adapterReuseLayerNorm
      ? weights.norm('output.LayerNorm', hidden, eps)
      : null;
  return {
    norm,
    residual: config.lnBeforeAdapter ? 'normed' : 'plain',
    mlp: mlps.get(defaultLanguage(config))!,
  };
}

export const xmod = bertFamily<XmodConfig>(XmodConfig, 'roberta', (config, weights) =>
  buildBert(config, weights, {
    ...robertaParts(config, weights, 'roberta.'),
    ...{ normPosition: config.preNorm ? 'pre' : 'post', norms: POST_NORMS, embeddingNorm: 'embeddings.LayerNorm' },
    finalNorm: config.preNorm ? 'encoder.LayerNorm' : null,
    adapter: (block) => adapter(config, block),
  }),
);
