"""`python init_stats.py CONFIG.json…`: new models by transformers, and per tensor that is not empty what its values
look like. One line per config."""

import json
import sys
import tempfile
import warnings
from pathlib import Path

warnings.filterwarnings("ignore")

import torch  # noqa: E402
from safetensors.torch import load_file  # noqa: E402
from transformers import VisionEncoderDecoderConfig, VisionEncoderDecoderModel  # noqa: E402
from transformers.utils import logging  # noqa: E402

logging.set_verbosity_error()


def describe(tensor):
    values = tensor.double().flatten()
    zero_rows = [] if tensor.dim() < 2 else (tensor.flatten(1).abs().sum(1) == 0).nonzero().flatten().tolist()
    return {
        "shape": list(tensor.shape),
        "rms": values.square().mean().sqrt().item(),
        "min": values.min().item(),
        "max": values.max().item(),
        "zeroRows": zero_rows[:2],
    }


def run(path):
    torch.manual_seed(0)
    model = VisionEncoderDecoderModel(VisionEncoderDecoderConfig(**json.loads(Path(path).read_text())))
    with tempfile.TemporaryDirectory() as folder:
        model.save_pretrained(folder)  # in memory version 5 uses other names than on disk
        tensors = load_file(Path(folder) / "model.safetensors")
    return {"path": path, "tensors": {name: describe(value) for name, value in tensors.items() if value.numel()}}


if __name__ == "__main__":
    torch.set_num_threads(1)
    for name in sys.argv[1:]:
        print(json.dumps(run(name)), flush=True)
