"""Batches of rendered lines from worker processes. Batch i depends on the seed and i only."""

import multiprocessing as mp
import os
from random import Random

import numpy as np

from fonts import font_files
from presets import PRESETS
from render import draw_line, to_model_size
from texts import line


def make_batch(preset_name: str, fonts: list[str], seed: int, index: int, size: int, limit: int) -> tuple[np.ndarray, list[str]]:
    preset = PRESETS[preset_name]
    r = Random(f"{seed}/{index}")
    pixels, texts = np.empty((size, preset.height, preset.width, 3), np.uint8), []
    for i in range(size):
        text = line(r, preset.charset, limit)
        pixels[i] = to_model_size(draw_line(r, text, r.choice(fonts)), preset.height, preset.width)
        texts.append(text)
    return pixels, texts


def curriculum(preset, index: int) -> int:
    """Short lines first: they break the attention's symmetry soonest."""
    return min(preset.max_chars, 5 + index // 60)


def work(queue, preset_name: str, seed: int, first: int, stride: int, size: int) -> None:
    os.nice(5)
    fonts = font_files("train")
    index = first
    while True:
        queue.put(make_batch(preset_name, fonts, seed, index, size, curriculum(PRESETS[preset_name], index)))
        index += stride


class Batches:
    """Fresh batches in order; `workers` processes render ahead of the trainer."""

    def __init__(self, preset_name: str, seed: int, first: int, size: int, workers: int):
        context = mp.get_context("fork")
        self.queues = [context.Queue(maxsize=24) for _ in range(workers)]
        self.next = 0
        for w, queue in enumerate(self.queues):
            args = (queue, preset_name, seed, first + w, workers, size)
            context.Process(target=work, args=args, daemon=True).start()

    def take(self) -> tuple[np.ndarray, list[str]]:
        queue = self.queues[self.next % len(self.queues)]
        self.next += 1
        return queue.get()
