"""The processes that are compared. They stay alive and hold their models, so that cells can go from one to the next and back."""
import collections
import json
import os
import pathlib
import queue
import re
import subprocess
import sys
import threading
import time

import machine
from machine import BUNDLE, HERE, LOGS, ROOT
from runner import Failed, end_group
from unpack import about, sources_digest

START_LIMIT = 150.0  # importing torch and reading a checkpoint, several at a time


def variants(device):
    """{name: settings}. A variant is compared with ours of the same width; without --variants the 16-bit ones run on a GPU."""
    if device == "cpu":
        settings = dict(device="cpu", threads=1)
        return {"ours fp32": dict(settings, half="ours", dtype="float32"),
                "torch eager fp32": dict(settings, half="torch", dtype="fp32", attention="eager"),
                "torch sdpa fp32": dict(settings, half="torch", dtype="fp32", attention="sdpa"),
                "torch compiled fp32": dict(settings, half="torch", dtype="fp32", attention="sdpa", compiled=True)}
    found = {}
    for short, long in (("fp16", "float16"), ("bf16", "bfloat16"), ("fp32", "float32")):
        found[f"ours {short}"] = dict(half="ours", device="cuda", dtype=long)
        found[f"torch eager {short}"] = dict(half="torch", device="cuda", dtype=short, attention="eager")
        found[f"torch sdpa {short}"] = dict(half="torch", device="cuda", dtype=short, attention="sdpa")
    del found["torch eager bf16"]
    for short in ("fp16", "fp32"):  # last: compiling may use up the time of a cell
        found[f"torch compiled {short}"] = dict(half="torch", device="cuda", dtype=short, attention="sdpa", compiled=True)
    return found


def selected(options):
    """The variants of this call, as copies."""
    pattern = options.variants or re.compile("16$" if options.device == "cuda" else "")
    return {name: dict(value) for name, value in variants(options.device).items() if pattern.search(name)}


def exact(device):
    """The pair whose ids are compared: float32 in both."""
    return {"ours exact": dict(half="ours", device=device, dtype="float32"),
            "torch exact": dict(half="torch", device=device, dtype="fp32", attention="eager")}


def package():
    """The folder whose dist/ fits the addon: the bundle's if it is of these sources, else the checkout's own."""
    if (BUNDLE / "bundle.json").exists() and about(BUNDLE)["sources"] == sources_digest(ROOT):
        return BUNDLE
    if (ROOT / "dist" / "index.js").exists():
        return ROOT
    raise Failed("no dist/ of this checkout's sources, neither in a bundle nor here: gpu-check build first")


class Driver:
    def __init__(self, name, settings, folder, rows):
        self.name = name
        self.log = LOGS / f"bench-{re.sub('[^a-z0-9]+', '-', name)}.log"
        self.log.parent.mkdir(parents=True, exist_ok=True)
        self.why = None  # why it is no longer there
        env = dict(os.environ)
        settings = {key: value for key, value in settings.items() if key != "half"}
        if name.startswith("torch"):
            args = [sys.executable, str(HERE / "torch_half.py"), str(folder), json.dumps(settings)]
        else:
            if settings.pop("traced", False):
                env.update(VED_TRACE="1", VED_NO_RUN_AHEAD="1")  # programs one by one
            if settings.pop("oneStream", False):
                env["VED_CUDA_STREAMS"] = "1"
            env.update(machine.native_environment())
            driver = str(HERE / "node" / "driver.cjs")
            args = [machine.node(), "--max-old-space-size=16384", driver, str(package()), str(folder), json.dumps({**settings, "maxBatch": rows})]
        with open(self.log, "wb") as errors:
            self.child = subprocess.Popen(args, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, env=env, text=True,
                                          start_new_session=True)
        self.lines = queue.Queue()
        threading.Thread(target=self.read, daemon=True).start()
        self.about = None

    def read(self):
        for line in self.child.stdout:
            if line.startswith("{"):
                self.lines.put(line)
        self.lines.put(None)

    def next(self, limit):
        try:
            line = self.lines.get(timeout=max(limit, 0.1))
        except queue.Empty:
            return self.end(f"no answer after {limit:.0f} s")
        return json.loads(line) if line else self.end("ended by itself: " + self.last_words())

    def last_words(self):
        lines = self.log.read_text(errors="replace").strip().splitlines()
        errors = [line.strip() for line in lines if re.match(r"\s*\w*(Error|Exception)\b", line)]
        return (errors or lines or ["it said nothing"])[-1][:300]

    def ready(self, limit):
        if self.about is None and self.why is None:
            answer = self.next(limit)
            self.about = answer if self.why is None else None
        return self.about is not None

    def ask(self, request, limit):
        if self.why:
            return dict(error=self.why)
        try:
            self.child.stdin.write(json.dumps(request) + "\n")
            self.child.stdin.flush()
        except OSError:
            return self.end("ended by itself: " + self.last_words())
        return self.next(limit)

    def end(self, why):
        self.why = why
        end_group(self.child)
        return dict(error=why)


class Drivers:
    """Started when first asked for, all at once, and kept. One that ended is started again, but not for ever."""

    STARTS = 3

    def __init__(self):
        self.running, self.starts = {}, collections.Counter()

    def get(self, wanted, folder, rows, limit=START_LIMIT):
        for name, settings in wanted.items():
            ended = name not in self.running or self.running[name].why
            if ended and (name not in self.running or self.starts[name] < self.STARTS):
                self.starts[name] += 1
                self.running[name] = Driver(name, settings, folder, rows)
        deadline = time.monotonic() + limit
        chosen = {name: self.running[name] for name in wanted}
        for driver in chosen.values():
            driver.ready(deadline - time.monotonic())
        return chosen

    def close(self, *names):
        for name in names or list(self.running):
            driver = self.running.pop(name, None)
            if driver and not driver.why:
                driver.end("closed")


def traced(driver, request, limit):
    """Milliseconds of each kind of program in one generate: {encode, cross, decode, head}, as the engine's trace says."""
    answer = driver.ask(dict(request, op="phases"), limit)
    if "ms" not in answer:
        return answer
    text = pathlib.Path(driver.log).read_text(errors="replace").rsplit("ved-bench: begin", 1)[-1].split("ved-bench: end")[0]
    sums = {}
    for what, ms in re.findall(r"^ved: (\w+), \d+ rows, ([\d.]+) ms", text, re.M):
        entry = sums.setdefault(what, dict(runs=0, ms=0.0))
        entry["runs"] += 1
        entry["ms"] += float(ms)
    return dict(phases=sums) if sums else dict(unsupported="the engine printed no trace")
