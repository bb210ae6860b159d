"""One case per encoder and per flag that changes its maths, with a small decoder. Weights are stored in float16."""

from models_cases import POST_NORM, case, trocr

PLAIN = dict(image_size=12, patch_size=3, num_channels=1, num_hidden_layers=2, num_attention_heads=2)


def gpt2(**extra):
    base = dict(model_type="gpt2", vocab_size=41, n_positions=19, n_embd=16, n_layer=2, n_head=2, n_inner=23)
    return base | extra


def encoder(model_type, values, **extra):
    decoder = extra.pop("decoder", None) or gpt2()
    return case(dict(model_type=model_type) | values, decoder, half=True, **extra)


def plain(model_type, values=None, **extra):
    width = dict(hidden_size=22, intermediate_size=29)
    return encoder(model_type, PLAIN | width | (values or {}), **extra)


def dinov2(model_type, values=None, **extra):
    width = dict(hidden_size=20, mlp_ratio=2, layer_norm_eps=1e-3)
    extra = dict(unused=["mask_token"]) | extra
    return encoder(model_type, PLAIN | width | (values or {}), **extra)


#: Sizes that need interpolate_pos_encoding, and sizes an encoder takes without it.
INTERPOLATE = dict(interpolate=[[15, 15], [9, 18]])
SIZES = dict(sizes=[[15, 15], [10, 17]])

CASES = {
    # ViT without a pooler
    "vit-msn-gpt2": plain("vit_msn", dict(hidden_act="gelu_new", layer_norm_eps=1e-2), seed=108, **INTERPOLATE),
    # patch projection without bias, norm before the blocks, none after
    "clip-gpt2": plain("clip_vision_model", dict(layer_norm_eps=1e-3), unused=["post_layernorm"], seed=20, **INTERPOLATE),
    # no class token, norm after the blocks, a pooling head that is not used
    "siglip-trocr": plain(
        "siglip_vision_model",
        dict(layer_norm_eps=1e-3),
        unused=[".head."],
        decoder=trocr(d_model=16, decoder_ffn_dim=23),
        gains=POST_NORM,
        seed=33,
        **INTERPOLATE,
    ),
    # layer scale, positions that follow the image
    "dinov2-gpt2": dinov2("dinov2", seed=29, **SIZES),
    # SwiGLU, no q/k/v bias
    "dinov2-swiglu-gpt2": dinov2("dinov2", dict(use_swiglu_ffn=True, qkv_bias=False, use_mask_token=False), seed=99),
    # registers behind the class token, antialiased positions
    "dinov2-registers-gpt2": dinov2(
        "dinov2_with_registers", dict(num_register_tokens=3, image_size=15), sizes=[[9, 9], [21, 12]], seed=44
    ),
}
