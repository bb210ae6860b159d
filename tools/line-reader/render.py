"""Makes the picture of a line in a style, and brings it to the model's size by the Donut rule."""

from random import Random

import numpy as np
from PIL import Image, ImageDraw

from draw import Drawn, Look, draw_text
from fonts import coverage
from wear import background, jpeg, noise, wear

LUMA = (0.299, 0.587, 0.114)


def contrast(a: tuple, b: tuple) -> float:
    return abs(sum(w * (x - y) for w, x, y in zip(LUMA, a, b)))


def colours(r: Random, plain: float, least: float = 70) -> tuple[tuple, tuple]:
    """Ink and paper: near black on near white with the chance `plain`, else any two that differ enough; some are reversed."""
    while True:
        ink, paper = (tuple(r.randint(lo, hi) for _ in range(3)) for lo, hi in ((0, 150), (105, 255)))
        if r.random() < plain:
            ink, paper = (r.randint(0, 60),) * 3, tuple(r.randint(225, 255) for _ in range(3))
        if r.random() < 0.25:
            ink, paper = paper, ink
        if contrast(ink, paper) > least:
            return ink, paper


def clean_look(r: Random, font: str) -> Look:
    """A page scanned well: dark on light, 24 to 56 pixels."""
    ink, paper = (r.randint(0, 40),) * 3, tuple(r.randint(238, 255) for _ in range(3))
    margins = {side: r.uniform(0.03, 0.35) for side in ("left", "right", "top", "bottom")}
    return Look(font, r.randint(24, 56), ink=ink, paper=paper, tight=r.random() < 0.3, **margins)


def screenshot_look(r: Random, font: str) -> Look:
    """A crop of a screen: small type, often with coloured fringes, and interface colours."""
    ink, paper = colours(r, 0.5, 90)
    margins = {side: r.uniform(0.05, 0.6) for side in ("left", "right", "top", "bottom")}
    return Look(font, r.randint(11, 22), ink=ink, paper=paper, subpixel=r.random() < 0.5, underline=r.random() < 0.05, **margins)


def any_look(r: Random, font: str) -> Look:
    ink, paper = colours(r, 0.45)
    far = 2.5 if r.random() < 0.1 else 0.45
    return Look(
        font, round(11 * 5.5 ** r.random()), tracking=r.uniform(-0.03, 0.2) if r.random() < 0.15 else 0.0, left=r.uniform(0, far), right=r.uniform(0, far),
        top=r.uniform(0, 0.4), bottom=r.uniform(0, 0.4), tight=r.random() < 0.3, subpixel=r.random() < 0.2, ink=ink, paper=paper,
        underline=r.random() < 0.03, neighbours=r.random() < 0.04,
    )


def draw_line(r: Random, text: str, font: str, style: str = "mixed") -> Drawn:
    """A picture of `text`; every choice comes from `r`. Styles: clean, screenshot, degraded, mixed (what training sees)."""
    if style == "clean":
        return draw_text(r, text, clean_look(r, font))
    if style == "screenshot":
        drawn = draw_text(r, text, screenshot_look(r, font))
        return drawn if r.random() < 0.7 else Drawn(jpeg(r, drawn.image, 60, 95), drawn.edges)
    if style == "degraded":
        return wear(r, draw_text(r, text, clean_look(r, font)), 0.8, 1.5)
    kind = r.random()
    if kind < 0.2:
        return wear(r, draw_text(r, text, clean_look(r, font)), 0.5, 0.3)
    if kind < 0.4:
        return wear(r, draw_text(r, text, screenshot_look(r, font)), 0.4, 0.15)
    return wear(r, draw_text(r, text, any_look(r, font)), r.uniform(0.2, 1), 0.6)


def draw_nothing(r: Random) -> Image.Image:
    """A crop without text: plain paper, shades, grain, rules, boxes, dots and strokes."""
    w, h = r.randint(16, 900), r.randint(12, 90)
    ink, paper = colours(r, 0.5, 20)
    image = Image.new("RGB", (w, h), paper)
    pen, kind = ImageDraw.Draw(image), r.randrange(6)
    if kind == 1:
        y = r.randint(0, h)
        pen.line((0, y, w, y + r.randint(-3, 3)), fill=ink, width=r.randint(1, 5))
    elif kind == 2:
        pen.rectangle((r.randint(0, w // 4), r.randint(0, h // 3), w - r.randint(1, w // 4), h - r.randint(1, h // 3)), outline=ink, width=r.randint(1, 4))
    elif kind == 3:
        for _ in range(r.randint(1, 12)):
            x, y, s = r.randint(0, w), r.randint(0, h), r.randint(3, max(4, h))
            r.choice((pen.ellipse, pen.rectangle))((x, y, x + s, y + s), fill=tuple(r.randint(0, 255) for _ in range(3)))
    elif kind == 4:
        points = [(r.randint(0, w), r.randint(0, h)) for _ in range(r.randint(3, 40))]
        pen.line(points, fill=ink, width=r.randint(1, 4))
    pixels = np.asarray(image, np.float32)
    if r.random() < 0.5:
        pixels = background(r, pixels)
    if r.random() < 0.5:
        pixels = noise(r, pixels, r.uniform(0.5, 3))
    return Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))


def pick_font(r: Random, families: list[list[str]], text: str, charset: str) -> str:
    """A font that has every character of `text`: a family first, so that large families do not dominate."""
    while True:
        font = r.choice(r.choice(families))
        if coverage(font, charset).issuperset(text):
            return font


def to_model_size(image: Image.Image, height: int, width: int) -> np.ndarray:
    """DonutImageProcessor of transformers 5 up to padding and rescaling: shortest edge, then thumbnail. uint8, HWC."""
    short = min(height, width)
    w, h = image.size
    w, h = (short, int(short * h / w)) if w <= h else (int(short * w / h), short)
    image = image.resize((w, h), Image.Resampling.BILINEAR)
    new_h, new_w = min(h, height), min(w, width)
    if (new_h, new_w) != (h, w):
        if h > w:
            new_w = int(w * new_h / h)
        elif w > h:
            new_h = int(h * new_w / w)
        image = image.resize((max(new_w, 1), max(new_h, 1)), Image.Resampling.BILINEAR)
    return np.asarray(image)


def pad(pixels: np.ndarray, height: int, width: int) -> np.ndarray:
    """Centred on black, as the processor does."""
    out = np.zeros((height, width, 3), np.uint8)
    top, left = (height - pixels.shape[0]) // 2, (width - pixels.shape[1]) // 2
    out[top : top + pixels.shape[0], left : left + pixels.shape[1]] = pixels
    return out
