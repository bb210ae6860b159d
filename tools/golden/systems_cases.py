"""The systems of systems.py: published layouts and settings, tiny sizes."""

IMAGES = ["page.png", "rgb.png", "exif6.jpg"]
VIT = {"model_type": "vit", "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 24, "image_size": 32, "patch_size": 8}
TROCR = {"model_type": "trocr", "d_model": 16, "decoder_layers": 2, "decoder_attention_heads": 2, "decoder_ffn_dim": 24, "max_position_embeddings": 64,
         "bos_token_id": 0, "pad_token_id": 1, "eos_token_id": 2, "decoder_start_token_id": 2}
SWIN = {"hidden_act": "gelu", "embed_dim": 8, "depths": [2, 2], "num_heads": [2, 2], "window_size": 4, "patch_size": 4, "mlp_ratio": 2.0}
MBART = {"model_type": "mbart", "d_model": 16, "decoder_layers": 2, "decoder_attention_heads": 2, "decoder_ffn_dim": 24, "scale_embedding": True, "add_final_layer_norm": True,
         "is_decoder": True, "add_cross_attention": True, "bos_token_id": 0, "pad_token_id": 1, "eos_token_id": 2, "forced_eos_token_id": 2}
BERT = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 24, "is_decoder": True, "add_cross_attention": True}
#: As saved by transformers 4 before image processors had their name.
VIT_EXTRACTOR = {"feature_extractor_type": "ViTFeatureExtractor", "do_normalize": True, "do_resize": True, "image_mean": [0.5, 0.5, 0.5], "image_std": [0.5, 0.5, 0.5], "resample": 2, "size": 32}
DONUT_TOKENS = ["<s_docvqa>", "<s_question>", "</s_question>", "<s_answer>", "</s_answer>", "<s_cord-v2>", "<s_menu>", "</s_menu>", "<s_nm>", "</s_nm>", "<s_price>", "</s_price>", "<sep/>", "<yes/>", "<no/>"]
FIRST_ADDED = 192  # behind the pieces and the mask of the tiny sentencepiece model


def donut_files(count):
    """How a Donut checkpoint without tokenizer.json names its tokens."""
    decoder = {str(count + i): {"content": token, "lstrip": False, "normalized": False, "rstrip": False, "single_word": False, "special": True} for i, token in enumerate(DONUT_TOKENS)}
    marks = {"bos_token": "<s>", "eos_token": "</s>", "sep_token": "</s>", "cls_token": "<s>", "unk_token": "<unk>", "pad_token": "<pad>", "mask_token": "<mask>"}
    return {
        "added_tokens.json": {token: count + i for i, token in enumerate(DONUT_TOKENS)},
        "special_tokens_map.json": {**marks, "additional_special_tokens": DONUT_TOKENS},
        "tokenizer_config.json": {"tokenizer_class": "XLMRobertaTokenizer", "processor_class": "DonutProcessor", **marks, "added_tokens_decoder": decoder},
    }


def donut(image, prompts, allowed, **generation):
    """`allowed`: ids of added tokens that a random model may write, so that its text has fields."""
    count = FIRST_ADDED
    words = [10, 12, 21]
    banned = [i for i in range(count + len(DONUT_TOKENS)) if i not in words + [2] + [count + DONUT_TOKENS.index(token) for token in allowed]]
    return {
        "encoder": {"model_type": "donut-swin", "image_size": image, **SWIN}, "decoder": {**MBART, "max_position_embeddings": 32}, "top": {"pad_token_id": 1, "tie_word_embeddings": False},
        "tokenizer": "xlm-roberta-legacy", "tokenizer_files": donut_files(count), "images": IMAGES, "prompts": prompts,
        "preprocessor": {"image_processor_type": "DonutImageProcessor", "do_align_long_axis": False, "do_normalize": True, "do_pad": True, "do_rescale": True, "do_resize": True, "do_thumbnail": True,
                         "image_mean": [0.5, 0.5, 0.5], "image_std": [0.5, 0.5, 0.5], "resample": 2, "rescale_factor": 0.00392156862745098, "size": [image[1], image[0]]},
        "generation": {"bos_token_id": 0, "pad_token_id": 1, "eos_token_id": 2, "forced_eos_token_id": 2, "max_length": 32, "bad_words_ids": [[3]], "suppress_tokens": banned, "no_repeat_ngram_size": 3, **generation},
        "options": {"postProcess": "token2json"},
    }


def trocr(decoder, tokenizer="roberta-legacy", encoder=None, preprocessor=None, **extra):
    return {
        "encoder": {**VIT, "qkv_bias": False} if encoder is None else encoder, "decoder": {**TROCR, "cross_attention_hidden_size": 16, **decoder},
        "top": {"tie_word_embeddings": False}, "tokenizer": tokenizer, "images": IMAGES,
        "preprocessor": preprocessor or VIT_EXTRACTOR, **extra,
    }


SYSTEMS = {
    "trocr-base-handwritten": trocr(
        {"activation_function": "gelu", "use_learned_position_embeddings": True, "layernorm_embedding": True, "scale_embedding": False, "tie_word_embeddings": True},
        legacy_decoder={"max_length": 20, "num_beams": 1, "no_repeat_ngram_size": 3}),
    "trocr-large-printed": trocr(
        {"activation_function": "relu", "use_learned_position_embeddings": False, "layernorm_embedding": False, "scale_embedding": True, "tie_word_embeddings": False},
        legacy={"max_length": 18, "num_beams": 4, "early_stopping": True, "no_repeat_ngram_size": 3, "length_penalty": 2.0, "eos_token_id": 2, "pad_token_id": 1, "decoder_start_token_id": 2}),
    "trocr-small-printed": trocr(
        {"activation_function": "relu", "use_learned_position_embeddings": True, "layernorm_embedding": True, "scale_embedding": True, "tie_word_embeddings": False, "use_cache": False, "cross_attention_hidden_size": 12},
        tokenizer="xlm-roberta-legacy", encoder={**VIT, "model_type": "deit", "hidden_size": 12},
        preprocessor={"feature_extractor_type": "DeiTFeatureExtractor", "do_center_crop": False, "do_normalize": True, "do_resize": True, "image_mean": [0.5, 0.5, 0.5], "image_std": [0.5, 0.5, 0.5],
                      "crop_size": 224, "resample": 3, "size": 32},
        generation={"bos_token_id": 0, "pad_token_id": 1, "eos_token_id": 2, "decoder_start_token_id": 2, "max_length": 20, "no_repeat_ngram_size": 3}),
    "vit-gpt2-image-captioning": {
        "encoder": VIT, "decoder": {"model_type": "gpt2", "n_embd": 16, "n_layer": 2, "n_head": 2, "n_positions": 64, "add_cross_attention": True, "bos_token_id": 0, "eos_token_id": 0},
        "top": {"decoder_start_token_id": 0, "eos_token_id": 0, "pad_token_id": 0, "bos_token_id": 0}, "tokenizer": "gpt2-legacy", "images": IMAGES, "preprocessor": VIT_EXTRACTOR,
        "weights": "pytorch_model.bin",
        "generation": {"decoder_start_token_id": 0, "eos_token_id": 0, "pad_token_id": 0, "bos_token_id": 0, "max_length": 16, "num_beams": 4},
    },
    "donut-base-finetuned-docvqa": donut([64, 48], [
        "<s_docvqa><s_question>When is it?</s_question><s_answer>", "<s_docvqa><s_question>total of an invoice</s_question><s_answer>", "<s_docvqa><s_question>what</s_question><s_answer>"],
        ["</s_answer>", "<yes/>", "<sep/>", "<s_menu>", "</s_menu>", "<s_nm>", "</s_nm>"], max_length=96) | {"decoder": {**MBART, "max_position_embeddings": 96}},
    "donut-base-finetuned-cord-v2": donut([48, 40], ["<s_cord-v2>"] * 3, ["<s_menu>", "</s_menu>", "<s_nm>", "</s_nm>", "<s_price>", "</s_price>", "<sep/>", "<no/>"]),
    "nougat-base": {
        "encoder": {"model_type": "donut-swin", "image_size": [84, 56], **SWIN, "window_size": 7}, "decoder": {**MBART, "max_position_embeddings": 48, "tie_word_embeddings": False},
        "top": {"pad_token_id": 1, "tie_word_embeddings": False, "decoder_start_token_id": 0}, "tokenizer": "nougat", "images": IMAGES,
        "preprocessor": {"image_processor_type": "NougatImageProcessor", "do_align_long_axis": False, "do_crop_margin": True, "do_normalize": True, "do_pad": True, "do_rescale": True, "do_resize": True, "do_thumbnail": True,
                         "image_mean": [0.485, 0.456, 0.406], "image_std": [0.229, 0.224, 0.225], "resample": 2, "rescale_factor": 0.00392156862745098, "size": {"height": 84, "width": 56}},
        "generation": {"bos_token_id": 0, "pad_token_id": 1, "eos_token_id": 2, "forced_eos_token_id": 2, "decoder_start_token_id": 0, "max_length": 40, "bad_words_ids": [[3]]},
        "options": {"postProcess": "nougat"},
    },
    "manga-ocr-base": {
        "encoder": {**VIT, "qkv_bias": True}, "decoder": {"model_type": "bert", **BERT, "max_position_embeddings": 64, "pad_token_id": 0},
        "top": {"decoder_start_token_id": 2, "eos_token_id": 3, "pad_token_id": 0},
        "tokenizer": "manga-ocr", "images": IMAGES, "preprocessor": VIT_EXTRACTOR,
        "legacy": {"num_beams": 4, "max_length": 24, "no_repeat_ngram_size": 3, "length_penalty": 2.0, "early_stopping": True},
        "options": {"postProcess": "mangaOcr", "grayscale": True},
    },
    "swin-bert": {
        "encoder": {"model_type": "swin", "image_size": 32, **SWIN}, "decoder": {"model_type": "bert", **BERT, "max_position_embeddings": 32},
        "top": {"decoder_start_token_id": 2, "eos_token_id": 3, "pad_token_id": 0}, "tokenizer": "bert-legacy", "images": IMAGES, "preprocessor": VIT_EXTRACTOR,
        "generation": {"decoder_start_token_id": 2, "eos_token_id": 3, "pad_token_id": 0, "max_length": 20, "no_repeat_ngram_size": 3},
    },
    "beit-roberta": {
        "encoder": {"model_type": "beit", "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 24, "image_size": 32, "patch_size": 8, "use_relative_position_bias": True, "layer_scale_init_value": 0.1},
        "decoder": {"model_type": "roberta", **BERT, "max_position_embeddings": 40, "type_vocab_size": 1, "bos_token_id": 0, "pad_token_id": 1, "eos_token_id": 2},
        "top": {"decoder_start_token_id": 0, "eos_token_id": 2, "pad_token_id": 1}, "tokenizer": "roberta-legacy", "images": IMAGES,
        "preprocessor": {"image_processor_type": "BeitImageProcessor", "do_center_crop": False, "do_normalize": True, "do_rescale": True, "do_resize": True, "image_mean": [0.5, 0.5, 0.5], "image_std": [0.5, 0.5, 0.5],
                         "resample": 3, "rescale_factor": 0.00392156862745098, "size": {"height": 32, "width": 32}, "do_reduce_labels": False},
        "generation": {"decoder_start_token_id": 0, "eos_token_id": 2, "pad_token_id": 1, "max_length": 20, "num_beams": 3, "no_repeat_ngram_size": 3},
    },
}
