"""Draws a line of text as ink coverage, and knows where on it each character lies."""

from dataclasses import dataclass
from random import Random

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from fonts import load_font, widths


@dataclass
class Look:
    """How a line is set and drawn. Lengths are multiples of the font size."""

    font: str
    size: int
    tracking: float = 0.0
    left: float = 0.2
    right: float = 0.2
    top: float = 0.15
    bottom: float = 0.15
    tight: bool = False
    subpixel: bool = False
    ink: tuple[int, int, int] = (0, 0, 0)
    paper: tuple[int, int, int] = (255, 255, 255)
    underline: bool = False
    neighbours: bool = False


@dataclass
class Drawn:
    image: Image.Image
    edges: np.ndarray
    """x of the left edge of each character, then of the end of the last, in pixels of the image."""


def subpixel_coverage(mask: Image.Image) -> np.ndarray:
    """Coverage of the red, green and blue stripes of each pixel, from a mask drawn three times as large."""
    tall = np.asarray(mask, np.float32)
    h, w = tall.shape[0] // 3 * 3, tall.shape[1] // 3 * 3
    rows = tall[:h, :w].reshape(h // 3, 3, w).mean(1)
    padded = np.pad(rows, ((0, 0), (2, 2)))
    smooth = sum(k * padded[:, i : i + w] for i, k in enumerate((1 / 9, 2 / 9, 3 / 9, 2 / 9, 1 / 9)))
    return smooth.reshape(h // 3, w // 3, 3) / 255


def pen(canvas: Image.Image, look: Look, text: str, x: float, y: float, size: int) -> list[float]:
    """Writes `text` and returns its edges."""
    draw, font = ImageDraw.Draw(canvas), load_font(look.font, size)
    steps, track = widths(look.font, size, text), look.tracking * size
    if track == 0:
        draw.text((x, y), text, fill=255, font=font)
        total = font.getlength(text)
        scale = total / max(sum(steps), 1e-6)  # kerning, spread over the line
        steps = [s * scale for s in steps]
    edges = [x]
    for c, step in zip(text, steps):
        if track != 0:
            draw.text((edges[-1], y), c, fill=255, font=font)
        edges.append(edges[-1] + step + track)
    return edges


def draw_text(r: Random, text: str, look: Look) -> Drawn:
    """The line on plain paper."""
    zoom = 3 if look.subpixel else 1
    size = look.size * zoom
    font = load_font(look.font, size)
    ascent, descent = font.getmetrics()
    box = font.getbbox(text)
    full = font.getbbox("Ápg|")
    y0, y1 = (box[1], box[3]) if look.tight else (min(box[1], full[1]), max(box[3], full[3]))
    y1 = max(y1, y0 + size // 3)
    left, right, top, bottom = (v * size for v in (look.left, look.right, look.top, look.bottom))
    length = sum(widths(look.font, size, text)) + look.tracking * size * len(text)
    canvas = Image.new("L", (max(6, int(length + left + right)), max(6, int(y1 - y0 + top + bottom))), 0)
    edges = pen(canvas, look, text, left, top - y0, size)
    if look.underline:
        y, thick = int(top - y0 + ascent + 0.12 * size), max(1, size // 16)
        ImageDraw.Draw(canvas).rectangle((edges[0], y, edges[-1], y + thick - 1), fill=255)
    if look.neighbours:
        gap = size * r.uniform(1.1, 1.4)
        other = "".join(r.sample(text, len(text)))
        ImageDraw.Draw(canvas).text((left, top - y0 + r.choice((-gap, gap))), other, fill=255, font=font)
    if zoom == 3:
        cover = subpixel_coverage(canvas)
    else:
        cover = np.asarray(canvas, np.float32)[..., None] / 255
    ink, paper = np.array(look.ink, np.float32), np.array(look.paper, np.float32)
    pixels = paper + cover * (ink - paper)
    return Drawn(Image.fromarray(pixels.astype(np.uint8)), np.array(edges, np.float64) / zoom)


def thicken(image: Image.Image, r: Random) -> Image.Image:
    """Bled or starved ink."""
    return image.filter(r.choice((ImageFilter.MinFilter, ImageFilter.MaxFilter))(3))
