"""Loads folders with transformers and runs them: `python check_saved.py FOLDER…`, each with a request.json. Prints one JSON
object per folder: what its logits, loss and greedy ids are, and which keys transformers found missing or unexpected."""

import json
import sys
import warnings
from pathlib import Path

warnings.filterwarnings("ignore")

import torch  # noqa: E402
from transformers import VisionEncoderDecoderModel  # noqa: E402
from transformers.utils import logging  # noqa: E402

logging.set_verbosity_error()


def tensor(entry):
    return torch.tensor(entry["data"], dtype=torch.float32).reshape(entry["dims"])


def run(folder):
    request = json.loads((folder / "request.json").read_text())
    model, report = VisionEncoderDecoderModel.from_pretrained(
        folder, attn_implementation="eager", dtype=torch.float32, output_loading_info=True
    )
    model.eval()
    pixels, ids = tensor(request["pixelValues"]), torch.tensor(request["decoderInputIds"])
    with torch.no_grad():
        out = model(pixel_values=pixels, decoder_input_ids=ids, labels=ids)
        generated = model.generate(pixels, do_sample=False, num_beams=1, max_new_tokens=6)
    return {
        "folder": folder.name,
        "logits": out.logits.flatten().tolist(),
        "loss": out.loss.item(),
        "sequences": generated.tolist(),
        "missing": sorted(report["missing_keys"]),
        "unexpected": sorted(report["unexpected_keys"]),
        "mismatched": sorted(str(key) for key in report["mismatched_keys"]),
        "config": model.config.to_dict()["model_type"],
    }


if __name__ == "__main__":
    torch.set_num_threads(1)
    for name in sys.argv[1:]:
        try:
            print(json.dumps(run(Path(name))), flush=True)
        except Exception as error:  # one folder that fails is reported with its name
            print(json.dumps({"folder": Path(name).name, "error": repr(error)[:2000]}), flush=True)
