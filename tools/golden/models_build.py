"""Tiny random models: every parameter randomised, and refused where the output could hide a mistake."""

import copy

import distilbert_decoder  # noqa: F401  makes transformers know the class
import torch
from transformers import AutoConfig, VisionEncoderDecoderConfig, VisionEncoderDecoderModel
from transformers.pytorch_utils import Conv1D

STEPS = 12
#: Standard deviations: of embeddings and positions themselves, of the maps times the square root of their input width.
GAINS = dict(tokens=0.8, positions=0.8, maps=1.3, cross=1.9, bias=0.3)


class Refused(Exception):
    pass


def build(case, seed):
    encoder, decoder = (AutoConfig.for_model(**case[key]) for key in ("encoder", "decoder"))
    config = VisionEncoderDecoderConfig.from_encoder_decoder_configs(encoder, decoder, **case["top"])
    config._attn_implementation = "eager"
    model = VisionEncoderDecoderModel(config).eval()
    model.set_attn_implementation("eager")
    randomise(model, seed, GAINS | case.get("gains", {}))
    if case.get("half"):
        round_to_half(model)
    return model


def round_to_half(model):
    """Values that float16 holds exactly, so that files of half the size give the same model."""
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(parameter.half())


def randomise(model, seed, gains):
    generator = torch.Generator().manual_seed(seed)
    modules = dict(model.named_modules())
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            parent = modules[name.rpartition(".")[0]]
            noise = torch.randn(parameter.shape, generator=generator)
            parameter.copy_(draw(name, parent, parameter, noise, gains))


def draw(name, parent, parameter, noise, gains):
    if isinstance(parent, torch.nn.LayerNorm) or type(parent).__name__.endswith("RMSNorm"):
        return 1 + 0.3 * noise.clamp(-2, 2) if name.endswith("weight") else gains["bias"] * noise
    if name.endswith("logit_scale"):  # one head beyond the limit of ln 100
        return torch.cat([torch.full_like(noise[:1], 4.8), 1 + noise[1:]])
    if name.endswith(("lambda1", "lambda_1", "lambda_2")):
        return 0.8 + 0.4 * noise.clamp(-1.5, 1.5)
    if name.endswith("bias"):
        return gains["bias"] * noise
    if ("position" in name and "bias_mlp" not in name) or "wpe" in name:
        return gains["positions"] * noise
    if isinstance(parent, torch.nn.Embedding) or "token" in name:
        return gains["tokens"] * noise
    fan_in = parameter.shape[0] if isinstance(parent, Conv1D) else parameter[0].numel()
    if "head" in gains and (name.endswith("predictions.decoder.weight") or "lm_head" in name):
        return noise * gains["head"] / fan_in**0.5
    cross = any(part in name for part in ("crossattention", "encoder_attn", "cross_attn"))
    return noise * gains["cross" if cross else "maps"] / fan_in**0.5


def pixels(case, seed, rows=3, size=None):
    encoder = case["encoder"]
    size = size or encoder["image_size"]
    height, width = size if isinstance(size, (list, tuple)) else (size, size)
    generator = torch.Generator().manual_seed(seed + 1000)
    return torch.randn((rows, encoder["num_channels"], height, width), generator=generator)


def set_tokens(model, case, eos):
    for config in (model.config, model.config.decoder, model.generation_config):
        config.eos_token_id = eos
        config.pad_token_id = case["pad"]
        config.bos_token_id = case["start"]
        config.decoder_start_token_id = case["start"]
    if case.get("uncached"):
        model.generation_config.use_cache = False


def greedy(model, values, **options):
    with torch.no_grad():
        return model.generate(values, do_sample=False, num_beams=1, max_new_tokens=STEPS, **options)


def choose_eos(model, case, values):
    """Picks the token that makes rows of a free-running greedy search stop at different steps."""
    set_tokens(model, case, None)
    rows = [row[1:] for row in greedy(model, values).tolist()]
    if any(len(set(row)) < 5 for row in rows):
        raise Refused("a row repeats itself")
    if len({tuple(row[:4]) for row in rows}) < len(rows):
        raise Refused("output ignores the image")
    best = None
    for token in set(sum(rows, [])) - {case["pad"], case["start"]}:
        stops = [row.index(token) if token in row else None for row in rows]
        found = [stop for stop in stops if stop is not None]
        if len(found) >= 2 and len(set(stops)) == len(rows) and min(found) >= 2:
            best = max(best or (0, 0), (len(found), token))
    if best is None:
        raise Refused("no token stops rows on different steps")
    set_tokens(model, case, best[1])
    return best[1]


def check_sensitivity(model, inputs, unused=()):
    """
    Refuses when a perturbed tensor leaves logits equal. Key biases cancel in softmax; the pooler is not used, nor the first of
    the two biases that an untied head has.
    """
    unused = ("pooler", *unused)
    names = dict(model.named_parameters())
    with torch.no_grad():
        before = model(**inputs).logits
        generator = torch.Generator().manual_seed(7)
        for name, parameter in names.items():
            if any(part in name for part in unused) or name.endswith(("k_proj.bias", "k_lin.bias", "key.bias")):
                continue
            if name.removesuffix("bias") + "decoder.bias" in names:
                continue
            saved = parameter.clone()
            parameter.add_(0.3 * torch.randn(parameter.shape, generator=generator))
            moved = (model(**inputs).logits - before).abs().max().item()
            parameter.copy_(saved)
            if not moved > 1e-3 * before.abs().max().item():
                raise Refused(f"perturbing {name} changes nothing ({moved})")


def double(model):
    """The same model in float64: ids that differ from float32 would be ties."""
    twin = copy.deepcopy(model).double()
    decoder = twin.decoder
    positions = getattr(getattr(getattr(decoder, "model", None), "decoder", None), "embed_positions", None)
    if positions is not None and hasattr(positions, "weights"):
        positions.weights = positions.weights.double()
    return twin
