"""Rendered lines from worker processes, and batches of lines of like width from a pool of them."""

import multiprocessing as mp
import queue
import re
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from random import Random

import numpy as np

from fonts import font_files
from latin_texts import Source
from presets import Preset
from render import draw_line, draw_nothing, pick_font, to_model_size
from store import Store, pack

CHUNK = 64
EMPTY_SHARE = 0.04


@dataclass
class Line:
    """A picture at the model's height, what it says, and the x of its characters' edges in that picture."""

    pixels: np.ndarray
    text: str
    edges: np.ndarray


def font_families(which: str) -> list[list[str]]:
    def family(path: str) -> str:
        return re.match(r"[A-Za-z ]*", Path(path).name).group()[:8]

    return [list(group) for _, group in groupby(sorted(font_files(which), key=family), family)]


def make_line(r: Random, preset: Preset, source: Source, families: list[list[str]], limit: int) -> Line:
    if r.random() < EMPTY_SHARE:
        return Line(to_model_size(draw_nothing(r), preset.height, preset.width), "", np.zeros(1))
    text = source.line(r, limit)
    drawn = draw_line(r, text, pick_font(r, families, text, preset.charset))
    pixels = to_model_size(drawn.image, preset.height, preset.width)
    return Line(pixels, text, drawn.edges * (pixels.shape[1] / drawn.image.width))


def longest(preset: Preset, lines_before: int, ramp: int) -> int:
    """The curriculum: from 10 characters to all after `ramp` lines. Short lines break the attention's symmetry soonest."""
    return round(min(1.0, lines_before / max(1, ramp)) * (preset.max_chars - 10) + 10) if preset.max_chars > 10 else preset.max_chars


def work(out, preset: Preset, seed: int, first: int, stride: int, ramp: int) -> None:
    families, source, index = font_families("train"), Source("train", preset.charset), first
    while True:
        r = Random(f"{seed}/{index}")
        limit = longest(preset, index * CHUNK, ramp)
        lines = [make_line(r, preset, source, families, max(4, round(limit * r.random() ** 0.7))) for _ in range(CHUNK)]
        out.put(pack(preset, lines))
        index += stride


class Renderers:
    """Processes that draw chunks of lines. They are to be forked before the parent touches CUDA."""

    def __init__(self, preset: Preset, seed: int, first: int, workers: int, ramp: int):
        context = mp.get_context("fork")
        self.first, self.queue = first, context.Queue(maxsize=8 * workers)
        for w in range(workers):
            context.Process(target=work, args=(self.queue, preset, seed, first + w, workers, ramp), daemon=True).start()


class Pool:
    """The latest lines: fresh ones as fast as they are drawn, older ones again between them."""

    def __init__(self, preset: Preset, seed: int, renderers: Renderers, store: Store):
        self.preset, self.store, self.fresh, self.queue = preset, store, renderers.first, renderers.queue
        self.random = Random(f"{seed}/{self.fresh}/pool")

    def fill(self, count: int) -> None:
        """Waits for so many lines: a handful of them seen over and over is no start."""
        while self.store.count < min(count, self.store.size):
            self.take(wait=True)

    def take(self, wait: bool) -> list[int]:
        try:
            chunk = self.queue.get(block=wait, timeout=600 if wait else None)
        except queue.Empty:
            return []
        self.fresh += 1
        return self.store.add(chunk)

    def round(self, count: int, least: float) -> list[int]:
        """`count` slots: all fresh lines at hand, at least the share `least`, then earlier ones."""
        slots = []
        while len(slots) < count:
            chunk = self.take(wait=len(slots) < count * least or not self.store.count)
            if not chunk:
                return slots + self.random.choices(range(self.store.count), k=count - len(slots))
            slots += chunk
        return slots

    def batches(self, count: int, columns: int, spread: float, least: float):
        """A round cut into batches of at most `columns` patches.

        Canvases are cut to the widest line but keep the centre, which is where the processor puts a line; with the
        chance `spread` some of the black beside it stays.
        """
        patch, wide = self.preset.patch, self.store.wide
        slots = sorted(self.round(count, least), key=wide.__getitem__)
        cuts = []
        while slots:
            need = -(-wide[slots[-1]] // patch)
            need += (self.preset.columns - need) % 2
            if self.random.random() < spread:
                need += 2 * self.random.randint(0, (self.preset.columns - need) // 2)
            need = max(2, min(need, self.preset.columns))
            rows = max(1, min(len(slots), columns // need))
            cuts.append((slots[-rows:], need))
            slots = slots[:-rows]
        self.random.shuffle(cuts)
        for some, need in cuts:
            yield self.store.batch(some, need)
