"""Measures what a reader's own probability is worth, writes that beside the model, and plots it.

    python tools/line-reader/make_evaluation.py build/line-reader/calibration --seed 1 --count 400
    python tools/line-reader/calibrate.py models/line-reader build/line-reader/calibration build/line-reader/evaluation

Reads both sets through this package (`npm run build` first). From the first it makes confidence_calibration.json, on the second it
checks it: confidence_calibration.svg shows, for the second set, how often lines of each confidence are right, with and without it.
"""

import argparse
import json
import math
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
DRIVER = ROOT / "benchmarks/line-reader/ours.mjs"


def read_set(model: Path, folder: Path) -> list[dict]:
    """Each line's probability as the model gives it, its confidence as the package gives it, and whether it was right."""
    rows = json.loads((folder / "lines.json").read_text(encoding="utf-8"))["lines"]
    files = json.dumps([str((folder / row["file"]).resolve()) for row in rows])
    done = subprocess.run(["node", DRIVER, model, "32", "all"], input=files, capture_output=True, text=True, check=True)
    results = json.loads(done.stdout.splitlines()[-1])["results"]
    return [
        {"raw": math.exp(result["logProb"]), "confidence": result["confidence"], "right": result["read"] == row["text"]}
        for row, result in zip(rows, results)
    ]


def isotonic(lines: list[dict], least: int) -> list[tuple[float, float]]:
    """Points of a rising curve: blocks of at least `least` lines in order of their probability, merged while one is below its left.

    Each block's share is drawn a little towards less sure, by one line taken as wrong, since it is an estimate.
    """
    ordered = sorted(lines, key=lambda line: line["raw"])
    blocks = []
    for i in range(0, len(ordered), least):
        some = ordered[i : i + least]
        blocks.append([sum(line["raw"] for line in some), sum(line["right"] for line in some), len(some)])
        while len(blocks) > 1 and blocks[-2][1] * (blocks[-1][2] + 1) >= blocks[-1][1] * (blocks[-2][2] + 1):
            last = blocks.pop()
            blocks[-1] = [a + b for a, b in zip(blocks[-1], last)]
    points = [(round(raw / count, 6), round(right / (count + 1), 4)) for raw, right, count in blocks]
    return [point for i, point in enumerate(points) if i == 0 or point[0] > points[i - 1][0]]


def bins(lines: list[dict], key: str, count: int = 10) -> list[tuple[float, float, int]]:
    """(mean of `key`, share that was right, lines) of tenths of the scale that hold any line."""
    found = []
    for i in range(count):
        some = [line for line in lines if i / count <= line[key] < (i + 1) / count or (i == count - 1 and line[key] == 1)]
        if some:
            found.append((sum(line[key] for line in some) / len(some), sum(line["right"] for line in some) / len(some), len(some)))
    return found


def plot(lines: list[dict], title: str) -> str:
    size, left, top = 320, 56, 44

    def at(x: float, y: float) -> tuple[float, float]:
        return left + x * size, top + (1 - y) * size

    text = '<text x="{:.1f}" y="{:.1f}" text-anchor="{}">{}</text>'.format
    parts = [f'<rect width="{left + size + 150}" height="{top + size + 56}" fill="#fff"/>', text(left, 22, "start", title)]
    for i in range(0, 11, 2):
        (x, y0), (_, y1), (x0, y), (x1, _) = at(i / 10, 0), at(0, 1), at(0, i / 10), at(1, 0)
        parts.append(f'<path d="M{x:.1f} {y0:.1f}V{y1:.1f}M{x0:.1f} {y:.1f}H{x1:.1f}" stroke="#ddd"/>')
        parts += [text(x, y0 + 18, "middle", f"{i / 10:.1f}"), text(x0 - 8, y + 4, "end", f"{i / 10:.1f}")]
    (x0, y0), (x1, y1) = at(0, 0), at(1, 1)
    parts.append(f'<path d="M{x0} {y0}L{x1} {y1}" stroke="#888" stroke-dasharray="4 4"/>')
    for row, (key, name, colour) in enumerate((("raw", "as the model says", "#c0562b"), ("confidence", "calibrated", "#1f6fb2"))):
        dots = [(*at(x, y), n) for x, y, n in bins(lines, key)]
        path = "L".join(f"{x:.1f} {y:.1f}" for x, y, _ in dots)
        parts.append(f'<path d="M{path}" fill="none" stroke="{colour}" stroke-width="1.5"/>')
        parts += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{2 + 1.2 * math.log10(n):.1f}" fill="{colour}"/>' for x, y, n in dots]
        y = top + 14 + 22 * row
        parts += [f'<circle cx="{left + size + 18}" cy="{y - 4}" r="4" fill="{colour}"/>', text(left + size + 28, y, "start", name)]
    parts.append(text(left + size / 2, top + size + 42, "middle", "confidence"))
    parts.append(f'<text transform="translate(16 {top + size / 2}) rotate(-90)" text-anchor="middle">share of lines wholly right</text>')
    box = f"0 0 {left + size + 150} {top + size + 56}"
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="{box}" width="{left + size + 150}" font-family="sans-serif" font-size="12" fill="#222">'
    return "\n".join([head, *parts, "</svg>"]) + "\n"


def main() -> None:
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("model", type=Path)
    p.add_argument("calibration", type=Path, help="the set to learn from")
    p.add_argument("check", type=Path, help="the set to check on")
    p.add_argument("--least", type=int, default=60, help="lines behind each point")
    args = p.parse_args()
    points = isotonic(read_set(args.model, args.calibration), args.least)
    value = {"input": "sequence_probability", "points": [list(point) for point in points]}
    (args.model / "confidence_calibration.json").write_text(json.dumps(value) + "\n")
    checked = read_set(args.model, args.check)
    (args.model / "confidence_calibration.svg").write_text(plot(checked, f"{len(checked)} lines and crops the calibration has not seen"))
    for least in (0.5, 0.8, 0.9, 0.95):
        for key in ("raw", "confidence"):
            sure = [line["right"] for line in checked if line[key] >= least]
            print(f"{key} >= {least}: {len(sure)} lines, {100 * sum(sure) / max(1, len(sure)):.1f} % right")


if __name__ == "__main__":
    main()
