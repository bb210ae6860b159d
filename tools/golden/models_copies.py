"""The same checkpoints in other clothes: half precision, shards, pytorch_model.bin, a config as version 4 wrote it."""

import json
import shutil

import torch
from models_build import pixels, set_tokens
from all_cases import CASES
from models_expect import expect
from safetensors.torch import load_file, save_file
from transformers import VisionEncoderDecoderConfig, VisionEncoderDecoderModel

#: name: (case it copies, case that holds the expected values)
COPIES = {
    "deit-trocr-f16": ("deit-trocr", "deit-trocr-f16"),
    "deit-trocr-bf16": ("deit-trocr", "deit-trocr-bf16"),
    "vit-gpt2-sharded": ("vit-gpt2", "vit-gpt2"),
    "vit-gpt2-bin": ("vit-gpt2", "vit-gpt2"),
    "vit-gpt2-v4": ("vit-gpt2", "vit-gpt2"),
}


def half(source, folder, dtype):
    tensors = load_file(source / "model.safetensors")
    tensors = {name: value.to(dtype) for name, value in tensors.items()}
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    config = json.loads((source / "config.json").read_text())
    config["dtype"] = config["encoder"]["dtype"] = config["decoder"]["dtype"] = str(dtype).removeprefix("torch.")
    (folder / "config.json").write_text(json.dumps(config, indent=2, sort_keys=True) + "\n")
    case = CASES["deit-trocr"]
    model = VisionEncoderDecoderModel.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager").eval()
    eos = json.loads((source / "generation_config.json").read_text())["eos_token_id"]
    set_tokens(model, case, eos)
    seed = json.loads((source / "expected.json").read_text())["seed"]
    expect(model, case | {"generate": ["greedy"]}, seed, eos, folder)


def sharded(source, folder):
    tensors = load_file(source / "model.safetensors")
    names = sorted(tensors)
    index = {"metadata": {"total_size": sum(t.numel() * 4 for t in tensors.values())}, "weight_map": {}}
    for part in range(3):
        file = f"model-{part + 1:05d}-of-00003.safetensors"
        chosen = names[part::3]
        save_file({name: tensors[name] for name in chosen}, folder / file, metadata={"format": "pt"})
        index["weight_map"] |= {name: file for name in chosen}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index, indent=1, sort_keys=True) + "\n")


def torch_bin(source, folder):
    """As version 4 wrote it: the tied head under both names, and buffers that are no parameters."""
    tensors = load_file(source / "model.safetensors")
    tensors["decoder.lm_head.weight"] = tensors["decoder.transformer.wte.weight"]
    for layer in range(2):
        for attention in ("attn", "crossattention"):
            name = f"decoder.transformer.h.{layer}.{attention}"
            tensors[f"{name}.bias"] = torch.ones(1, 1, 5, 5, dtype=torch.uint8)
            tensors[f"{name}.masked_bias"] = torch.tensor(-1e4)
    torch.save(tensors, folder / "pytorch_model.bin")


def diff_config(source, folder):
    """Sub-configs hold only what differs from the defaults of their class, beside version 4's own keys."""
    shutil.copy(source / "model.safetensors", folder)
    config = VisionEncoderDecoderConfig.from_pretrained(source)
    full = json.loads((source / "config.json").read_text())
    for key in ("encoder", "decoder"):
        default = type(getattr(config, key))().to_dict()
        part = {name: value for name, value in full[key].items() if default.get(name, "absent") != value}
        legacy = {"model_type": full[key]["model_type"], "torch_dtype": "float32", "num_beams": 1, "max_length": 20}
        full[key] = part | legacy | {"finetuning_task": None, "cross_attention_hidden_size": None}
    full.pop("dtype", None)
    full |= {"torch_dtype": "float32", "transformers_version": "4.57.6"}
    (folder / "config.json").write_text(json.dumps(full, indent=2, sort_keys=True) + "\n")


MAKE = {
    "deit-trocr-f16": lambda source, folder: half(source, folder, torch.float16),
    "deit-trocr-bf16": lambda source, folder: half(source, folder, torch.bfloat16),
    "vit-gpt2-sharded": sharded,
    "vit-gpt2-bin": torch_bin,
    "vit-gpt2-v4": diff_config,
}


def verify(source, folder):
    """transformers reads the copy as the original."""
    if any((folder / name).exists() for name in ("expected.json", "pytorch_model.bin")):
        return
    values = pixels(CASES[source.name], 5)[:2]
    ids = torch.tensor(CASES[source.name]["ids"])
    logits = []
    for place in (source, folder):
        model = VisionEncoderDecoderModel.from_pretrained(place, attn_implementation="eager").eval()
        with torch.no_grad():
            logits.append(model(pixel_values=values, decoder_input_ids=ids).logits)
    if not torch.equal(*logits):
        raise SystemExit(f"{folder.name}: transformers reads it differently")


def write_copies(root, names):
    for name, (base, _) in COPIES.items():
        if names and name not in names:
            continue
        source, folder = root / base, root / name
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        for file in ("config.json", "generation_config.json"):
            shutil.copy(source / file, folder)
        MAKE[name](source, folder)
        verify(source, folder)
        print(name, flush=True)
    manifest = [entry(name, name, CASES[name]) for name in CASES]
    manifest += [entry(name, expected, CASES[base]) for name, (base, expected) in COPIES.items()]
    (root / "cases.json").write_text(json.dumps(manifest, indent=1) + "\n")


def entry(name, expected, case):
    architectures = {key: case[key]["model_type"] for key in ("encoder", "decoder")}
    return {"name": name, "expected": expected} | architectures
