"""Rewrites model.safetensors in FOLDER as pytorch_model.bin, as transformers 4 wrote it.

Run: python to-bin.py FOLDER '{"added": {NAME: [TYPE, SIDE, …]}, "copies": {NAME: NAME}}'
`added`: tensors that such files hold beside the model's (buffers, poolers); `copies`: tied tensors, which they hold under both names.
"""
import json
import sys
from pathlib import Path

import torch
from safetensors.torch import load_file

folder, extra = Path(sys.argv[1]), json.loads(sys.argv[2])
tensors = load_file(folder / "model.safetensors")
for name, (kind, *shape) in extra.get("added", {}).items():
    tensors[name] = torch.ones(shape, dtype=getattr(torch, kind))
for name, source in extra.get("copies", {}).items():
    tensors[name] = tensors[source]
torch.save(tensors, folder / "pytorch_model.bin")
(folder / "model.safetensors").unlink()
