import { isObject, type JsonObject } from './json-shape.js';
import { tokenText } from './special-tokens.js';

/** The parts of a tokenizer.json besides its vocabulary. */
export interface Layout {
  readonly normalizer: JsonObject | null;
  readonly preTokenizer: JsonObject | null;
  readonly decoder: JsonObject | null;
  /** Built once the ids of the special tokens are known. */
  readonly postProcessor: (idOf: (token: string) => number | undefined) => JsonObject | null;
  /** Whether the post-processor of a tokenizer.json, if it has one, stays. */
  readonly keepsPostProcessor?: boolean;
}

/** A family of transformers' tokenizer classes: which model it needs, its default special tokens and its layout. */
export interface Family {
  readonly model: 'BPE' | 'WordPiece' | 'Unigram';
  readonly specials: Readonly<Record<string, string>>;
  readonly layout: (config: JsonObject, charsmap: string | undefined) => Layout;
  /** How the pieces of a sentencepiece model become a vocabulary; absent: as XLM-RoBERTa's. */
  readonly pieces?: SentencePieceLayout;
}

export interface SentencePieceLayout {
  /** What stands before and after the pieces from `from` on; a role stands for its token. */
  readonly head: readonly (readonly [string, number])[];
  readonly from: number;
  readonly tail: readonly string[];
  /** Whether the mask token takes the space before it. */
  readonly stripsBeforeMask: boolean;
}

const ROBERTA_SPECIALS = {
  bos_token: '<s>',
  eos_token: '</s>',
  sep_token: '</s>',
  cls_token: '<s>',
  unk_token: '<unk>',
  pad_token: '<pad>',
  mask_token: '<mask>',
};
const BERT_SPECIALS = {
  unk_token: '[UNK]',
  sep_token: '[SEP]',
  pad_token: '[PAD]',
  cls_token: '[CLS]',
  mask_token: '[MASK]',
};

/** The token of a role: the configuration's, else the family's default. */
export function special(config: JsonObject, defaults: Readonly<Record<string, string>>, role: string): string {
  return tokenText(config[role]) ?? defaults[role] ?? '';
}

function template(before: readonly string[], after: readonly string[]) {
  return (idOf: (token: string) => number | undefined): JsonObject | null => {
    const entry = (id: string): JsonObject => ({ SpecialToken: { id, type_id: 0 } });
    const all = [...new Set([...before, ...after])];
    if (all.some((token) => idOf(token) === undefined)) return null;
    const tokens = Object.fromEntries(all.map((token) => [token, { id: token, ids: [idOf(token)], tokens: [token] }]));
    const a = { Sequence: { id: 'A', type_id: 0 } };
    const b = { Sequence: { id: 'B', type_id: 0 } };
    const single = [...before.map(entry), a, ...after.map(entry)];
    return { type: 'TemplateProcessing', single, pair: [...single, b, ...after.map(entry)], special_tokens: tokens };
  };
}

const byteLevel = (config: JsonObject): JsonObject => ({
  type: 'ByteLevel',
  add_prefix_space: config['add_prefix_space'] === true,
  trim_offsets: true,
  use_regex: true,
});
const BYTE_LEVEL_DECODER = { type: 'ByteLevel', add_prefix_space: true, trim_offsets: true, use_regex: true };

const roberta: Family = {
  model: 'BPE',
  specials: ROBERTA_SPECIALS,
  layout: (config) => ({
    normalizer: null,
    preTokenizer: byteLevel(config),
    decoder: BYTE_LEVEL_DECODER,
    postProcessor: template(
      [special(config, ROBERTA_SPECIALS, 'cls_token')],
      [special(config, ROBERTA_SPECIALS, 'sep_token')],
    ),
  }),
};

const GPT2_SPECIALS = { unk_token: '<|endoftext|>', bos_token: '<|endoftext|>', eos_token: '<|endoftext|>' };

const gpt2: Family = {
  model: 'BPE',
  specials: GPT2_SPECIALS,
  layout: (config) => ({
    normalizer: null,
    preTokenizer: byteLevel(config),
    decoder: BYTE_LEVEL_DECODER,
    keepsPostProcessor: config['add_bos_token'] === undefined && config['add_eos_token'] === undefined,
    postProcessor: template(
      config['add_bos_token'] === true ? [special(config, GPT2_SPECIALS, 'bos_token')] : [],
      config['add_eos_token'] === true ? [special(config, GPT2_SPECIALS, 'eos_token')] : [],
    ),
  }),
};

const bert: Family = {
  model: 'WordPiece',
  specials: BERT_SPECIALS,
  layout: (config) => ({
    normalizer: {
      type: 'BertNormalizer',
      clean_text: true,
      handle_chinese_chars: config['tokenize_chinese_chars'] !== false,
      strip_accents: config['strip_accents'] ?? null,
      lowercase: config['do_lower_case'] !== false,
    },
    preTokenizer: { type: 'BertPreTokenizer' },
    decoder: { type: 'WordPiece', prefix: '##', cleanup: true },
    postProcessor: template(
      [special(config, BERT_SPECIALS, 'cls_token')],
      [special(config, BERT_SPECIALS, 'sep_token')],
    ),
  }),
};

/** Rust's WhitespaceSplit: Unicode's White_Space, which U+FEFF is not; the library's own takes JavaScript's \\s. */
const WHITESPACE_SPLIT = {
  type: 'Split',
  pattern: { Regex: '[\\t-\\r \\u0085\\u00a0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000]+' },
  behavior: 'Removed',
  invert: false,
};

/** Japanese BERT with character pieces: words cannot be cut without MeCab, so encoding cuts at spaces only; decoding is exact. */
const bertJapanese: Family = {
  model: 'WordPiece',
  specials: BERT_SPECIALS,
  layout: (config) => ({
    normalizer: { type: 'NFKC' },
    preTokenizer: WHITESPACE_SPLIT,
    decoder: { type: 'Sequence', decoders: [{ type: 'WordPiece', prefix: '##', cleanup: false }, { type: 'Fuse' }] },
    postProcessor: template(
      [special(config, BERT_SPECIALS, 'cls_token')],
      [special(config, BERT_SPECIALS, 'sep_token')],
    ),
  }),
};

const xlmRoberta: Family = {
  model: 'Unigram',
  specials: ROBERTA_SPECIALS,
  layout: (config, charsmap) => {
    const scheme = config['add_prefix_space'] === false ? 'never' : 'always';
    const metaspace = { type: 'Metaspace', replacement: '▁', prepend_scheme: scheme, split: true };
    return {
      normalizer: charsmap === undefined ? null : { type: 'Precompiled', precompiled_charsmap: charsmap },
      preTokenizer: { type: 'Sequence', pretokenizers: [WHITESPACE_SPLIT, metaspace] },
      decoder: metaspace,
      postProcessor: template(
        [special(config, ROBERTA_SPECIALS, 'bos_token')],
        [special(config, ROBERTA_SPECIALS, 'eos_token')],
      ),
    };
  },
};

/** fairseq's layout: its own first four ids, the model's pieces without theirs, then `tail` and the mask. */
function fairseqPieces(tail: readonly string[], stripsBeforeMask: boolean): SentencePieceLayout {
  const head = ['bos_token', 'pad_token', 'eos_token', 'unk_token'].map((role) => [role, 0] as const);
  return { head, from: 3, tail, stripsBeforeMask };
}

export const XLM_ROBERTA_PIECES = fairseqPieces([], false);

const MBART_LANGUAGES =
  'ar_AR cs_CZ de_DE en_XX es_XX et_EE fi_FI fr_XX gu_IN hi_IN it_IT ja_XX kk_KZ ko_KR lt_LT lv_LV my_MM ne_NP nl_XX ro_RO ru_RU si_LK tr_TR vi_VN zh_CN'.split(
    ' ',
  );
const MBART50_LANGUAGES = [
  ...MBART_LANGUAGES,
  ...'af_ZA az_AZ bn_IN fa_IR he_IL hr_HR id_ID ka_GE km_KH mk_MK ml_IN mn_MN mr_IN pl_PL ps_AF pt_XX sv_SE sw_KE ta_IN te_IN th_TH tl_XX uk_UA ur_PK xh_ZA gl_ES sl_SI'.split(
    ' ',
  ),
];

const METASPACE = { type: 'Metaspace', replacement: '▁', prepend_scheme: 'always', split: true };
const sourceLanguage = (config: JsonObject): string => tokenText(config['src_lang']) ?? 'en_XX';

/** mBART (25 languages): no normaliser in transformers 5; a text ends with `</s>` and its language. */
const mbart: Family = {
  model: 'Unigram',
  specials: ROBERTA_SPECIALS,
  pieces: fairseqPieces(MBART_LANGUAGES, true),
  layout: (config) => ({
    normalizer: null,
    preTokenizer: { type: 'Sequence', pretokenizers: [WHITESPACE_SPLIT, METASPACE] },
    decoder: METASPACE,
    postProcessor: template([], [special(config, ROBERTA_SPECIALS, 'eos_token'), sourceLanguage(config)]),
  }),
};

/** mBART-50: a text begins with its language and ends with `</s>`. */
const mbart50: Family = {
  model: 'Unigram',
  specials: ROBERTA_SPECIALS,
  pieces: fairseqPieces(MBART50_LANGUAGES, true),
  layout: (config, charsmap) => {
    const precompiled = charsmap === undefined ? [] : [{ type: 'Precompiled', precompiled_charsmap: charsmap }];
    const collapse = { type: 'Replace', pattern: { Regex: ' {2,}' }, content: ' ' };
    return {
      normalizer: { type: 'Sequence', normalizers: [...precompiled, collapse] },
      preTokenizer: METASPACE,
      decoder: METASPACE,
      postProcessor: template([sourceLanguage(config)], [special(config, ROBERTA_SPECIALS, 'eos_token')]),
    };
  },
};

/** CamemBERT: XLM-RoBERTa's rules; the first ids of fairseq are kept but not used. */
const camembert: Family = {
  ...xlmRoberta,
  pieces: {
    head: [
      ['<s>NOTUSED', 0],
      ['pad_token', 0],
      ['</s>NOTUSED', 0],
      ['unk_token', 0],
      ['<unk>NOTUSED', -100],
    ],
    from: 1,
    tail: [],
    stripsBeforeMask: true,
  },
};

const NOUGAT_SPECIALS = { unk_token: '<unk>', bos_token: '<s>', eos_token: '</s>', pad_token: '<pad>' };

const nougat: Family = {
  model: 'BPE',
  specials: NOUGAT_SPECIALS,
  layout: (config) => ({
    normalizer: { type: 'NFKC' },
    preTokenizer: {
      type: 'Sequence',
      pretokenizers: [
        { type: 'Split', pattern: { String: 'SPL1T-TH1S-Pl3A5E' }, behavior: 'Removed', invert: false },
        { type: 'Digits', individual_digits: true },
        // transformers 5 has one more Split here, with its expression given as a plain string: it matches nothing.
        { type: 'Split', pattern: { String: '\n' }, behavior: 'Isolated', invert: false },
        { type: 'ByteLevel', add_prefix_space: false, trim_offsets: true, use_regex: true },
      ],
    },
    decoder: BYTE_LEVEL_DECODER,
    postProcessor: template(
      [special(config, NOUGAT_SPECIALS, 'bos_token')],
      [special(config, NOUGAT_SPECIALS, 'eos_token')],
    ),
  }),
};

const FAMILIES: ReadonlyMap<string, Family> = new Map([
  ['Roberta', roberta],
  ['GPT2', gpt2],
  ['Bert', bert],
  ['BertJapanese', bertJapanese],
  ['XLMRoberta', xlmRoberta],
  ['Nougat', nougat],
  ['MBart', mbart],
  ['MBart50', mbart50],
  ['Camembert', camembert],
]);

/** The family of a `tokenizer_class`: transformers 5 rebuilds these in code and takes only vocabulary and post-processor from the file. */
export function familyOf(tokenizerClass: unknown): Family | undefined {
  if (typeof tokenizerClass !== 'string') return undefined;
  return FAMILIES.get(tokenizerClass.replace(/Tokenizer(Fast)?$/, ''));
}

/**
 * A tokenizer.json (or what stands for one) with the parts that transformers 5 would build in code for this family. One whose
 * model is of another type is left as it is.
 */
export function applyLayout(json: JsonObject, family: Family | undefined, config: JsonObject): JsonObject {
  const model = json['model'];
  if (family === undefined || !isObject(model) || (model['type'] ?? family.model) !== family.model) return json;
  const layout = family.layout(config, findCharsmap(json['normalizer']));
  const own = json['post_processor'] ?? null;
  const keep = layout.keepsPostProcessor === true && own !== null;
  const post = keep ? own : layout.postProcessor(idsOf(json, model, config));
  const { normalizer, preTokenizer, decoder } = layout;
  return { ...json, normalizer, pre_tokenizer: preTokenizer, decoder, post_processor: post };
}

function findCharsmap(normalizer: unknown): string | undefined {
  if (!isObject(normalizer)) return undefined;
  const list = normalizer['type'] === 'Sequence' ? normalizer['normalizers'] : [normalizer];
  for (const item of Array.isArray(list) ? (list as unknown[]) : []) {
    const map = isObject(item) && item['type'] === 'Precompiled' ? item['precompiled_charsmap'] : undefined;
    if (typeof map === 'string') return map;
  }
  return undefined;
}

/** Looks special tokens up where they may stand; shapes are checked later, by checkTokenizer(). */
function idsOf(json: JsonObject, model: JsonObject, config: JsonObject): (token: string) => number | undefined {
  const ids = new Map<string, unknown>();
  const vocab = model['vocab'];
  if (Array.isArray(vocab))
    (vocab as unknown[]).forEach((entry, id) => Array.isArray(entry) && ids.set(String(entry[0]), id));
  else if (isObject(vocab)) for (const [token, id] of Object.entries(vocab)) ids.set(token, id);
  const listed = Array.isArray(json['added_tokens']) ? (json['added_tokens'] as unknown[]) : [];
  for (const entry of listed) if (isObject(entry)) ids.set(String(entry['content']), entry['id']);
  const named = config['added_tokens_decoder'];
  if (isObject(named)) for (const [id, entry] of Object.entries(named)) ids.set(tokenText(entry) ?? '', Number(id));
  return (token) => {
    const id = ids.get(token);
    return typeof id === 'number' ? id : undefined;
  };
}
