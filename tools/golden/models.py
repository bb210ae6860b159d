"""Writes test/golden/models: tiny vision encoder-decoder checkpoints and what transformers computes with them.

Usage: python tools/golden/models.py [CASE…]
"""

import json
import shutil
import sys
from pathlib import Path

import torch
from models_build import Refused, build, choose_eos, pixels
from all_cases import CASES
from models_copies import write_copies
from models_expect import expect
from safetensors.torch import load_file, save_file
from transformers import VisionEncoderDecoderModel

ROOT = Path(__file__).resolve().parents[2] / "test" / "golden" / "models"


def save(model, case, folder):
    model.save_pretrained(folder)
    config = json.loads((folder / "config.json").read_text())
    for part in (config, config["encoder"], config["decoder"]):
        part.pop("_attn_implementation", None)
        part.pop("_name_or_path", None)
    (folder / "config.json").write_text(json.dumps(config, indent=2, sort_keys=True) + "\n")
    tensors = load_file(folder / "model.safetensors")
    if not case.get("pooler"):
        tensors = {name: value for name, value in tensors.items() if ".pooler." not in name}
    if case.get("half"):
        tensors = {name: value.half() for name, value in tensors.items()}
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})


def verify_reload(model, case, seed, folder):
    """What was computed in memory is what the files hold. transformers 5.18 cannot run reloaded sinusoidal positions."""
    if not case["decoder"].get("use_learned_position_embeddings", True):
        return
    again = VisionEncoderDecoderModel.from_pretrained(folder, attn_implementation="eager").eval()
    inputs = {"pixel_values": pixels(case, seed)[:2], "decoder_input_ids": torch.tensor(case["ids"])}
    with torch.no_grad():
        if not torch.equal(model(**inputs).logits, again(**inputs).logits):
            raise SystemExit(f"{folder.name}: the reloaded model differs")


def write_case(name, case):
    folder = ROOT / f".{name}"
    reasons = {}
    for seed in range(case.get("seed", 1), 4000):
        shutil.rmtree(folder, ignore_errors=True)
        try:
            model = build(case, seed)
            eos = choose_eos(model, case, pixels(case, seed))
            expect(model, case, seed, eos, folder)
        except Refused as refusal:
            reasons[str(refusal)] = reasons.get(str(refusal), 0) + 1
            continue
        save(model, case, folder)
        verify_reload(model, case, seed, folder)
        for file in folder.iterdir():
            file.chmod(0o644)
        shutil.rmtree(ROOT / name, ignore_errors=True)
        folder.rename(ROOT / name)
        print(f"{name}: seed {seed}, eos {eos}, refused before: {reasons}", flush=True)
        return
    shutil.rmtree(folder, ignore_errors=True)
    raise SystemExit(f"{name}: every seed refused: {reasons}")


def main(names):
    torch.set_num_threads(1)
    for name, case in CASES.items():
        if not names or name in names:
            write_case(name, case)
    write_copies(ROOT, names)


if __name__ == "__main__":
    main(sys.argv[1:])
