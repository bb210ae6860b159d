"""Measures a reader's character and word error rate on lines drawn with the held-out fonts.

    python tools/line-reader/evaluate.py models/line-reader --count 2000

Reads the folder as a user would: the processor, the tokenizer and the weights come from its files.
"""

import argparse
import json
from collections import defaultdict
from pathlib import Path
from random import Random

import torch

from fonts import font_files
from presets import PRESETS
from render import draw_line, to_model_size
from texts import line


def distance(a, b) -> int:
    """Levenshtein distance of two sequences."""
    row = list(range(len(b) + 1))
    for i, x in enumerate(a, 1):
        previous, row[0] = row[0], i
        for j, y in enumerate(b, 1):
            previous, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, previous + (x != y))
    return row[-1]


def score(pairs: list[tuple[str, str]]) -> dict:
    """Rates over (expected, read) pairs, in percent."""
    chars = sum(len(want) for want, _ in pairs)
    words = sum(len(want.split()) for want, _ in pairs)
    return {
        "lines": len(pairs),
        "cer": round(100 * sum(distance(w, g) for w, g in pairs) / chars, 3),
        "wer": round(100 * sum(distance(w.split(), g.split()) for w, g in pairs) / words, 3),
        "exactLines": round(100 * sum(w == g for w, g in pairs) / len(pairs), 2),
    }


def samples(preset, count: int, seed: int, which: str = "held-out"):
    """The evaluation set: (text, font, image), the same for every reader of a preset."""
    r, fonts = Random(f"evaluate/{seed}"), font_files(which)
    for i in range(count):
        text, font = line(r, preset.charset, preset.max_chars), fonts[i % len(fonts)]
        yield text, Path(font).name, draw_line(r, text, font)


@torch.no_grad()
def read_folder_free(model, preset, count: int, seed: int) -> list[tuple[str, str]]:
    """For the trainer: reads with a model in memory."""
    rows = list(samples(preset, count, seed))
    pixels = torch.stack([torch.from_numpy(to_model_size(image, preset.height, preset.width)) for _, _, image in rows])
    values = (pixels.permute(0, 3, 1, 2).float() / 127.5 - 1).to(model.device)
    out = model.generate(values, max_length=preset.max_chars + 8)
    return [(text, preset.text(ids)) for (text, _, _), ids in zip(rows, out.tolist())]


@torch.no_grad()
def read_images(folder: Path, images: list) -> list[str]:
    """The texts that the reader in `folder` sees in PIL images."""
    from transformers import AutoImageProcessor, AutoTokenizer, VisionEncoderDecoderModel

    processor = AutoImageProcessor.from_pretrained(folder, backend="pil")
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = VisionEncoderDecoderModel.from_pretrained(folder, dtype=torch.float32).eval()
    texts = []
    for i in range(0, len(images), 100):
        values = processor(images[i : i + 100], return_tensors="pt").pixel_values
        texts += tokenizer.batch_decode(model.generate(values), skip_special_tokens=True)
    return texts


def main() -> None:
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("folder", type=Path)
    p.add_argument("--preset", default="digits-capitals", choices=PRESETS)
    p.add_argument("--count", type=int, default=2000)
    p.add_argument("--seed", type=int, default=2026)
    p.add_argument("--fonts", default="held-out", choices=("held-out", "old-style", "train"))
    p.add_argument("--show", type=int, default=0, help="print this many wrong lines")
    args = p.parse_args()
    torch.set_num_threads(1)
    rows = list(samples(PRESETS[args.preset], args.count, args.seed, args.fonts))
    pairs = list(zip([text for text, _, _ in rows], read_images(args.folder, [image for _, _, image in rows])))
    by_font = defaultdict(list)
    for pair, (_, font, _) in zip(pairs, rows):
        by_font[font].append(pair)
    fonts = {font: score(some)["cer"] for font, some in sorted(by_font.items())}
    print(json.dumps({"fonts": args.fonts, "seed": args.seed, **score(pairs), "cerByFont": fonts}, indent=2))
    for want, got in [p for p in pairs if p[0] != p[1]][: args.show]:
        print(f"{want!r} read as {got!r}")


if __name__ == "__main__":
    main()
