"""Draws the evaluation sets: lines by category, in fonts and from texts that training never saw, and crops without text.

    python tools/line-reader/make_evaluation.py build/line-reader/evaluation --count 200

Writes <category>/<number>.png and lines.json; the same seed gives the same pixels (with the same Pillow and fonts).
"""

import argparse
import hashlib
import json
from pathlib import Path
from random import Random

from batches import font_families
from latin_texts import Source
from presets import CAPITALS, LATIN
from render import draw_line, draw_nothing, pick_font

PASSAGES = Path(__file__).with_name("passages.txt")
# category, kinds of text, style, languages of the passages mixed in, share of passages
CATEGORIES = (
    ("clean", "sentence", "clean", ("en",), 0.5),
    ("screenshots", "screen", "screenshot", ("en",), 0.4),
    ("degraded", "sentence", "degraded", ("en",), 0.5),
    ("numbers", "numbers", "clean", (), 0.0),
    ("capitals", "capitals", "clean", (), 0.0),
    ("western", "western", "clean", ("es", "de", "fr", "it", "pt", "nl", "da", "sv", "no"), 0.5),
)


def passages() -> list[tuple[str, str]]:
    lines = PASSAGES.read_text(encoding="utf-8").splitlines()
    return [tuple(line.split("\t", 1)) for line in lines if line and not line.startswith("#")]


def excerpt(r: Random, text: str, limit: int) -> str:
    """Whole words out of the middle of a passage, as a line of a book has them."""
    words = text.replace("…", "...").split()
    at = r.randrange(len(words))
    out = words[at][:limit]
    for word in words[at + 1 :]:
        if len(out) + 1 + len(word) > limit:
            break
        out += " " + word
    return out


def capitals(r: Random, source: Source) -> str:
    """1 to 16 digits, capitals and marks: what the first bundled reader knows."""
    while True:
        text = r.choice((source.receipt, source.serial, source.number, lambda r: source.sentence(r, 16, "en")))(r).upper()
        text = " ".join("".join(c for c in text if c in CAPITALS).split())[:16].strip()
        if text:
            return text


def text_of(r: Random, source: Source, kinds: str, languages: tuple, share: float) -> str:
    if kinds == "capitals":
        return capitals(r, source)
    limit = r.randint(10, 100)
    if r.random() < share:
        return excerpt(r, r.choice([text for language, text in passages() if language in languages]), limit)
    if kinds == "screen":
        kinds = r.choice(("sentence", "sentence", "numbers"))
    return source.line(r, limit, kinds)


def draw_category(folder: Path, name: str, kinds: str, style: str, languages: tuple, share: float, count: int, seed: int) -> list[dict]:
    r, source, families = Random(f"evaluation/{seed}/{name}"), Source("held-out", LATIN), font_families("held-out")
    rows = []
    (folder / name).mkdir(parents=True, exist_ok=True)
    for i in range(count):
        text = text_of(r, source, kinds, languages, share)
        font = pick_font(r, families, text, LATIN)
        file = f"{name}/{i:04}.png"
        draw_line(r, text, font, style).image.save(folder / file)
        rows.append({"file": file, "category": name, "text": text, "font": Path(font).name})
    return rows


def draw_blanks(folder: Path, count: int, seed: int) -> list[dict]:
    r = Random(f"evaluation/{seed}/no-text")
    (folder / "no-text").mkdir(parents=True, exist_ok=True)
    rows = [{"file": f"no-text/{i:04}.png", "category": "no-text", "text": "", "font": ""} for i in range(count)]
    for row in rows:
        draw_nothing(r).save(folder / row["file"])
    return rows


def main() -> None:
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("folder", type=Path)
    p.add_argument("--count", type=int, default=200, help="lines per category")
    p.add_argument("--seed", type=int, default=2026)
    args = p.parse_args()
    rows = [row for category in CATEGORIES for row in draw_category(args.folder, *category, args.count, args.seed)]
    rows += draw_blanks(args.folder, args.count, args.seed)
    digest = hashlib.sha256()
    for row in rows:
        digest.update((args.folder / row["file"]).read_bytes() + row["text"].encode())
    meta = {"seed": args.seed, "linesPerCategory": args.count, "sha256": digest.hexdigest()}
    (args.folder / "lines.json").write_text(json.dumps({"meta": meta, "lines": rows}, indent=1, ensure_ascii=False) + "\n")
    print(f"{len(rows)} pictures in {args.folder}")


if __name__ == "__main__":
    main()
