"""Measures a reader with transformers on an evaluation set of make_evaluation.py.

    python tools/line-reader/evaluate.py models/line-reader build/line-reader/evaluation

The numbers of the model card come from `npm run bench:line-reader`, which reads the same set through this package.
"""

import argparse
import json
from collections import defaultdict
from pathlib import Path
from random import Random

import numpy as np
import torch
from PIL import Image

from batches import font_families, make_line
from latin_texts import Source
from presets import Preset
from render import pad
from scores import score


def quick_set(preset: Preset, count: int) -> list:
    """For the trainer: lines of held-out words in held-out fonts, all styles and lengths."""
    r, families, source = Random("quick"), font_families("held-out"), Source("held-out", preset.charset)
    return [make_line(r, preset, source, families, r.randint(4, preset.max_chars)) for _ in range(count)]


@torch.no_grad()
def read_pixels(model, preset: Preset, lines: list) -> list[tuple[str, str]]:
    """For the trainer: (expected, read) pairs of a model in memory."""
    pairs = []
    for i in range(0, len(lines), 50):
        some = lines[i : i + 50]
        pixels = torch.from_numpy(np.stack([pad(line.pixels, preset.height, preset.width) for line in some]))
        values = (pixels.permute(0, 3, 1, 2).float() / 127.5 - 1).to(model.device)
        out = model.generate(values, max_length=preset.max_length)
        pairs += [(line.text, preset.text(ids)) for line, ids in zip(some, out.tolist())]
    return pairs


@torch.no_grad()
def read_images(folder: Path, images: list) -> list[str]:
    """The texts that the reader in `folder` sees in PIL images, by the files in that folder alone."""
    from transformers import AutoImageProcessor, AutoTokenizer, VisionEncoderDecoderModel

    processor = AutoImageProcessor.from_pretrained(folder, backend="pil")
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = VisionEncoderDecoderModel.from_pretrained(folder, dtype=torch.float32).eval()
    texts = []
    for i in range(0, len(images), 50):
        values = processor(images[i : i + 50], return_tensors="pt").pixel_values
        texts += tokenizer.batch_decode(model.generate(values), skip_special_tokens=True)
    return texts


def main() -> None:
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("folder", type=Path)
    p.add_argument("set", type=Path)
    p.add_argument("--show", type=int, default=0, help="print this many wrong lines")
    p.add_argument("--threads", type=int, default=1)
    args = p.parse_args()
    torch.set_num_threads(args.threads)
    rows = json.loads((args.set / "lines.json").read_text(encoding="utf-8"))["lines"]
    texts = read_images(args.folder, [Image.open(args.set / row["file"]).convert("RGB") for row in rows])
    by_category = defaultdict(list)
    for row, text in zip(rows, texts):
        by_category[row["category"]].append((row["text"], text))
    print(json.dumps({category: score(pairs) for category, pairs in by_category.items()}, indent=2))
    wrong = [(row["text"], text) for row, text in zip(rows, texts) if row["text"] != text]
    for want, got in wrong[: args.show]:
        print(f"{want!r} read as {got!r}")


if __name__ == "__main__":
    main()
