"""The lines that training draws from, on its device: pictures, characters and edges in arrays, and batches cut from them."""

from dataclasses import dataclass

import numpy as np
import torch

from presets import EOS, PAD, Preset


@dataclass
class Packed:
    """Lines ready for a store, as the processes that draw them send them: pixel columns one after the other, [columns, height · 3]."""

    columns: np.ndarray
    widths: np.ndarray
    ids: np.ndarray
    edges: np.ndarray


def pack(preset: Preset, lines: list) -> Packed:
    p, count = preset, len(lines)
    widths = np.array([line.pixels.shape[1] for line in lines], np.int64)
    columns = np.zeros((widths.sum(), p.height, 3), np.uint8)
    ids = np.full((count, p.max_chars + 1), -100, np.int64)
    edges = np.full((count, p.max_chars + 1), np.inf, np.float32)
    start = 0
    for i, line in enumerate(lines):
        h, w = line.pixels.shape[:2]
        top = (p.height - h) // 2
        columns[start : start + w, top : top + h] = line.pixels.transpose(1, 0, 2)
        start += w
        own = p.ids(line.text)
        ids[i, : len(own)] = own
        if line.text:
            edges[i, : len(own)] = line.edges
    return Packed(columns.reshape(len(columns), -1), widths, ids, edges)


class Batch:
    """A canvas of `columns` patches, `skip` patches narrower than the model's on either side, and what is known of it.

    values [rows, columns, patch values]; labels [rows, characters]; character and index [rows, columns]: which character lies
    at a column's centre and its fractional index (-1 outside the text); wanted [rows, characters, columns]: each character's columns.
    """

    def __init__(self, values, labels, character, index, wanted, skip: int):
        self.values, self.labels, self.character, self.index, self.wanted, self.skip = values, labels, character, index, wanted, skip


class Store:
    """A ring of `size` lines. Pixels lie from the left edge, one row of the array per pixel column."""

    def __init__(self, preset: Preset, size: int, device: torch.device):
        self.preset, self.device, self.size = preset, device, size
        p, byte = preset, dict(dtype=torch.uint8, device=device)
        self.pixels = torch.zeros(size, p.width, p.height * 3, **byte)
        self.widths = torch.zeros(size, dtype=torch.int64, device=device)
        self.ids = torch.full((size, p.max_chars + 1), -100, dtype=torch.int64, device=device)
        self.edges = torch.full((size, p.max_chars + 1), float("inf"), device=device)
        self.wide = [0] * size
        self.count, self.next = 0, 0

    def add(self, packed: Packed) -> list[int]:
        """Stores lines over the oldest ones and returns their slots; what a slot held beyond the new width is never read."""
        count = len(packed.widths)
        slots = [(self.next + i) % self.size for i in range(count)]
        for slot, width in zip(slots, packed.widths.tolist()):
            self.wide[slot] = width
        rows, widths = torch.tensor(slots, device=self.device), torch.from_numpy(packed.widths).to(self.device)
        starts = widths.cumsum(0) - widths
        x = torch.arange(len(packed.columns), device=self.device) - starts.repeat_interleave(widths)
        self.pixels[rows.repeat_interleave(widths), x] = torch.from_numpy(packed.columns).to(self.device)
        self.widths[rows] = widths
        self.ids[rows] = torch.from_numpy(packed.ids).to(self.device)
        self.edges[rows] = torch.from_numpy(packed.edges).to(self.device)
        self.next, self.count = (self.next + count) % self.size, min(self.size, self.count + count)
        return slots

    def batch(self, slots: list[int], columns: int) -> Batch:
        p = self.preset
        rows = torch.tensor(slots, device=self.device)
        left = (columns * p.patch - self.widths[rows]) // 2
        x = torch.arange(columns * p.patch, device=self.device) - left[:, None]
        inside = (x >= 0) & (x < self.widths[rows][:, None])
        pixels = self.pixels[rows[:, None], x.clamp(0, p.width - 1)] * inside[..., None]
        ids = self.ids[rows]
        labels = ids[:, : int((ids != -100).sum(1).max())]
        edges = self.edges[rows] + left[:, None]
        return Batch(pixels, labels, *self.places(labels, edges[:, : labels.shape[1]], columns), (p.columns - columns) // 2)

    def places(self, labels: torch.Tensor, edges: torch.Tensor, columns: int):
        patch = self.preset.patch
        centres = (torch.arange(columns, device=self.device) + 0.5) * patch
        after = torch.searchsorted(edges.contiguous(), centres.expand(len(edges), -1).contiguous(), right=True)
        length = (labels != -100).sum(1, keepdim=True) - 1
        inside = (after >= 1) & (after <= length)
        at = (after - 1).clamp(0, max(0, labels.shape[1] - 2))
        here, there = edges.gather(1, at), edges.gather(1, (at + 1).clamp(max=labels.shape[1] - 1))
        index = torch.where(inside, at + (centres - here) / (there - here).clamp(min=1e-3), torch.tensor(-1.0, device=self.device))
        character = torch.where(inside, labels.gather(1, at), PAD)
        ends = torch.cat([edges[:, 1:], torch.full_like(edges[:, :1], float("inf"))], 1)
        ends = torch.where(labels == EOS, edges + 2 * patch, ends)
        column = torch.arange(columns, device=self.device)
        known = (labels != -100) & edges.isfinite()
        wanted = ((column + 1) * patch > edges[..., None]) & (column * patch < ends[..., None]) & known[..., None]
        return character, index, wanted


def shaken(values: torch.Tensor) -> torch.Tensor:
    """Old lines in a new light: shifts up or down by a pixel or two, other brightness and contrast, noise, swapped ink and paper.

    values: uint8 [rows, x, height · 3] of canvases whose black surroundings stay black. Returns float in 0 … 255.
    """
    rows, device = values.shape[0], values.device
    out = values.float()
    line = (values != 0).any(-1, keepdim=True)

    def some(share: float) -> torch.Tensor:
        return torch.rand(rows, 1, 1, device=device) < share

    out = torch.where(some(0.15), 255 - out, out)
    gain = 1 + (torch.rand(rows, 1, 1, device=device) - 0.5) * 0.5
    out = torch.where(some(0.4), (out - 128) * gain + 128 + (torch.rand(rows, 1, 1, device=device) - 0.5) * 50, out)
    if torch.rand(()) < 0.3:
        out = out + torch.randn_like(out) * torch.rand(rows, 1, 1, device=device) * 12
    shift = int(torch.randint(-2, 3, ()))
    if shift and torch.rand(()) < 0.5:
        edge = out[..., :3].repeat(1, 1, shift) if shift > 0 else out[..., -3:].repeat(1, 1, -shift)
        out = torch.cat([edge, out[..., : -3 * shift]], -1) if shift > 0 else torch.cat([out[..., -3 * shift :], edge], -1)
    return out.clamp(0, 255) * line
