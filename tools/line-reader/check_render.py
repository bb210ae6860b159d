"""Checks that the trainer sees the pixels of transformers' own DonutImageProcessor, and that a cut canvas encodes as the whole one."""

from random import Random

import numpy as np
import torch

from batches import font_families, make_line
from hf_folder import build_model, image_processor
from latin_texts import Source
from presets import PRESETS
from render import draw_line, pad, pick_font, to_model_size
from store import Store, pack


def check_pixels(preset, families, source) -> None:
    r, processor = Random(7), image_processor(preset)
    for _ in range(200):
        text = source.line(r, preset.max_chars)
        image = draw_line(r, text, pick_font(r, families, text, preset.charset)).image
        theirs = processor(image, return_tensors="np").pixel_values[0]
        ours = pad(to_model_size(image, preset.height, preset.width), preset.height, preset.width)
        difference = np.abs(theirs - (ours.astype(np.float32).transpose(2, 0, 1) / 255 * 2 - 1)).max()
        if not difference < 1e-5:
            raise SystemExit(f"{image.size}: differs by {difference}")
    print("200 pictures: equal to DonutImageProcessor")


def check_store(preset, families, source) -> None:
    r, store = Random(8), Store(preset, 80, torch.device("cpu"))
    lines = [make_line(r, preset, source, families, r.randint(1, preset.max_chars)) for _ in range(50)]
    store.add(pack(preset, lines[::-1]))  # so that the slots have held other lines
    batch = store.batch(store.add(pack(preset, lines)), preset.columns)
    pixels = np.stack([pad(line.pixels, preset.height, preset.width) for line in lines])
    if not (batch.values.view(50, preset.width, preset.height, 3).transpose(1, 2).numpy() == pixels).all():
        raise SystemExit("the store's pixels are not the processor's")
    for line, labels, wanted in zip(lines, batch.labels.tolist(), batch.wanted):
        if preset.text(i for i in labels if i != -100) != line.text or not wanted[: len(line.text)].any(-1).all():
            raise SystemExit(f"{line.text!r}: labels or columns are wrong")
    print("50 lines: pixels, labels and columns of the store are those of the lines")


def main() -> None:
    preset = PRESETS["latin"]
    families, source = font_families("train"), Source("train", preset.charset)
    check_pixels(preset, families, source)
    check_store(preset, families, source)
    size = sum(p.numel() for p in build_model(preset).parameters())
    print(f"{size / 1e6:.2f} million parameters")


if __name__ == "__main__":
    main()
