"""Finds the font files that fonts.txt names, so that training and held-out fonts can never mix."""

import fnmatch
import os
from pathlib import Path

LIST = Path(__file__).with_name("fonts.txt")
FOLDERS = (Path("/usr/share/fonts"), Path("/usr/share/texmf/fonts"))


def rules() -> list[tuple[str, str]]:
    lines = (line.strip() for line in LIST.read_text().splitlines())
    return [tuple(line.split(None, 1)) for line in lines if line and not line.startswith("#")]


def installed() -> dict[str, str]:
    """Every installed font file, by base name."""
    found = {}
    for folder in FOLDERS:
        for root, _, names in os.walk(folder):
            found.update({n: os.path.join(root, n) for n in names if n.endswith((".ttf", ".otf"))})
    return found


def font_files(which: str) -> list[str]:
    """Paths of the installed fonts of the set `train`, `held-out` or `old-style`, in a stable order."""
    chosen = []
    for name, path in sorted(installed().items()):
        sets = {s for s, pattern in rules() if fnmatch.fnmatchcase(name, pattern)}
        if "train" in sets and sets & {"held-out", "old-style"}:
            raise ValueError(f"{name} is both a training and an evaluation font")
        if which in sets and "skip" not in sets:
            chosen.append(path)
    if not chosen:
        raise SystemExit(f"no {which} font is installed: see tools/line-reader/README.md for the packages")
    return chosen
