"""Draws one line of text as a photo-like image and brings it to the model's size by the Donut rule."""

import io
from functools import lru_cache
from random import Random

import numpy as np
from PIL import Image, ImageDraw, ImageFilter, ImageFont


@lru_cache(maxsize=4096)
def load_font(path: str, size: int) -> ImageFont.FreeTypeFont:
    return ImageFont.truetype(path, size)


def colours(r: Random) -> tuple[tuple, tuple]:
    """Ink and paper with enough contrast: mostly dark on light, sometimes the reverse."""
    while True:
        ink, paper = (tuple(r.randint(lo, hi) for _ in range(3)) for lo, hi in ((0, 120), (120, 255)))
        if r.random() < 0.45:
            ink, paper = (r.randint(0, 50),) * 3, (r.randint(225, 255),) * 3
        if r.random() < 0.2:
            ink, paper = paper, ink
        weights = (0.299, 0.587, 0.114)
        if abs(sum(w * (a - b) for w, a, b in zip(weights, ink, paper))) > 75:
            return ink, paper


def draw_text(r: Random, text: str, font: ImageFont.FreeTypeFont, ink: tuple, paper: tuple) -> Image.Image:
    """The text on plain paper, with random margins and letter spacing."""
    size = font.size
    tracking = r.uniform(-0.02, 0.18) * size if r.random() < 0.3 else 0.0
    left, right = ((r.uniform(0.05, 0.5) if r.random() < 0.85 else r.uniform(0.5, 3)) * size for _ in range(2))
    top, bottom = (r.uniform(0.03, 0.35) * size for _ in range(2))
    x0, y0, x1, y1 = font.getbbox(text)
    width = x1 - x0 + tracking * len(text) + left + right
    full = font.getbbox("A0,/")
    y0, y1 = (min(y0, full[1]), max(y1, full[3])) if r.random() < 0.7 else (min(y0, y1 - size // 2), y1)
    image = Image.new("RGB", (max(4, int(width)), max(4, int(y1 - y0 + top + bottom))), paper)
    pen = ImageDraw.Draw(image)
    if tracking == 0:
        pen.text((left - x0, top - y0), text, fill=ink, font=font)
        return image
    x = left - x0
    for c in text:
        pen.text((x, top - y0), c, fill=ink, font=font)
        x += font.getlength(c) + tracking
    return image


def shade(r: Random, pixels: np.ndarray) -> np.ndarray:
    """Uneven light and sensor noise."""
    if r.random() < 0.25:
        ramp = np.linspace(r.uniform(0.75, 1.0), r.uniform(0.75, 1.0), pixels.shape[1], dtype=np.float32)
        pixels = pixels * ramp[None, :, None]
    if r.random() < 0.35:
        rng = np.random.default_rng(r.getrandbits(32))
        pixels = pixels + rng.standard_normal(pixels.shape[:2], dtype=np.float32)[..., None] * r.uniform(1, 14)
    return pixels


def wear(r: Random, image: Image.Image, paper: tuple) -> Image.Image:
    """A small rotation, blur, low resolution, shading and JPEG traces."""
    if r.random() < 0.3:
        image = image.rotate(r.uniform(-1.6, 1.6), Image.Resampling.BILINEAR, expand=True, fillcolor=paper)
    if r.random() < 0.3:
        image = image.filter(ImageFilter.GaussianBlur(r.uniform(0.2, 0.045 * image.height)))
    if r.random() < 0.5:
        image = Image.fromarray(np.clip(shade(r, np.asarray(image, np.float32)), 0, 255).astype(np.uint8))
    if r.random() < 0.2:
        file = io.BytesIO()
        image.save(file, "JPEG", quality=r.randint(35, 90))
        image = Image.open(file).convert("RGB")
    return image


def draw_line(r: Random, text: str, font_path: str) -> Image.Image:
    """A worn image of `text`; every choice comes from `r`."""
    size = r.choice((14, 16, 18, 20, 22, 24, 28, 32, 40, 48))
    ink, paper = colours(r)
    return wear(r, draw_text(r, text, load_font(font_path, size), ink, paper), paper)


def to_model_size(image: Image.Image, height: int, width: int) -> np.ndarray:
    """DonutImageProcessor of transformers 5 up to rescaling: shortest edge, thumbnail, centred zero padding. uint8, HWC."""
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
    out = np.zeros((height, width, 3), np.uint8)
    top, left = (height - image.height) // 2, (width - image.width) // 2
    out[top : top + image.height, left : left + image.width] = np.asarray(image)
    return out
