"""Trains a small line reader from scratch on rendered lines and writes a plain Hugging Face folder.

    python tools/line-reader/train.py --preset latin --out build/line-reader/latin

Seeded; resumes from its checkpoint; uses CUDA where there is a device.
"""

import argparse
import copy
import math
import os
import time
from pathlib import Path

os.environ.setdefault("PYTORCH_NVML_BASED_CUDA_CHECK", "1")  # asking for a device must not start CUDA before the fork

import torch
from torch.nn import functional as F
from transformers import VisionEncoderDecoderModel

from batches import CHUNK, Pool, Renderers
from evaluate import quick_set, read_pixels
from guide import Guide, sinusoids
from hf_folder import build_model, save_folder
from presets import BOS, PAD, PRESETS
from scores import score
from store import Batch, Store, shaken


def arguments() -> argparse.Namespace:
    cuda = torch.cuda.is_available()
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--preset", default="latin", choices=PRESETS)
    p.add_argument("--out", type=Path, required=True)
    p.add_argument("--checkpoint", type=Path, help="default: build/line-reader/<preset>.pt")
    p.add_argument("--init", type=Path, help="a folder of the same preset: its weights, where there is no checkpoint yet")
    p.add_argument("--again", action="store_true", help="a new schedule from the averaged weights of the checkpoint; leave it out to resume that schedule")
    p.add_argument("--minutes", type=float, default=100, help="length of the whole schedule, over all resumptions")
    p.add_argument("--stop-after", type=float, default=math.inf, help="minutes after which this run saves and ends; resume to go on")
    p.add_argument("--columns", type=int, default=65536 if cuda else 1500, help="patches per batch")
    p.add_argument("--round", type=int, default=16384 if cuda else 768, help="lines drawn from the pool at a time")
    p.add_argument("--lr", type=float, default=1.2e-3)
    p.add_argument("--warmup", type=int, default=1000 if cuda else 300)
    p.add_argument("--ramp", type=int, default=400000 if cuda else 100000, help="lines after which all lengths appear")
    p.add_argument("--pool", type=int, default=600000 if cuda else 12000, help="lines kept to be seen again")
    p.add_argument("--first", type=int, default=20000 if cuda else 200, help="lines to wait for before the first step")
    p.add_argument("--least-fresh", type=float, default=0.02 if cuda else 0.25, help="share of lines never seen before; training waits for it")
    p.add_argument("--shake", action=argparse.BooleanOptionalAction, default=True, help="vary brightness, contrast, place and noise at each sight")
    p.add_argument("--save-every", type=float, default=120 if cuda else 900, help="seconds")
    p.add_argument("--workers", type=int, default=max(1, (os.cpu_count() or 2) - 2) if cuda else 1)
    p.add_argument("--threads", type=int, default=1)
    p.add_argument("--seed", type=int, default=1)
    return p.parse_args()


class Trainer:
    def __init__(self, args: argparse.Namespace):
        self.args, self.preset = args, PRESETS[args.preset]
        self.path = args.checkpoint or Path("build/line-reader") / f"{args.preset}.pt"
        state = torch.load(self.path, map_location="cpu", weights_only=True) if self.path.exists() else None
        renderers = Renderers(self.preset, args.seed, state["fresh"] if state else 0, args.workers, args.ramp)
        torch.manual_seed(args.seed)
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self.model = build_model(self.preset).to(self.device)
        self.start_positions()
        if args.init and not state:
            self.model.load_state_dict(VisionEncoderDecoderModel.from_pretrained(args.init, dtype=torch.float32).state_dict())
        self.guide = Guide(self.preset).to(self.device)
        self.average = copy.deepcopy(self.model).eval()
        parameters = [*self.model.parameters(), *self.guide.parameters()]
        self.optimizer = torch.optim.AdamW(parameters, lr=args.lr, betas=(0.9, 0.98), weight_decay=0.01, fused=True)
        self.step, self.seen, self.elapsed = 0, 0, 0.0
        if state:
            self.resume(state)
        self.began = self.elapsed
        self.pool = Pool(self.preset, args.seed, renderers, Store(self.preset, args.pool, self.device))
        self.check = quick_set(self.preset, 200 if self.device.type == "cuda" else 80)

    @torch.no_grad()
    def start_positions(self) -> None:
        """Sinusoids where the architecture starts with noise: neighbours look alike from the first step on."""
        table = self.model.encoder.embeddings.position_embeddings
        table.zero_()
        table[0, 1:] = 0.3 * sinusoids(torch.arange(self.preset.columns, device=self.device).float(), self.preset.hidden, 4.0 * self.preset.columns)
        table = self.model.decoder.model.decoder.embed_positions.weight
        table.copy_(0.03 * sinusoids(torch.arange(len(table), device=self.device).float() - 2, self.preset.hidden, 2.0 * self.preset.max_chars))

    def resume(self, state: dict) -> None:
        for name in ("model", "average", "guide", "optimizer"):
            getattr(self, name).load_state_dict(state[name])
        self.step, self.seen, self.elapsed = (state[k] for k in ("step", "seen", "elapsed"))
        if self.args.again:
            self.model.load_state_dict(state["average"])
            self.step, self.elapsed = 0, 0.0
        print(f"resumed at step {self.step} of the schedule, {self.seen} lines seen", flush=True)

    def save(self) -> None:
        state = {name: getattr(self, name).state_dict() for name in ("model", "average", "guide", "optimizer")}
        state.update(step=self.step, fresh=self.pool.fresh, seen=self.seen, elapsed=self.elapsed)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        temporary = self.path.with_suffix(".tmp")
        torch.save(state, temporary)
        temporary.replace(self.path)
        save_folder(self.average, self.preset, self.args.out)

    def progress(self) -> float:
        return self.elapsed / (60 * self.args.minutes)

    def rate(self) -> float:
        warm = min(1.0, (self.step + 1) / self.args.warmup)
        return self.args.lr * warm * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * min(1.0, self.progress()))))

    def encode(self, batch: Batch) -> torch.Tensor:
        """Encoder states of a canvas that lacks `batch.skip` patches on either side: what the whole model computes, less the black."""
        encoder, p = self.model.encoder, self.preset
        pixels = shaken(batch.values) if self.args.shake else batch.values.float()
        n, w, _ = pixels.shape
        columns = (pixels / 127.5 - 1).view(n, w // p.patch, p.patch, p.height, 3).permute(0, 1, 4, 3, 2).reshape(n, w // p.patch, -1)
        projection = encoder.embeddings.patch_embeddings.projection
        states = F.linear(columns, projection.weight.flatten(1), projection.bias)
        table = encoder.embeddings.position_embeddings
        states = states + table[:, 1 + batch.skip : 1 + batch.skip + w // p.patch]
        first = (encoder.embeddings.cls_token + table[:, :1]).expand(n, 1, -1)
        states = torch.cat([first, states], 1)
        for layer in encoder.layers if hasattr(encoder, "layers") else encoder.encoder.layer:
            out = layer(states)
            states = out[0] if isinstance(out, tuple) else out
        return encoder.layernorm(states)

    def losses(self, batch: Batch) -> list[torch.Tensor]:
        labels = batch.labels
        inputs = torch.cat([torch.full_like(labels[:, :1], BOS), labels[:, :-1]], 1)
        inputs = inputs.masked_fill(inputs == -100, PAD)
        with torch.autocast(self.device.type, torch.bfloat16):
            states = self.encode(batch)
            decoder = self.model.decoder
            out = decoder(input_ids=inputs, encoder_hidden_states=states, use_cache=False, output_attentions=True)
            character, index = self.guide.column_losses(states[:, 1:], batch)
        main = F.cross_entropy(out.logits.float().flatten(0, 1), labels.flatten(), ignore_index=-100)
        guided = [layer[:, :2] for layer in out.cross_attentions[1:]]
        return [main, character, index, self.guide.attention_loss(guided, batch)]

    def train_step(self, batch: Batch) -> torch.Tensor:
        for group in self.optimizer.param_groups:
            group["lr"] = self.rate()
        losses = self.losses(batch)
        main, character, index, attention = losses
        help_weight = max(0.1, 1 - 1.5 * self.progress())
        self.optimizer.zero_grad(set_to_none=True)
        (main + help_weight * (character + index + 0.2 * attention)).backward()
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self.optimizer.step()
        self.step, self.seen = self.step + 1, self.seen + len(batch.labels)
        self.update_average()
        return torch.stack(losses).detach()

    @torch.no_grad()
    def update_average(self) -> None:
        keep = min(0.998, (1 + self.step) / (20 + self.step))
        torch._foreach_lerp_(list(self.average.parameters()), list(self.model.parameters()), 1 - keep)

    def run(self) -> None:
        self.pool.fill(self.args.first)
        saved, sums, count, mark = time.monotonic(), torch.zeros(4, device=self.device), 0, self.step
        while self.progress() < 1 and self.elapsed - self.began < 60 * self.args.stop_after:
            began = time.monotonic()
            spread = 0.05 if self.progress() < 0.2 else 0.25
            for batch in self.pool.batches(self.args.round, self.args.columns, spread, self.args.least_fresh):
                sums, count = sums + self.train_step(batch), count + 1
            self.elapsed += time.monotonic() - began
            if self.step - mark >= 100:
                names = ("loss", "column", "index", "attention")
                values = " ".join(f"{name} {value / count:.4f}" for name, value in zip(names, sums.tolist()))
                print(f"step {self.step} {self.elapsed:.0f}s lines {self.seen} fresh {self.pool.fresh * CHUNK} lr {self.rate():.2e} {values}", flush=True)
                sums, count, mark = torch.zeros(4, device=self.device), 0, self.step
            if time.monotonic() - saved > self.args.save_every:
                self.save_and_check()
                saved = time.monotonic()
        self.save_and_check()

    def save_and_check(self) -> None:
        self.save()
        pairs = read_pixels(self.average, self.preset, self.check)
        worst = [f"{w!r} -> {g!r}" for w, g in pairs if w != g][:3]
        print(f"  held-out: {score(pairs)} {' ; '.join(worst)}", flush=True)


def main() -> None:
    args = arguments()
    torch.set_num_threads(args.threads)
    torch.backends.cuda.matmul.allow_tf32 = True
    Trainer(args).run()


if __name__ == "__main__":
    main()
