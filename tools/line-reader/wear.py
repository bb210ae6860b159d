"""What happens to a line between print and picture: light, blur, tilt, noise, JPEG."""

import io
import math
from random import Random

import numpy as np
from PIL import Image, ImageFilter

from draw import Drawn, thicken


def tilt(r: Random, drawn: Drawn, strength: float) -> Drawn:
    """A small rotation, shear and perspective; the edges follow the middle of the line."""
    w, h = drawn.image.size
    angle = math.radians(r.uniform(-1, 1) * strength * min(1.8, 12 * h / w * 2))
    shear, px, py = r.uniform(-0.12, 0.12) * strength, r.uniform(-1, 1) * 0.06 * strength / w, r.uniform(-1, 1) * 0.1 * strength / (w + h)
    c, s = math.cos(angle), math.sin(angle)
    forward = np.array([[1, 0, w / 2], [0, 1, h / 2], [0, 0, 1]]) @ np.array([[c, -s + shear, 0], [s, c, 0], [px, py, 1]]) @ np.array([[1, 0, -w / 2], [0, 1, -h / 2], [0, 0, 1]])

    def move(x, y):
        p = forward @ np.array([x, np.full_like(x, y), np.ones_like(x)])
        return p[0] / p[2], p[1] / p[2]

    xs, ys = zip(*(move(np.array([float(x)]), y) for x in (0, w) for y in (0, h)))
    # Keeps the top and bottom rows of the line inside the picture where the paper's corners leave it.
    x0, y0 = float(np.min(xs)), float(np.min(ys))
    x1, y1 = float(np.max(xs)), float(np.max(ys))
    trim = r.random() * 0.8 * max(0.0, (y1 - y0 - h) / 2)
    y0, y1 = y0 + trim, y1 - trim
    size = (max(4, round(x1 - x0)), max(4, round(y1 - y0)))
    inverse = np.linalg.inv(np.array([[1, 0, -x0], [0, 1, -y0], [0, 0, 1]]) @ forward)
    inverse /= inverse[2, 2]
    paper = tuple(int(v) for v in np.asarray(drawn.image)[0, 0])
    image = drawn.image.transform(size, Image.Transform.PERSPECTIVE, inverse.flatten()[:8], Image.Resampling.BILINEAR, fillcolor=paper)
    return Drawn(image, move(drawn.edges, h / 2)[0] - x0)


def background(r: Random, pixels: np.ndarray) -> np.ndarray:
    """Uneven light, stains and paper grain."""
    h, w = pixels.shape[:2]
    kind = r.randrange(3)
    if kind == 0:
        ramp = np.linspace(r.uniform(0.6, 1.0), r.uniform(0.6, 1.0), w, dtype=np.float32)
        return pixels * ramp[None, :, None]
    if kind == 1:
        rng = np.random.default_rng(r.getrandbits(32))
        coarse = rng.uniform(-1, 1, (max(2, h // r.randint(4, 16)), max(2, w // r.randint(4, 40)))).astype(np.float32)
        grain = np.asarray(Image.fromarray(coarse).resize((w, h), Image.Resampling.BICUBIC))
        return pixels + grain[..., None] * r.uniform(4, 30)
    ramp = np.linspace(r.uniform(0.7, 1.0), r.uniform(0.7, 1.0), h, dtype=np.float32)
    return pixels * ramp[:, None, None]


def noise(r: Random, pixels: np.ndarray, strength: float) -> np.ndarray:
    rng = np.random.default_rng(r.getrandbits(32))
    grain = rng.standard_normal(pixels.shape[:2], dtype=np.float32)[..., None] * r.uniform(1, 16) * strength
    if r.random() < 0.15:
        specks = rng.random(pixels.shape[:2]) < r.uniform(0, 0.01) * strength
        pixels = np.where(specks[..., None], np.float32(r.choice((0, 255))), pixels)
    return pixels + grain


def blur(r: Random, image: Image.Image, strength: float) -> Image.Image:
    if r.random() < 0.7:
        return image.filter(ImageFilter.GaussianBlur(r.uniform(0.01, 0.045) * strength * image.height))
    share = 1 - min(0.75, r.uniform(0.2, 0.65) * strength)
    small = image.resize((max(4, int(image.width * share)), max(4, int(image.height * share))), r.choice((2, 3, 4, 5)))
    return small.resize(image.size, Image.Resampling.BILINEAR)


def jpeg(r: Random, image: Image.Image, low: int, high: int) -> Image.Image:
    file = io.BytesIO()
    image.save(file, "JPEG", quality=r.randint(low, high))
    return Image.open(file).convert("RGB")


def wear(r: Random, drawn: Drawn, strength: float, chance: float) -> Drawn:
    """Each kind of wear with its own chance; `strength` 1 is a bad scan."""
    if r.random() < 0.25 * chance and min(drawn.image.size) > 28:
        drawn = Drawn(thicken(drawn.image, r), drawn.edges)
    if r.random() < 0.6 * chance:
        drawn = tilt(r, drawn, strength)
    image = drawn.image
    if r.random() < 0.6 * chance:
        image = blur(r, image, strength)
    if r.random() < 0.8 * chance:
        pixels = np.asarray(image, np.float32)
        if r.random() < 0.5:
            pixels = background(r, pixels)
        if r.random() < 0.6:
            pixels = noise(r, pixels, strength)
        image = Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))
    if r.random() < 0.4 * chance:
        image = jpeg(r, image, 30, 92)
    return Drawn(image, drawn.edges)
