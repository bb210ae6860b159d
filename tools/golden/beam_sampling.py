"""
How often transformers' beam sampling gives each text: writes test/golden/decode/beam-sampling.json.

Usage: python tools/golden/beam_sampling.py
"""

import collections
import json
from pathlib import Path

import torch
import transformers
from safetensors.torch import load_file
from transformers import VisionEncoderDecoderModel

GOLDEN = Path(__file__).resolve().parents[2] / "test" / "golden"
CASE = "vit-gpt2"
OPTIONS = {"num_beams": 2, "do_sample": True, "top_k": 5, "temperature": 1.5, "max_new_tokens": 2}
ROUNDS, ROWS, SEED = 100, 200, 20260


def main():
    torch.set_num_threads(1)
    torch.manual_seed(SEED)
    model = VisionEncoderDecoderModel.from_pretrained(GOLDEN / "models" / CASE, attn_implementation="eager").eval()
    pixels = load_file(GOLDEN / "models" / CASE / "expected.safetensors")["pixel_values"][:1]
    counts = collections.Counter()
    for _ in range(ROUNDS):
        with torch.no_grad():
            rows = model.generate(pixels.expand(ROWS, -1, -1, -1), **OPTIONS)
        counts.update(" ".join(map(str, row)) for row in rows.tolist())
    report = {
        "case": CASE,
        "transformers": transformers.__version__,
        "torch": torch.__version__,
        "seed": SEED,
        "options": {"numBeams": 2, "doSample": True, "topK": 5, "temperature": 1.5, "maxNewTokens": 2},
        "samples": ROUNDS * ROWS,
        "counts": dict(counts.most_common()),
    }
    (GOLDEN / "decode" / "beam-sampling.json").write_text(json.dumps(report, indent=1) + "\n")


main()
