"""One case per decoder and per flag that changes its maths, with a small encoder. Weights are stored in float16."""

from models_cases import PADDED_IDS, case, vit


def small(**extra):
    base = dict(image_size=12, patch_size=4, num_channels=1, hidden_size=14, num_hidden_layers=1)
    return vit(**base | dict(intermediate_size=17) | extra)


def tiny_swin():
    base = dict(model_type="swin", image_size=12, patch_size=3, num_channels=1, embed_dim=8, depths=[1, 1], num_heads=[2, 2])
    return base | dict(window_size=2, mlp_ratio=1.5)


def tiny_dinov2():
    base = dict(model_type="dinov2", image_size=12, patch_size=4, num_channels=1, hidden_size=14, num_hidden_layers=1)
    return base | dict(num_attention_heads=2, mlp_ratio=1)


def decoder(model_type, values, flags, **extra):
    encoder = extra.pop("encoder", None) or small()
    return case(encoder, dict(model_type=model_type) | values | flags, half=True, **extra)


BART = dict(vocab_size=43, d_model=20, decoder_layers=2, encoder_layers=2, decoder_attention_heads=2, decoder_ffn_dim=27)
BERT = dict(vocab_size=43, hidden_size=20, num_hidden_layers=2, num_attention_heads=2, intermediate_size=27)
#: Enough rows for the start token, three of a prompt and the steps, whatever rows come first.
POSITIONS = dict(max_position_embeddings=19)

#: Post-norm blocks forget the token and the position behind large maps.
POST = dict(tokens=0.3, positions=2.0, cross=0.8)
POST_BERT = dict(tokens=1.2, positions=2.0, maps=0.9, cross=1.0, head=4.0, bias=0.1)


SHAPES = dict(shape_vocab_size=5, shape_embed_dim=6, pronunciation_vocab_size=7, pronunciation_embed_dim=9)

#: Sizes for small files.
NARROW = dict(vocab_size=35, hidden_size=16, intermediate_size=21, num_hidden_layers=1)

#: Keys of a case rather than of the decoder's config.
MORE = ("seed", "encoder", "ids", "prompt", "uncached", "unused")
#: Where position ids depend on pads.
PADS = dict(ids=PADDED_IDS["ids"], prompt=[[1, 7, 11], [3, 1, 12], [14, 6, 4]])


def bart(model_type, **extra):
    gains = extra.pop("gains", POST)
    more = {key: extra.pop(key) for key in MORE if key in extra}
    return decoder(model_type, BART | POSITIONS, extra, gains=gains, **more)


def bert(model_type, **extra):
    gains = extra.pop("gains", POST_BERT)
    more = {key: extra.pop(key) for key in MORE if key in extra}
    return decoder(model_type, BERT | POSITIONS, extra, gains=gains, **more)


CASES = {
    # position offset 2, embedding norm, no final norm
    "vit-bart": bart("bart", scale_embedding=True),
    # pre-norm, final norm, its own head
    "vit-mbart": bart("mbart", tie_word_embeddings=False, activation_function="relu", gains={}),
    # token type row, head transform, kept head bias
    "vit-bert": bert("bert", layer_norm_eps=0.01),
    # another activation in blocks and head, an untied head with a bias of its own
    "deit-bert-untied": bert("bert", encoder=small(model_type="deit"), tie_word_embeddings=False, hidden_act="relu"),
    # positions that count non-pad tokens; the head keeps gelu
    "vit-roberta": bert("roberta", hidden_act="relu", **PADS),
    "vit-xlm-roberta": bert("xlm-roberta", type_vocab_size=1, **PADS),
    "deit-camembert": bert("camembert", encoder=small(model_type="deit"), **PADS),
    # relatives of BERT
    "vit-electra": bert("electra", embedding_size=14, hidden_act="silu"),
    "vit-electra-equal": bert("electra", embedding_size=20, tie_word_embeddings=False),
    "vit-bert-generation": bert("bert-generation"),
    "vit-ernie": bert("ernie", use_task_id=True),
    # without the cache, with which transformers lets cross-attention read the keys of self-attention
    "vit-big-bird": bert(
        "big_bird", rescale_embeddings=True, use_bias=False, sep_token_id=4, use_cache=False, uncached=True
    ),
    "vit-rembert": bert("rembert", input_embedding_size=14, output_embedding_size=18),
    "vit-data2vec-text": bert("data2vec-text", **PADS),
    "vit-roberta-prelayernorm": bert("roberta-prelayernorm", gains={}, **PADS),
    "vit-xlm-roberta-xl": bert("xlm-roberta-xl", gains={}, **PADS),
    # rotary positions of queries and keys, or of values too; an embedding of its own width
    "vit-roformer": bert(
        "roformer", **NARROW | dict(num_hidden_layers=2, hidden_size=12, embedding_size=10), hidden_act="relu", seed=7
    ),
    "swin-roformer-values": bert(
        "roformer", **NARROW, encoder=tiny_swin(), rotary_value=True, tie_word_embeddings=False
    ),
    # the adapter of one language of two, behind the block's last norm; or behind one of its own, the residual before that
    "vit-xmod": bert(
        "xmod",
        **NARROW,
        **dict(languages=["en_XX", "de_DE"], default_language="de_DE", unused=("adapter_modules.en_XX",), seed=14),
        **PADS,
    ),
    "dinov2-xmod-pre": bert(
        "xmod",
        **NARROW,
        **dict(encoder=tiny_dinov2(), languages=["en_XX"], default_language="en_XX", adapter_reduction_factor=3),
        **dict(pre_norm=True, adapter_layer_norm=True, ln_before_adapter=False, unused=("mask_token",), seed=8),
        **PADS,
    ),
    # row 0 of shapes and pronunciations beside every token, or no trace of them
    "vit-roc-bert": bert("roc_bert", **NARROW, **SHAPES, seed=15),
    "deit-roc-bert-sum": bert(
        "roc_bert",
        **NARROW,
        **SHAPES,
        seed=3,
        **dict(encoder=small(model_type="deit"), concat_input=False, unused=("shape_embed", "pronunciation_embed")),
    ),
    # n-gram streams, whose relative positions a pass over several tokens reads across streams, heads and tokens
    "vit-prophetnet": decoder(
        "prophetnet",
        dict(vocab_size=35, hidden_size=16, num_decoder_layers=2, num_encoder_layers=2, decoder_ffn_dim=21) | POSITIONS,
        dict(
            **dict(num_decoder_attention_heads=2, num_encoder_attention_heads=2),
            **dict(ngram=3, num_buckets=5, relative_max_distance=9, pad_token_id=0),
        ),
        **dict(pad=0, gains=POST, unused=("key_proj.bias",), seed=12),
    ),
    # not in transformers: tools/golden/distilbert_decoder.py
    "vit-distilbert": decoder(
        "distilbert",
        dict(vocab_size=43, dim=20, n_layers=2, n_heads=2, hidden_dim=27) | POSITIONS,
        dict(is_decoder=True, add_cross_attention=True, activation="gelu"),
        gains=POST_BERT,
        uncached=True,
    ),
    # relatives of BART
    "vit-marian": bart("marian", pad_token_id=1, decoder_start_token_id=2, scale_embedding=True, activation_function="silu"),
    "vit-pegasus": bart("pegasus", scale_embedding=True, activation_function="relu", tie_word_embeddings=False, gains={}),
    "vit-blenderbot": bart("blenderbot", gains={}),
    "vit-blenderbot-small": bart("blenderbot-small", scale_embedding=True),
    "vit-mvp": bart("mvp"),
    "vit-plbart": bart("plbart"),
    "vit-bigbird-pegasus": bart("bigbird_pegasus", gains={}),
    "vit-xglm": decoder(
        "xglm",
        dict(vocab_size=43, d_model=20, num_layers=2, attention_heads=2, ffn_dim=27) | POSITIONS,
        dict(scale_embedding=False, pad_token_id=5),
        pad=5,
        seed=816,
    ),
}
