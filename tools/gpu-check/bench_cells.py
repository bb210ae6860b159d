"""What is measured for a model, and how one cell goes round all variants."""
import dataclasses
import statistics
import time

from floors import Swin, encoder_seconds, end_to_end_seconds, step_seconds

ROUNDS = 3
SECONDS = 0.7  # timed runs of one request
MOST = 12
STEP_LENGTH = 16  # tokens in the cache


@dataclasses.dataclass(frozen=True)
class Cell:
    kind: str  # encoder, step, generate, phases
    batch: int  # images; rows for step
    beams: int = 1
    compiled: bool = False  # compiling takes up to a minute per shape
    limit: float = 90.0

    @property
    def name(self):
        label = self.kind if self.kind != "generate" else ("greedy" if self.beams == 1 else f"beam{self.beams}")
        return f"{label}-{self.batch}"

    def requests(self, batch, tokens):
        if self.kind == "encoder":
            return {"all": dict(op="encoder", batch=batch)}
        if self.kind == "step":
            return {"all": dict(op="step", rows=batch, length=STEP_LENGTH)}
        common = dict(op="generate", batch=batch, beams=self.beams)
        return {"first": dict(common, tokens=1), "all": dict(common, tokens=tokens)}

    def wants(self, settings):
        """Encoder and step alone are not on our public surface: `traced_part` says what the engine's trace has of them."""
        if settings.get("compiled"):
            return self.compiled and self.kind != "step"
        return settings["half"] == "torch" or self.kind == "generate"

    def traced_part(self, phases):
        """Milliseconds of our encoder or of one decode step in a traced generate: {program: {runs, ms}}."""
        if self.kind == "encoder":
            return phases["encode"]["ms"]
        return sum(phases[name]["ms"] for name in ("decode", "head") if name in phases) / phases["decode"]["runs"]

    def floor(self, shape, rate, bandwidth):
        """Seconds, for the whole batch."""
        if self.kind == "encoder":
            return encoder_seconds(shape, self.batch, rate, bandwidth)
        if self.kind == "step":
            return step_seconds(shape, self.batch, STEP_LENGTH, bandwidth)
        return end_to_end_seconds(shape, self.batch, shape.new_tokens, self.beams, rate, bandwidth)

    def step_floor(self, shape, bandwidth):
        steps = range(2, shape.new_tokens + 1)
        return statistics.mean(step_seconds(shape, self.batch * self.beams, t, bandwidth, self.batch) for t in steps)


def cells(shape, tiny):
    """The important ones first: time may run out. 256 Donut images would be 15 GB of pixels: it stops at 64, whose beams are 256 rows."""
    if tiny:
        return [Cell("generate", 1, compiled=True, limit=300.0), Cell("generate", 3, limit=60.0), Cell("generate", 2, 4, limit=60.0),
                Cell("encoder", 1, limit=60.0), Cell("encoder", 3, limit=60.0), Cell("step", 3, limit=60.0), Cell("phases", 3, limit=60.0)]
    large = isinstance(shape.encoder, Swin) and shape.encoder.tokens > 2000
    encoder = (1, 8, 32) if large else (1, 32, 256)
    most = 64 if large else 256
    found = [Cell("generate", 1, compiled=True, limit=170.0), Cell("generate", 64, compiled=True, limit=170.0)]
    found += [Cell("encoder", batch, compiled=batch < most, limit=100.0) for batch in encoder]
    found += [Cell("generate", 64, 4, limit=120.0), Cell("generate", 1, 4), Cell("generate", 8)]
    found += [] if large else [Cell("generate", 256, limit=120.0)]
    found += [Cell("generate", 16, 4)]
    found += [Cell("step", rows, limit=60.0) for rows in (1, 8, 64, 256) if rows <= most]
    return found + [Cell("phases", batch, limit=60.0) for batch in (1, 64)]


def ask(cell, driver, batch, tokens, warmup, limit):
    """One variant's turn: {part: [ms]}, halving the batch until it fits; or why there is nothing."""
    deadline = time.monotonic() + limit
    while True:
        parts = {}
        for part, request in cell.requests(batch, tokens).items():
            request.update(seconds=SECONDS, most=MOST, warmup=warmup)
            answer = driver.ask(request, deadline - time.monotonic())
            if "ms" not in answer:
                break
            parts[part] = answer["ms"]
        if "ms" in answer:
            return batch, parts, None
        if not answer.get("oom") or batch == 1:
            return batch, {}, "out of memory" if answer.get("oom") else answer.get("unsupported") or answer.get("error")
        batch //= 2


def measure(cell, drivers, settings, tokens, limit):
    """Rounds over all variants, one after the other, so that what slows the machine for a while slows all of them."""
    began = time.monotonic()
    result = {name: dict(batch=cell.batch, parts={}, note=None) for name in drivers if cell.wants(settings[name])}
    rounds = 0
    for round_ in range(ROUNDS):
        share = (time.monotonic() - began) / max(rounds, 1)
        if rounds and time.monotonic() - began + share > limit:
            break
        for name, entry in result.items():
            if entry["note"]:
                continue
            left = limit - (time.monotonic() - began)
            if left < 2.0 and round_ == 0:
                entry["note"] = "no time left"
                continue
            warmup = 2 if round_ == 0 else 1
            entry["batch"], parts, note = ask(cell, drivers[name], entry["batch"], tokens, warmup, max(left, 15.0))
            entry["note"] = None if entry["parts"] and note else note
            for part, times in parts.items():
                entry["parts"].setdefault(part, []).extend(times)
        rounds += 1
    return dict(kind=cell.kind, batch=cell.batch, beams=cell.beams, tokens=tokens, rounds=rounds, variants=result)
