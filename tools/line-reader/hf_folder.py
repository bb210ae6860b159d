"""The model and the files of its Hugging Face folder."""

import json
from pathlib import Path

import torch
from transformers import GenerationConfig, TrOCRConfig, ViTConfig, VisionEncoderDecoderConfig, VisionEncoderDecoderModel
from transformers.models.donut.image_processing_pil_donut import DonutImageProcessorPil

from presets import BOS, EOS, PAD, SPECIALS, UNK, Preset


def build_model(p: Preset) -> VisionEncoderDecoderModel:
    encoder = ViTConfig(
        hidden_size=p.hidden, num_hidden_layers=p.encoder_layers, num_attention_heads=p.heads, intermediate_size=p.ffn,
        image_size=[p.height, p.width], patch_size=[p.height, p.patch], num_channels=3, layer_norm_eps=1e-6,
    )
    decoder = TrOCRConfig(
        vocab_size=len(p.vocab), d_model=p.hidden, decoder_layers=p.decoder_layers, decoder_attention_heads=p.heads,
        decoder_ffn_dim=p.ffn, max_position_embeddings=p.max_positions, dropout=0.0, cross_attention_hidden_size=p.hidden,
        bos_token_id=BOS, pad_token_id=PAD, eos_token_id=EOS, decoder_start_token_id=BOS, is_decoder=True, add_cross_attention=True,
    )
    config = VisionEncoderDecoderConfig.from_encoder_decoder_configs(encoder, decoder)
    config.decoder_start_token_id, config.pad_token_id, config.eos_token_id = BOS, PAD, EOS
    config.tie_word_embeddings = True
    model = VisionEncoderDecoderModel(config)
    model.encoder.set_attn_implementation("eager")  # in bfloat16 on CPUs its backward pass is the faster one
    model.decoder.set_attn_implementation("eager")  # the guide needs its attentions
    model.generation_config = GenerationConfig(
        decoder_start_token_id=BOS, bos_token_id=BOS, pad_token_id=PAD, eos_token_id=EOS, max_length=p.max_length,
    )
    return model


def image_processor(p: Preset) -> DonutImageProcessorPil:
    return DonutImageProcessorPil(
        size={"height": p.height, "width": p.width}, do_resize=True, do_thumbnail=True, do_pad=True, do_align_long_axis=False,
        do_rescale=True, do_normalize=True, image_mean=[0.5] * 3, image_std=[0.5] * 3, resample=2,
    )


def tokenizer_json(p: Preset) -> dict:
    """A BPE without merges: one token per character, and a decoder that joins them without spaces."""
    vocab = {token: i for i, token in enumerate(p.vocab)}
    added = [
        {"id": i, "content": t, "single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True}
        for i, t in enumerate(SPECIALS)
    ]
    template = {
        "type": "TemplateProcessing",
        "single": [{"Sequence": {"id": "A", "type_id": 0}}, {"SpecialToken": {"id": "</s>", "type_id": 0}}],
        "pair": [{"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 0}}, {"SpecialToken": {"id": "</s>", "type_id": 0}}],
        "special_tokens": {"</s>": {"id": "</s>", "ids": [EOS], "tokens": ["</s>"]}},
    }
    model = {
        "type": "BPE", "dropout": None, "unk_token": SPECIALS[UNK], "continuing_subword_prefix": None, "end_of_word_suffix": None,
        "fuse_unk": False, "byte_fallback": False, "ignore_merges": False, "vocab": vocab, "merges": [],
    }
    return {
        "version": "1.0", "truncation": None, "padding": None, "added_tokens": added, "normalizer": None, "pre_tokenizer": None,
        "post_processor": template, "decoder": {"type": "Fuse"}, "model": model,
    }


def tokenizer_config(p: Preset) -> dict:
    return {
        "tokenizer_class": "PreTrainedTokenizerFast", "bos_token": "<s>", "eos_token": "</s>", "pad_token": "<pad>", "unk_token": "<unk>",
        "clean_up_tokenization_spaces": False, "model_max_length": p.max_positions,
    }


def write_json(path: Path, value: dict) -> None:
    path.write_text(json.dumps(value, indent=2, ensure_ascii=False) + "\n")


def save_folder(model: VisionEncoderDecoderModel, p: Preset, folder: Path) -> None:
    """Everything transformers needs, with weights in float16."""
    folder.mkdir(parents=True, exist_ok=True)
    half = VisionEncoderDecoderModel(model.config)
    half.generation_config = model.generation_config
    half.load_state_dict({name: value.cpu() for name, value in model.state_dict().items()})
    half.to(torch.float16).save_pretrained(folder)
    processor = image_processor(p).to_dict()
    processor = {k: v for k, v in processor.items() if v is not None}
    processor["image_processor_type"] = "DonutImageProcessor"
    write_json(folder / "preprocessor_config.json", processor)
    write_json(folder / "tokenizer.json", tokenizer_json(p))
    write_json(folder / "tokenizer_config.json", tokenizer_config(p))
