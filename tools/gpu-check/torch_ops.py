#!/usr/bin/env python3
"""What PyTorch takes for the choice of tokens and for the preparation of images, as one would write them with it: one JSON line per
measurement, named after that of ceilings/selection.cu and ceilings/images.cu with "torch " before it.

usage: torch_ops.py selection|images [cuda|cpu]
"""
import json
import statistics
import sys
import time

import torch

VOCAB, BEAMS = 50265, 4


def emit(name, value, unit, note):
    print(json.dumps(dict(name=f"torch {name}", value=value, unit=unit, note=note)), flush=True)


def wait(device):
    if device == "cuda":
        torch.cuda.synchronize()


def median_seconds(device, work, calls, repeats=7):
    times = []
    for _ in range(repeats + 2):
        wait(device)
        began = time.perf_counter()
        for _ in range(calls):
            work()
        wait(device)
        times.append((time.perf_counter() - began) / calls)
    return statistics.median(times[2:])


def greedy(logits):
    tokens = logits.argmax(-1)
    return tokens, logits.log_softmax(-1).gather(-1, tokens[:, None])


def draw(logits):
    """The warpers of transformers, then a draw."""
    scores = logits.masked_fill(logits < torch.topk(logits, 50)[0][:, -1:], -float("inf"))
    ordered, places = torch.sort(scores, descending=False)
    remove = ordered.softmax(-1).cumsum(-1) <= 0.1
    remove[:, -1:] = False
    scores = scores.masked_fill(remove.scatter(1, places, remove), -float("inf"))
    tokens = torch.multinomial(scores.softmax(-1), 1)
    return tokens, logits.log_softmax(-1).gather(-1, tokens)


def beams(logits):
    scores = logits.log_softmax(-1).view(-1, BEAMS * VOCAB)
    best, places = torch.topk(scores, 2 * BEAMS)
    return best, places // VOCAB, places % VOCAB


def selection(device):
    generator = torch.Generator(device).manual_seed(7)
    for way in (greedy, draw, beams):
        for rows in (1, 8, 64, 256):
            used = max(rows, BEAMS) if way is beams else rows
            logits = torch.randn(used, VOCAB, device=device, generator=generator)
            seconds = median_seconds(device, lambda: way(logits), 50 if device == "cuda" else 1)
            emit(f"select {way.__name__}, {used} rows", seconds * 1e6, "us", "argmax, topk, sort and multinomial of torch")


def images(device):
    """The arithmetic of torchvision's fast processors on a device: floats in between, rounded once."""
    for name, count, width, height, side, mode in (("19 lines of 1000x64 to 384x384, bilinear", 19, 1000, 64, 384, "bilinear"),
                                                   ("28 photographs of 1000x1000 to 224x224, bicubic", 28, 1000, 1000, 224, "bicubic"),
                                                   ("1 page of 1700x2200 to 896x896, bilinear", 1, 1700, 2200, 896, "bilinear")):
        pixels = torch.randint(0, 256, (count, 3, height, width), dtype=torch.uint8)

        def work():
            batch = pixels.to(device).float()
            batch = torch.nn.functional.interpolate(batch, (side, side), mode=mode, antialias=True, align_corners=False)
            return (batch.round().clamp(0, 255) - 127.5) / 127.5
        seconds = median_seconds(device, work, 1)
        emit(f"prepare {name}", seconds * 1e3, "ms", "copy, float32, interpolate with antialias, round, normalise")


if __name__ == "__main__":
    torch.set_grad_enabled(False)
    {"selection": selection, "images": images}[sys.argv[1]](sys.argv[2] if len(sys.argv) > 2 else "cuda")
