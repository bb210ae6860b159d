"""Builds, verifies and measures the CUDA backend on a Linux machine with a GPU and no network; nothing is downloaded.

    python3 tools/gpu-check STAGE [options]

Stages: build; verify; ceilings; bench MODEL (vit-gpt2, trocr-base, donut-base, nougat-base). Each ends within --minutes, and the
same command goes on where it stopped. README.md beside this file describes them. The last line is "N passed, N failed[, N skipped]".
"""
import argparse
import importlib
import os
import re
import sys

import machine
from runner import Records, Skipped, Stage

STAGES = ("build", "verify", "ceilings", "bench")


def parse(argv):
    parser = argparse.ArgumentParser(prog="gpu-check", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("stage", choices=STAGES)
    parser.add_argument("model", nargs="?", help="bench: which model's shapes")
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda", help="cpu runs the same steps without a GPU")
    parser.add_argument("--tiny", action="store_true", help="bench: small shapes, to try the harness itself")
    parser.add_argument("--minutes", type=float, default=9.0, help="when to stop (default 9)")
    parser.add_argument("--variants", type=re.compile, metavar="REGEXP", help="bench: which engines (default on a GPU: 16$)")
    parser.add_argument("--only", default="", metavar="REGEXP", help="only the steps whose name matches")
    parser.add_argument("--fresh", action="store_true", help="forget what earlier calls of this stage found")
    parser.add_argument("--list", action="store_true", help="print the steps' names and stop")
    parser.add_argument("--bundle", default=str(machine.ROOT / "build" / "gpu-bundle.tar"), help="file made by tools/gpu-bundle")
    parser.add_argument("--work", default=str(machine.WORK), help="folder of records and checkpoints")
    parser.add_argument("--out", default=os.environ.get("OUT"), help="folder that gets results (default: $OUT)")
    parser.add_argument("--merge", metavar="FILE", help="gpu-check.json of an earlier machine: its finished steps count")
    options = parser.parse_args(argv)
    if (options.stage == "bench") != (options.model is not None):
        parser.error("bench takes the name of a model, the other stages take none")
    return options


def main(argv):
    options = parse(argv)
    module = importlib.import_module(f"stage_{options.stage}")
    name = "-".join(filter(None, (options.stage, options.model, options.device, options.tiny and "tiny")))
    records = Records(options.work, options.out, options.merge)
    if options.fresh:
        records.clear(name)
    stage = Stage(name, records, options.minutes * 60, options.only)
    try:
        steps = module.steps(options, stage)
    except Skipped as reason:
        print(f"gpu-check {options.stage}: {reason}")
        print("0 passed, 0 failed, 1 skipped")
        return 0
    if options.list:
        print("\n".join(step.name for step in steps))
        return 0
    try:
        good = stage.run(steps)
    finally:
        getattr(module, "close", lambda: None)()
    getattr(module, "report", lambda *_: None)(options, stage)
    print(stage.closing())
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
