"""Writes a full-size checkpoint with random weights, and eight random images (two for Donut).

usage: checkpoint.py FOLDER vit-gpt2|trocr-base|donut
Shapes are the published ones, but Donut gets pages of half its sides. Every parameter is random, biases and norms too, so a missing or a swapped tensor
changes the tokens. The generator refuses a model whose output ignores the image or repeats one token.
"""
import json
import os
import sys

os.environ["HF_HUB_OFFLINE"] = "1"
import torch
from transformers import (DonutSwinConfig, GenerationConfig, GPT2Config, MBartConfig, TrOCRConfig, ViTConfig,
                          VisionEncoderDecoderConfig, VisionEncoderDecoderModel)

BASE = dict(hidden_size=768, num_hidden_layers=12, num_attention_heads=12, intermediate_size=3072, patch_size=16)


def configs(name):
    if name == "vit-gpt2":
        return ViTConfig(**BASE, image_size=224), GPT2Config(add_cross_attention=True, is_decoder=True), 50256
    if name == "donut":
        encoder = DonutSwinConfig(image_size=[1280, 960], embed_dim=128, depths=[2, 2, 14, 2], num_heads=[4, 8, 16, 32], window_size=10)
        decoder = MBartConfig(is_decoder=True, add_cross_attention=True, vocab_size=57525, d_model=1024, decoder_layers=4,
                              decoder_attention_heads=16, decoder_ffn_dim=4096, max_position_embeddings=1536,
                              add_final_layer_norm=True, scale_embedding=True)
        return encoder, decoder, 2
    encoder = ViTConfig(**BASE, image_size=384, qkv_bias=False)
    decoder = TrOCRConfig(vocab_size=50265, d_model=1024, decoder_layers=12, decoder_attention_heads=16,
                          decoder_ffn_dim=4096, cross_attention_hidden_size=768, max_position_embeddings=512)
    return encoder, decoder, 2


@torch.no_grad()
def randomise(model):
    generator = torch.Generator().manual_seed(20)
    for name, parameter in model.named_parameters():
        noise = torch.empty_like(parameter).normal_(generator=generator)
        if parameter.dim() > 1:
            parameter.copy_(noise * deviation(name, parameter, model.config.decoder))
        elif "weight" in name:
            parameter.copy_(1 + 0.1 * noise)
        else:
            parameter.copy_(0.05 * noise)


def deviation(name, parameter, decoder):
    """Large position embeddings, sharp attention and, behind norms, calm layers keep the tokens from repeating."""
    if "wte" in name or "embed_tokens" in name:
        return 0.05 * (decoder.d_model**-0.5 if getattr(decoder, "scale_embedding", False) else 1)
    if "wpe" in name or "embed_positions" in name:
        return 3.0
    if "position" in name:
        return 0.3
    inputs = parameter.shape[0] if ".transformer.h." in name else parameter[0].numel()
    sharp = any(part in name for part in ("c_attn", "q_attn", "query", "key", "q_proj", "k_proj"))
    calm = decoder.model_type == "trocr" and name.startswith("decoder")
    return (2.0 if sharp else 0.4 if calm else 1.0) * inputs**-0.5


def main(folder, name):
    encoder, decoder, eos = configs(name)
    config = VisionEncoderDecoderConfig.from_encoder_decoder_configs(encoder, decoder)
    config.decoder_start_token_id, config.pad_token_id, config.eos_token_id = eos, eos, eos
    model = VisionEncoderDecoderModel(config).eval()
    randomise(model)
    model.generation_config = GenerationConfig(decoder_start_token_id=eos, pad_token_id=eos, eos_token_id=eos)
    size = encoder.image_size
    shape = [3, *(size if isinstance(size, (list, tuple)) else (size, size))]
    images = 2 if name == "donut" else 8
    generator = torch.Generator().manual_seed(21)
    blocks = torch.randn(images, 3, shape[1] // 16, shape[2] // 16, generator=generator)
    pixels = blocks.repeat_interleave(16, 2).repeat_interleave(16, 3)
    pixels = (pixels + 0.5 * torch.randn(images, *shape, generator=generator)).clamp(-2, 2)
    rows = model.generate(pixel_values=pixels[:2], max_new_tokens=8, min_new_tokens=8, do_sample=False)[:, 1:].tolist()
    print(rows)
    if rows[0] == rows[1] or any(len(set(row)) < 3 for row in rows):
        raise SystemExit(f"{name}: degenerate tokens {rows}")
    model.save_pretrained(folder)
    pixels.numpy().tofile(f"{folder}/pixels.f32")
    weights = sum(parameter.numel() * 4 for parameter in model.parameters())
    with open(f"{folder}/bench.json", "w") as file:
        json.dump({"pixelShape": shape, "weightBytes": weights}, file)


if __name__ == "__main__":
    main(*sys.argv[1:3])
