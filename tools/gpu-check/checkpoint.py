#!/usr/bin/env python3
"""Writes a checkpoint of a model's shape with random weights in Hugging Face layout, and eight random images.

usage: checkpoint.py FOLDER MODEL [--tiny]      (needs torch and transformers)

Every parameter is random, biases and norms too, so that a missing or a swapped tensor changes the tokens; a seed fixes them.
"""
import json
import os
import sys

os.environ.update(HF_HUB_OFFLINE="1", TRANSFORMERS_OFFLINE="1", TRANSFORMERS_VERBOSITY="error")
import torch
from transformers import (DonutSwinConfig, GenerationConfig, GPT2Config, MBartConfig, TrOCRConfig, ViTConfig,
                          VisionEncoderDecoderConfig, VisionEncoderDecoderModel)

from floors import SHAPES, TINY, Vit

IMAGES = 8


def encoder_config(e):
    if isinstance(e, Vit):
        return ViTConfig(hidden_size=e.width, num_hidden_layers=e.layers, num_attention_heads=e.heads, intermediate_size=e.ffn,
                         patch_size=e.patch, image_size=e.image[0], qkv_bias=e.qkv_bias)
    return DonutSwinConfig(image_size=list(e.image), patch_size=e.patch, embed_dim=e.width, depths=list(e.depths),
                           num_heads=list(e.heads), window_size=e.window)


def decoder_config(d, e):
    """(config, start and end token)"""
    if d.kind == "gpt2":
        return GPT2Config(vocab_size=d.vocab, n_positions=d.positions, n_embd=d.width, n_layer=d.layers, n_head=d.heads, n_inner=d.ffn,
                          add_cross_attention=True, is_decoder=True, bos_token_id=d.vocab - 1, eos_token_id=d.vocab - 1), d.vocab - 1
    common = dict(vocab_size=d.vocab, d_model=d.width, decoder_layers=d.layers, decoder_attention_heads=d.heads,
                  decoder_ffn_dim=d.ffn, max_position_embeddings=d.positions, tie_word_embeddings=d.tied)
    if d.kind == "trocr":
        return TrOCRConfig(**common, cross_attention_hidden_size=e.out_width), 2
    return MBartConfig(**common, scale_embedding=True, add_final_layer_norm=True, is_decoder=True, is_encoder_decoder=False,
                       add_cross_attention=True), 2


def deviation(name, parameter):
    """Large position embeddings and sharp attention keep the tokens from repeating."""
    if "wte" in name or "embed_tokens" in name:
        return 0.05
    if "wpe" in name or "embed_positions" in name:
        return 3.0
    if "position" in name:
        return 0.3
    inputs = parameter.shape[0] if ".transformer.h." in name else parameter[0].numel()
    sharp = any(part in name for part in ("c_attn", "q_attn", "query", "key", "q_proj", "k_proj"))
    return (2.0 if sharp else 1.0) * inputs**-0.5


@torch.no_grad()
def randomise(model):
    generator = torch.Generator().manual_seed(20)
    for name, parameter in model.named_parameters():
        noise = torch.empty_like(parameter).normal_(generator=generator)
        if parameter.dim() > 1:
            parameter.copy_(noise * deviation(name, parameter))
        elif "weight" in name:
            parameter.copy_(1 + 0.1 * noise)
        else:
            parameter.copy_(0.05 * noise)


def pixels(image):
    """[IMAGES, 3, H, W] in [-2, 2]: coarse blocks, so that images differ in more than noise."""
    generator = torch.Generator().manual_seed(21)
    block = min(16, image[0] // 2, image[1] // 2)
    rows, columns = -(-image[0] // block), -(-image[1] // block)
    coarse = torch.randn(IMAGES, 3, rows, columns, generator=generator)
    coarse = coarse.repeat_interleave(block, 2).repeat_interleave(block, 3)[:, :, : image[0], : image[1]]
    return (coarse + 0.5 * torch.randn(coarse.shape, generator=generator)).clamp(-2, 2).contiguous()


def main(folder, name, tiny):
    shape = (TINY if tiny else SHAPES)[name]
    encoder = encoder_config(shape.encoder)
    decoder, eos = decoder_config(shape.decoder, shape.encoder)
    config = VisionEncoderDecoderConfig.from_encoder_decoder_configs(encoder, decoder)
    config.decoder_start_token_id, config.pad_token_id, config.eos_token_id = eos, eos, eos
    if not shape.decoder.tied:
        config.tie_word_embeddings = False
    model = VisionEncoderDecoderModel(config).eval()
    randomise(model)
    model.generation_config = GenerationConfig(decoder_start_token_id=eos, pad_token_id=eos, eos_token_id=eos)
    model.save_pretrained(folder)
    pixels(shape.encoder.image).numpy().tofile(f"{folder}/pixels.f32")
    weights = sum(parameter.numel() for parameter in model.parameters())
    with open(f"{folder}/bench.json", "w") as file:
        json.dump(dict(pixelShape=[3, *shape.encoder.image], images=IMAGES, parameters=weights), file)


if __name__ == "__main__":
    if len(sys.argv) < 3 or sys.argv[2] not in SHAPES:
        raise SystemExit(__doc__)
    main(sys.argv[1], sys.argv[2], "--tiny" in sys.argv)
