"""What the renderer knows and a reader has to learn: which column of the picture shows which character.

Three helper losses use it. None of their parameters is saved: (1) each column names the character at its centre, (2) each
column tells how many characters lie before it, (3) cross-attention, when a character is written, looks at that character's columns.
"""

import math

import torch
from torch import nn
from torch.nn import functional as F

from presets import Preset
from store import Batch

CODE = 32


def sinusoids(positions: torch.Tensor, size: int, longest: float) -> torch.Tensor:
    """[..., size]: sine and cosine of `size / 2` periods from 4 to `longest`, in geometric steps."""
    periods = 4 * (longest / 4) ** (torch.arange(size // 2, device=positions.device) / max(1, size // 2 - 1))
    angles = 2 * math.pi * positions[..., None] / periods
    return torch.cat([angles.sin(), angles.cos()], -1)


class Guide(nn.Module):
    def __init__(self, preset: Preset):
        super().__init__()
        self.character = nn.Linear(preset.hidden, len(preset.vocab))
        self.index = nn.Linear(preset.hidden, CODE)
        self.longest = 2.0 * preset.max_chars

    def column_losses(self, states: torch.Tensor, batch: Batch) -> tuple[torch.Tensor, torch.Tensor]:
        """(1) and (2), from encoder states without the class token."""
        character = F.cross_entropy(self.character(states).float().flatten(0, 1), batch.character.flatten())
        inside = batch.index >= 0
        code = sinusoids(batch.index.clamp(min=0), CODE, self.longest)
        wrong = (self.index(states).float() - code).square().mean(-1)
        return character, (wrong * inside).sum() / inside.sum().clamp(min=1)

    def attention_loss(self, attentions: list[torch.Tensor], batch: Batch) -> torch.Tensor:
        """(3), from cross-attentions [rows, heads, characters, 1 + columns] of the guided heads."""
        wanted = batch.wanted
        some = wanted.any(-1)
        total = 0.0
        for attention in attentions:
            mass = (attention[..., 1:].float() * wanted[:, None]).sum(-1)
            total = total - ((mass + 1e-4).log() * some[:, None]).sum() / (some.sum().clamp(min=1) * attention.shape[1])
        return total / len(attentions)
