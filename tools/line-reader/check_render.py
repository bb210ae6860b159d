"""Checks that to_model_size() gives the pixels of transformers' own DonutImageProcessor, bit for bit."""

from random import Random

import numpy as np

from fonts import font_files
from hf_folder import image_processor
from presets import PRESETS
from render import draw_line, to_model_size
from texts import line


def main() -> None:
    preset, r, fonts = PRESETS["digits-capitals"], Random(7), font_files("train")
    processor = image_processor(preset)
    for _ in range(200):
        image = draw_line(r, line(r, preset.charset, preset.max_chars), r.choice(fonts))
        theirs = processor(image, return_tensors="np").pixel_values[0]
        ours = to_model_size(image, preset.height, preset.width).astype(np.float32).transpose(2, 0, 1) / 255 * 2 - 1
        difference = np.abs(theirs - ours).max()
        if not difference < 1e-5:
            raise SystemExit(f"{image.size}: differs by {difference}")
    print("200 images: equal to DonutImageProcessor")


if __name__ == "__main__":
    main()
