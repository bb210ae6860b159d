"""One case per encoder and per flag that changes its maths, with a small decoder. Weights are stored in float16."""

from cases_decoders import BART, BERT, PADS, POSITIONS, POST_BERT
from models_cases import POST_NORM, case, trocr

PLAIN = dict(image_size=12, patch_size=3, num_channels=1, num_hidden_layers=2, num_attention_heads=2)


def gpt2(**extra):
    base = dict(model_type="gpt2", vocab_size=41, n_positions=19, n_embd=16, n_layer=2, n_head=2, n_inner=23)
    return base | extra


def encoder(model_type, values, **extra):
    decoder = extra.pop("decoder", None) or gpt2()
    return case(dict(model_type=model_type) | values, decoder, half=True, **extra)


def plain(model_type, values=None, **extra):
    width = extra.pop("width", None) or dict(hidden_size=22, intermediate_size=29)
    return encoder(model_type, PLAIN | width | (values or {}), **extra)


def dinov2(model_type, values=None, **extra):
    width = dict(hidden_size=20, mlp_ratio=2, layer_norm_eps=1e-3)
    extra = dict(unused=["mask_token"]) | extra
    return encoder(model_type, PLAIN | width | (values or {}), **extra)


def beit(model_type, *values, **extra):
    width = dict(hidden_size=20, intermediate_size=27, layer_norm_eps=1e-3)
    return encoder(model_type, PLAIN | width | {key: v for part in values for key, v in part.items()}, **extra)


def swin(model_type, values, **extra):
    base = dict(patch_size=4, num_channels=1, embed_dim=10, depths=[2, 2], num_heads=[2, 5], window_size=4)
    extra = dict(unused=["mask_token"]) | extra
    return encoder(model_type, base | dict(mlp_ratio=1.7, layer_norm_eps=1e-3) | values, **extra)


#: Of cases that are to be small.
NARROW = dict(hidden_size=10, intermediate_size=13)
#: Sizes that need interpolate_pos_encoding, and sizes an encoder takes without it.
INTERPOLATE = dict(interpolate=[[15, 15], [9, 18]])
SIZES = dict(sizes=[[15, 15], [10, 17]])

CASES = {
    # ViT without a pooler
    "vit-msn-gpt2": plain("vit_msn", dict(hidden_act="gelu_new", layer_norm_eps=1e-2), seed=108, **INTERPOLATE),
    # detection tokens behind the patches, positions between layers, a grid that is not square; any image size
    "yolos-gpt2": plain(
        "yolos",
        dict(image_size=[12, 9], num_hidden_layers=3, num_detection_tokens=4, layer_norm_eps=1e-3),
        decoder=gpt2(n_layer=1),
        sizes=[[10, 17]],
        seed=73,
        width=NARROW,
    ),
    # one layer, hence no positions between layers, nor asked for; no q/k/v bias
    "yolos-bert": plain(
        "yolos",
        dict(image_size=[9, 12], num_hidden_layers=1, num_detection_tokens=3, use_mid_position_embeddings=False, qkv_bias=False),
        decoder=dict(model_type="bert") | BERT | POSITIONS | dict(num_hidden_layers=1),
        gains=POST_BERT,
        seed=4,
        width=NARROW,
    ),
    # root-mean-square norms, gated perceptron, learned positions; a pooling head that is not used
    "aimv2-bart": plain(
        "aimv2_vision_model",
        dict(rms_norm_eps=1e-2, image_size=9),
        unused=[".head."],
        decoder=dict(model_type="bart") | BART | POSITIONS | dict(decoder_layers=1),
        gains=POST_NORM,
        seed=12,
        width=NARROW,
    ),
    # computed positions, all biases, another activation; any image size
    "aimv2-native-gpt2": plain(
        "aimv2_vision_model",
        dict(hidden_size=12, is_native=True, use_head=False, qkv_bias=True, mlp_bias=True, hidden_act="gelu"),
        decoder=gpt2(n_layer=1),
        sizes=[[10, 17]],
        seed=118,
        width=NARROW,
    ),
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
    # the published kind: a bias per layer, mean pooling, hence no final norm
    "beit-gpt2": beit("beit", dict(use_relative_position_bias=True), **SIZES, seed=11),
    # one shared bias and one per layer, added; absolute positions; a final norm; no layer scale
    "beit-shared-trocr": beit(
        "beit",
        dict(use_relative_position_bias=True, use_shared_relative_position_bias=True, use_mean_pooling=False),
        dict(use_absolute_position_embeddings=True, layer_scale_init_value=0.0, image_size=9),
        decoder=trocr(d_model=16, decoder_ffn_dim=23),
        gains=POST_NORM,
        sizes=[[12, 12], [15, 6]],
        seed=211,
    ),
    # nothing but patches and a class token; any image size
    "beit-roberta": beit(
        "beit",
        dict(use_mean_pooling=False, use_mask_token=True),
        decoder=dict(model_type="roberta") | BERT | POSITIONS,
        gains=POST_BERT,
        unused=["mask_token"],
        sizes=[[9, 15]],
        **PADS,
        seed=3,
    ),
    # a grid that is not square, whose bias table transformers turns around
    "data2vec-vision-gpt2": beit(
        "data2vec-vision", dict(use_shared_relative_position_bias=True, image_size=[12, 9]), sizes=[[9, 12]], seed=6
    ),
    # windows that do not divide the map, shifted; merging of an odd map
    "swin-gpt2": swin("swin", dict(image_size=[28, 36]), sizes=[[30, 26], [41, 28]], seed=373),
    # absolute positions, no q/k/v bias
    "swin-absolute-trocr": swin(
        "swin",
        dict(use_absolute_embeddings=True, qkv_bias=False, image_size=24, window_size=3, patch_size=4),
        decoder=trocr(d_model=16, decoder_ffn_dim=23),
        gains=POST_NORM,
        interpolate=[[24, 36]],
        seed=267,
    ),
    # no final norm
    "donut-swin-mbart": swin(
        "donut-swin",
        dict(image_size=[36, 32], num_heads=[2, 4]),
        decoder=dict(model_type="mbart", scale_embedding=True) | BART | POSITIONS,
        sizes=[[32, 44]],
        seed=741,
    ),
    # a map of one window in the last stage, another activation
    "swin-bert": swin(
        "swin",
        dict(image_size=[28, 28], depths=[1, 2], hidden_act="relu"),
        decoder=dict(model_type="bert") | BERT | POSITIONS,
        gains=POST_BERT,
        seed=1,
    ),
    # cosine attention, computed bias, norm at the end of each branch; windows clamped in the second stage
    "swinv2-bert": swin(
        "swinv2",
        dict(image_size=[28, 28]),
        decoder=dict(model_type="bert") | BERT | POSITIONS,
        gains=POST_BERT,
        sizes=[[36, 22], [10, 14]],
        seed=23,
    ),
    # distances in units of the window of pretraining; no q/k/v bias
    "swinv2-pretrained-bart": swin(
        "swinv2",
        dict(image_size=24, window_size=3, pretrained_window_sizes=[4, 0], qkv_bias=False),
        decoder=dict(model_type="bart") | BART | POSITIONS,
        gains=POST_NORM,
        seed=17,
    ),
    # rotary positions of an image that is not square, gated perceptron, registers; biases that are not the defaults
    "dinov3-gpt2": plain(
        "dinov3_vit",
        dict(hidden_size=24, num_register_tokens=2, use_gated_mlp=True, image_size=[12, 9], key_bias=True, layer_norm_eps=1e-3),
        unused=["mask_token"],
        **SIZES,
        seed=93,
    ),
    # no registers, no biases, another base
    "dinov3-bare-bert": plain(
        "dinov3_vit",
        dict(hidden_size=24, query_bias=False, value_bias=False, proj_bias=False, mlp_bias=False, rope_theta=7.0),
        decoder=dict(model_type="bert") | BERT | POSITIONS,
        gains=POST_BERT,
        unused=["mask_token", "register_tokens"],
        seed=2,
    ),
    # mask units, pooled queries in units and of the whole image, a stage that is entered without pooling, oblong strides
    "hiera-gpt2": encoder(
        "hiera",
        dict(image_size=[16, 16], patch_size=[3, 3], patch_stride=[2, 2], patch_padding=[1, 1], num_channels=1, embed_dim=6)
        | dict(depths=[1, 2, 1, 1], num_heads=[2, 3, 1, 2], embed_dim_multiplier=1.5, mlp_ratio=1.3, num_query_pool=2)
        | dict(query_stride=[2, 1], masked_unit_size=[8, 2], masked_unit_attention=[True, False, False, True])
        | dict(layer_norm_eps=1e-3),
        decoder=gpt2(n_layer=1),
        interpolate=[[16, 24]],
        seed=518,
    ),
    # no class token
    "ijepa-roberta": plain(
        "ijepa",
        dict(qkv_bias=False, layer_norm_eps=1e-2),
        decoder=dict(model_type="roberta") | BERT | POSITIONS,
        gains=POST_BERT,
        **INTERPOLATE,
        seed=1,
    ),
}
