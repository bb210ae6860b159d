"""Packs the fonts and word lists for a machine that has neither: subset to the alphabet, well below 20 MB.

    pip install fonttools
    python tools/line-reader/bundle_assets.py            # writes build/line-reader/assets and assets.tar.xz beside it

There: unpack it and name the folder in LINE_READER_ASSETS. Evaluation sets are drawn from the packages, not from this cut of them.
"""

import argparse
import shutil
import tarfile
from pathlib import Path
from random import Random

from fontTools import subset

from batches import font_families
from fonts import font_files
from presets import LATIN
from words import DICTIONARIES, dictionary


def write_font(source: str, folder: Path) -> None:
    options = subset.Options(layout_features=["kern", "liga", "locl", "mark", "mkmk"], notdef_outline=True, hinting=True, glyph_names=False)
    font = subset.load_font(source, options)
    cutter = subset.Subsetter(options)
    # The private-use sign stands for "missing": coverage() compares with how the font draws it.
    cutter.populate(text=LATIN)
    cutter.subset(font)
    subset.save_font(font, str(folder / Path(source).name), options)


def write_words(folder: Path, most: int) -> None:
    for language, files in DICTIONARIES.items():
        words = list(dictionary(language, "train") + dictionary(language, "held-out"))
        chosen = sorted(Random(language).sample(words, min(most, len(words))))
        (folder / files[0]).write_text("\n".join(chosen) + "\n", encoding="utf-8")
        for other in files[1:]:
            (folder / other).write_text("", encoding="utf-8")


def main() -> None:
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--folder", type=Path, default=Path("build/line-reader/assets"))
    p.add_argument("--per-family", type=int, default=8, help="training fonts of one family")
    p.add_argument("--words", type=int, default=60000, help="words of one language")
    args = p.parse_args()
    shutil.rmtree(args.folder, ignore_errors=True)
    for name in ("fonts", "dict"):
        (args.folder / name).mkdir(parents=True)
    chosen = [font for family in font_families("train") for font in Random(family[0]).sample(family, min(len(family), args.per_family))]
    for font in [*chosen, *font_files("held-out"), *font_files("old-style")]:
        write_font(font, args.folder / "fonts")
    write_words(args.folder / "dict", args.words)
    archive = args.folder.with_suffix(".tar.xz")
    with tarfile.open(archive, "w:xz") as tar:
        tar.add(args.folder, arcname=args.folder.name)
    print(f"{archive}: {archive.stat().st_size / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
