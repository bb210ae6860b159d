"""The cases: sizes that are not multiples of each other, one mechanism or flag per case at least."""

TOKENS = dict(start=2, pad=1, prompt=[[7, 11, 5], [3, 8, 12], [14, 6, 4]])
IDS = dict(ids=[[2, 17, 5, 9, 31], [2, 8, 23, 3, 12]], labels=[[17, 5, 9, 31, 4], [8, 23, 3, -100, -100]])
PADDED_IDS = IDS | dict(ids=[[2, 17, 1, 9, 31], [2, 8, 23, 1, 1]])


def case(encoder, decoder, top=None, **extra):
    return TOKENS | IDS | dict(encoder=encoder, decoder=decoder, top=top or {}) | extra


def vit(**extra):
    base = dict(model_type="vit", image_size=20, patch_size=5, num_channels=3, hidden_size=26)
    return base | dict(num_hidden_layers=2, num_attention_heads=2, intermediate_size=37, encoder_stride=5) | extra


def gpt2(**extra):
    base = dict(model_type="gpt2", vocab_size=53, n_positions=23, n_embd=24, n_layer=2, n_head=2, n_inner=35)
    return base | extra


def trocr(**extra):
    base = dict(model_type="trocr", vocab_size=47, d_model=24, decoder_layers=2, decoder_attention_heads=2)
    return base | dict(decoder_ffn_dim=35, max_position_embeddings=21) | extra


#: Without these, post-norm blocks forget the token and the position.
POST_NORM = dict(tokens=0.3, positions=2.0, cross=0.8)

CASES = {
    # `seed`: where the search starts, the first accepted one.
    # enc_to_dec_proj, tied head, interpolated positions, every kind of search
    "vit-gpt2": case(vit(), gpt2(), full=True, pooler=True, interpolate=[[25, 25], [15, 30]], seed=269),
    # equal widths, so no projection; no q/k/v bias; the scale flags; n_inner null; eps that shows
    "vit-gpt2-untied": case(
        vit(hidden_size=24, qkv_bias=False, num_channels=1, layer_norm_eps=0.01, hidden_act="relu"),
        gpt2(
            **dict(tie_word_embeddings=False, n_inner=None, scale_attn_weights=False, activation_function="gelu"),
            **dict(scale_attn_by_inverse_layer_idx=True, layer_norm_epsilon=0.02),
        ),
        half=True,
    ),
    # distillation token; learned positions, embedding norm, scaled embedding, untied head
    "deit-trocr": case(
        vit(model_type="deit"),
        trocr(scale_embedding=True, tie_word_embeddings=False, activation_function="relu"),
        interpolate=[[30, 25]],
        gains=POST_NORM,
    ),
    # sinusoidal positions with pads inside, no embedding norm, cross-attention over the encoder's own width
    "vit-trocr-sinusoidal": TOKENS
    | PADDED_IDS
    | dict(
        encoder=vit(hidden_size=30, num_attention_heads=3, num_channels=1, hidden_act="quick_gelu"),
        decoder=trocr(
            **dict(use_learned_position_embeddings=False, layernorm_embedding=False, tie_word_embeddings=False),
            scale_embedding=True,
            cross_attention_hidden_size=30,
        ),
        gains=dict(tokens=0.35, maps=0.6, cross=0.55),
        seed=606,
        top={},
    ),
    # images and patches that are not square
    "vit-trocr-rectangular": case(
        vit(image_size=[15, 28], patch_size=[5, 7], num_channels=1, hidden_size=27, num_attention_heads=3, hidden_act="silu"),
        trocr(activation_function="gelu_new", layernorm_embedding=False, decoder_attention_heads=3),
        gains=POST_NORM,
        half=True,
        seed=117,
    ),
}
