"""Finds the font files that fonts.txt names, so that training and held-out fonts can never mix."""

import fnmatch
import os
from functools import lru_cache
from pathlib import Path

from PIL import ImageFont

from assets import font_folders

LIST = Path(__file__).with_name("fonts.txt")


def rules() -> list[tuple[str, str]]:
    lines = (line.strip() for line in LIST.read_text().splitlines())
    return [tuple(line.split(None, 1)) for line in lines if line and not line.startswith("#")]


def installed() -> dict[str, str]:
    """Every font file at hand, by base name."""
    found = {}
    for folder in font_folders():
        for root, _, names in sorted(os.walk(folder)):
            found.update({n: os.path.join(root, n) for n in sorted(names) if n.endswith((".ttf", ".otf"))})
    return found


def font_files(which: str) -> list[str]:
    """Paths of the installed fonts of the set `train`, `held-out` or `old-style`, in a stable order."""
    chosen, listed = [], rules()
    for name, path in sorted(installed().items()):
        sets = {s for s, pattern in listed if fnmatch.fnmatchcase(name, pattern)}
        if "train" in sets and sets & {"held-out", "old-style"}:
            raise ValueError(f"{name} is both a training and an evaluation font")
        if which in sets and "skip" not in sets:
            chosen.append(path)
    if not chosen:
        raise SystemExit(f"no {which} font is installed: see tools/line-reader/README.md for the packages")
    return chosen


@lru_cache(maxsize=4096)
def load_font(path: str, size: int) -> ImageFont.FreeTypeFont:
    return ImageFont.truetype(path, size, layout_engine=ImageFont.Layout.BASIC)


@lru_cache(maxsize=1024)
def coverage(path: str, charset: str) -> frozenset[str]:
    """The characters that the font draws as something other than its sign for a missing glyph."""
    font = load_font(path, 20)
    missing = {bytes(font.getmask(c)) for c in "\uffff\ue123"}
    return frozenset(c for c in charset if c == " " or (m := bytes(font.getmask(c))) not in missing and any(m))


@lru_cache(maxsize=1024)
def advances(path: str, size: int) -> dict[str, float]:
    return {}


def widths(path: str, size: int, text: str) -> list[float]:
    """The advance of each character in pixels."""
    known, font = advances(path, size), load_font(path, size)
    for c in set(text):
        if c not in known:
            known[c] = font.getlength(c)
    return [known[c] for c in text]
