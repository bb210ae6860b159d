"""Draws examples/images with the held-out fonts, and checks what a reader makes of them.

    python tools/line-reader/draw_examples.py [--check models/line-reader]
"""

import argparse
import json
from pathlib import Path
from random import Random

from PIL import Image, ImageDraw, ImageFont

from draw import Look, draw_text
from fonts import font_files

OUT = Path(__file__).resolve().parents[2] / "examples/images"
# file, text, font, size, ink, paper, margin
EXAMPLES = (
    ("invoice.png", "Invoice 2026-118", "Roboto-Medium.ttf", 44, (24, 28, 40), (255, 255, 255), 14),
    ("receipt.png", "2 x Coffee 7.40 EUR", "Inconsolata.otf", 40, (52, 48, 46), (247, 243, 232), 12),
    ("book.png", "She closed the book and looked outside.", "Caladea-Regular.ttf", 34, (30, 26, 24), (250, 246, 236), 14),
    ("label.jpg", "LOT 7205 B", "Roboto-Bold.ttf", 48, (240, 240, 240), (38, 62, 88), 14),
)

# A crop of a screen: small type with the coloured fringes of subpixel rendering. Margins are multiples of the font size.
SCREENSHOT = ("screenshot.png", "Save changes before closing?", "Roboto-Medium.ttf", 17, (230, 232, 236), (32, 36, 44), 0.4)


def draw_screenshot(text: str, font_name: str, size: int, ink: tuple, paper: tuple, margin: float) -> Image.Image:
    path = next(path for path in font_files("held-out") if Path(path).name == font_name)
    margins = {side: margin for side in ("left", "right", "top", "bottom")}
    return draw_text(Random(0), text, Look(path, size, subpixel=True, ink=ink, paper=paper, **margins)).image


def draw(text: str, font_name: str, size: int, ink: tuple, paper: tuple, margin: int) -> Image.Image:
    paths = {Path(path).name: path for path in font_files("held-out")}
    font = ImageFont.truetype(paths[font_name], size)
    x0, y0, x1, y1 = font.getbbox(text)
    image = Image.new("RGB", (int(x1 - x0) + 2 * margin, int(y1 - y0) + 2 * margin), paper)
    ImageDraw.Draw(image).text((margin - x0, margin - y0), text, fill=ink, font=font)
    return image


def main() -> None:
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--check", type=Path, help="a reader's folder; fails if it misreads an example")
    args = p.parse_args()
    OUT.mkdir(parents=True, exist_ok=True)
    for name, text, *style in EXAMPLES:
        draw(text, *style).save(OUT / name, **({"quality": 85} if name.endswith(".jpg") else {"optimize": True}))
    name, text, *style = SCREENSHOT
    draw_screenshot(text, *style).save(OUT / name, optimize=True)
    expected = {name: text for name, text, *_ in (*EXAMPLES, SCREENSHOT)}
    (OUT / "expected.json").write_text(json.dumps(expected, indent=2) + "\n")
    if args.check is None:
        return
    from evaluate import read_images

    texts = read_images(args.check, [Image.open(OUT / name).convert("RGB") for name in expected])
    wrong = [f"{name}: expected {want!r}, read {got!r}" for (name, want), got in zip(expected.items(), texts) if want != got]
    print("\n".join(wrong) or f"{len(expected)} examples read as expected")
    raise SystemExit(bool(wrong))


if __name__ == "__main__":
    main()
