"""Trains a small line reader from scratch on rendered lines and writes a plain Hugging Face folder.

    python tools/line-reader/train.py --preset digits-capitals --out models/line-reader

Seeded; resumes from its checkpoint; uses an accelerator where there is one.
"""

import argparse
import math
import time
from pathlib import Path
from random import Random

import torch
from torch.nn import functional as F

from batches import Batches
from evaluate import read_folder_free, score
from hf_folder import build_model, save_folder
from presets import BOS, PAD, PRESETS


def arguments() -> argparse.Namespace:
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--preset", default="digits-capitals", choices=PRESETS)
    p.add_argument("--out", type=Path, required=True)
    p.add_argument("--checkpoint", type=Path, help="default: build/line-reader/<preset>.pt")
    p.add_argument("--steps", type=int, default=20000)
    p.add_argument("--minutes", type=float, default=math.inf, help="end the schedule after this time if it comes first")
    p.add_argument("--batch", type=int, default=64)
    p.add_argument("--lr", type=float, default=1e-3)
    p.add_argument("--warmup", type=int, default=300)
    p.add_argument("--replay", type=int, default=1, help="steps on earlier batches for each fresh one")
    p.add_argument("--ctc", type=float, default=0.5, help="weight of the encoder's helper loss; its head is not saved")
    p.add_argument("--save-every", type=float, default=180, help="seconds")
    p.add_argument("--workers", type=int, default=1)
    p.add_argument("--threads", type=int, default=1)
    p.add_argument("--seed", type=int, default=1)
    return p.parse_args()


class Trainer:
    def __init__(self, args: argparse.Namespace):
        self.args, self.preset = args, PRESETS[args.preset]
        torch.manual_seed(args.seed)
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self.model = build_model(self.preset).to(self.device)
        self.helper = torch.nn.Linear(self.preset.hidden, len(self.preset.vocab)).to(self.device)
        parameters = [*self.model.parameters(), *self.helper.parameters()]
        self.optimizer = torch.optim.AdamW(parameters, lr=args.lr, betas=(0.9, 0.98), weight_decay=0.01)
        self.step, self.fresh, self.elapsed = 0, 0, 0.0
        self.path = args.checkpoint or Path("build/line-reader") / f"{args.preset}.pt"
        self.resume()
        self.pool, self.random = [], Random(f"{args.seed}/{self.step}")
        self.batches = Batches(args.preset, args.seed, self.fresh, args.batch, args.workers)

    def resume(self) -> None:
        if not self.path.exists():
            return
        state = torch.load(self.path, map_location=self.device, weights_only=True)
        self.model.load_state_dict(state["model"])
        self.helper.load_state_dict(state["helper"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.step, self.fresh, self.elapsed = state["step"], state["fresh"], state["elapsed"]
        print(f"resumed at step {self.step}", flush=True)

    def save(self) -> None:
        state = {"model": self.model.state_dict(), "helper": self.helper.state_dict(), "optimizer": self.optimizer.state_dict()}
        state.update(step=self.step, fresh=self.fresh, elapsed=self.elapsed)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        temporary = self.path.with_suffix(".tmp")
        torch.save(state, temporary)
        temporary.replace(self.path)
        save_folder(self.model.cpu(), self.preset, self.args.out)
        self.model.to(self.device)

    def progress(self) -> float:
        return max(self.step / self.args.steps, self.elapsed / (60 * self.args.minutes))

    def rate(self) -> float:
        warm = min(1.0, (self.step + 1) / self.args.warmup)
        return self.args.lr * warm * (0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * min(1.0, self.progress()))))

    def next_batch(self):
        """A fresh batch, or a mix of earlier ones between two fresh ones."""
        if self.step % (self.args.replay + 1) == 0 or not self.pool:
            pixels, texts = self.batches.take()
            batch = (torch.from_numpy(pixels), texts)
            self.fresh += 1
            self.pool = [*self.pool[-399:], batch]
            return batch
        return self.random.choice(self.pool)

    def losses(self, pixels: torch.Tensor, texts: list[str]) -> tuple[torch.Tensor, torch.Tensor]:
        rows = [self.preset.ids(t) for t in texts]
        longest = max(map(len, rows))
        labels = torch.tensor([row + [-100] * (longest - len(row)) for row in rows], device=self.device)
        inputs = torch.cat([torch.full_like(labels[:, :1], BOS), labels[:, :-1].clamp(min=0)], 1)
        inputs[:, 1:][labels[:, :-1] == -100] = PAD
        values = pixels.to(self.device).permute(0, 3, 1, 2).float() / 127.5 - 1
        with torch.autocast(self.device.type, torch.bfloat16):
            out = self.model(pixel_values=values, decoder_input_ids=inputs, use_cache=False)
            helper = self.helper(out.encoder_last_hidden_state[:, 1:])
        main = F.cross_entropy(out.logits.float().flatten(0, 1), labels.flatten(), ignore_index=-100)
        lengths = torch.tensor([len(row) - 1 for row in rows])
        targets = torch.cat([torch.tensor(row[:-1]) for row in rows])
        frames = torch.full((len(rows),), helper.shape[1])
        logp = helper.float().log_softmax(-1).transpose(0, 1)
        return main, F.ctc_loss(logp, targets, frames, lengths, blank=PAD, zero_infinity=True)

    def train_step(self) -> tuple[float, float]:
        for group in self.optimizer.param_groups:
            group["lr"] = self.rate()
        main, helper = self.losses(*self.next_batch())
        self.optimizer.zero_grad(set_to_none=True)
        (main + self.args.ctc * helper).backward()
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self.optimizer.step()
        return main.item(), helper.item()

    def report(self, sums: list[float], count: int) -> None:
        print(f"step {self.step} {self.elapsed:.0f}s lr {self.rate():.2e} loss {sums[0] / count:.4f} helper {sums[1] / count:.4f}", flush=True)

    def run(self) -> None:
        saved, sums, count = time.monotonic(), [0.0, 0.0], 0
        while self.progress() < 1:
            began = time.monotonic()
            values = self.train_step()
            sums, count = [a + b for a, b in zip(sums, values)], count + 1
            self.step += 1
            self.elapsed += time.monotonic() - began
            if self.step % 100 == 0:
                self.report(sums, count)
                sums, count = [0.0, 0.0], 0
            if time.monotonic() - saved > self.args.save_every:
                self.save()
                self.quick_check()
                saved = time.monotonic()
        self.save()
        self.quick_check()

    def quick_check(self) -> None:
        self.model.eval()
        print(f"  held-out fonts: {score(read_folder_free(self.model, self.preset, 200, seed=99))}", flush=True)
        self.model.train()


def main() -> None:
    args = arguments()
    torch.set_num_threads(args.threads)
    Trainer(args).run()


if __name__ == "__main__":
    main()
