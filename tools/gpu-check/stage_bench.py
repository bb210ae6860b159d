"""bench MODEL: this package against PyTorch with transformers, on the same random weights, in turns."""
import pathlib
import sys
import time

import bench_report
import machine
from bench_cells import ROUNDS, Cell, cells, measure
from bench_drivers import Drivers, exact, selected, traced
from floors import SHAPES, TINY, Swin
from machine import HERE, LOGS
from runner import Failed, Skipped, Step, checked

DRIVERS = Drivers()
EXACT_IMAGES = 4
# Two float32 computations of the same logits differ by less; a closer decision may fall either way.
TIE = 1e-3


def close():
    DRIVERS.close()


def make_checkpoint(options, folder):
    def run(limit):
        args = [sys.executable, HERE / "checkpoint.py", folder, options.model, *(["--tiny"] if options.tiny else [])]
        checked(args, limit, LOGS / f"bench-checkpoint-{options.model}.log")
        return dict(bytes=(folder / "model.safetensors").stat().st_size)
    return run


def compare_rows(ours, theirs, margins=None):
    """Where each row differs first: [(row, position, margin of PyTorch's choice there)]."""
    found = []
    for row, (a, b) in enumerate(zip(ours, theirs, strict=True)):
        if a != b:
            place = next((i for i, (x, y) in enumerate(zip(a, b)) if x != y), min(len(a), len(b)))
            found.append((row, place, margins[row][place] if margins and place < len(margins[row]) else None))
    return found


def compare_ids(options, folder, tokens):
    """Greedy ids must be equal except where PyTorch itself nearly tied; beams are reported."""
    def run(limit):
        drivers = DRIVERS.get(exact(options.device), folder, EXACT_IMAGES * 4, limit)
        ours, theirs = drivers.values()
        request = dict(op="generate", batch=EXACT_IMAGES, beams=1, tokens=tokens, seconds=0, most=1, ids=True)
        answers = [ours.ask(request, limit), theirs.ask(dict(request, op="margins"), limit)]
        beams = [driver.ask(dict(request, beams=4), limit) for driver in (ours, theirs)]
        about = {name: driver.about for name, driver in drivers.items()}
        DRIVERS.close(*drivers)
        for answer in (*answers, *beams):
            if "ids" not in answer:
                raise Failed(str(answer.get("error") or answer), about)
        different = compare_rows(answers[0]["ids"], answers[1]["ids"], answers[1]["margins"])
        result = dict(about=about, images=EXACT_IMAGES, tokens=tokens, greedyDifferences=different,
                      distinctTokens=len({token for row in answers[1]["ids"] for token in row}),
                      beamDifferences=compare_rows(beams[0]["ids"], beams[1]["ids"]))
        wrong = [entry for entry in different if entry[2] is None or entry[2] > TIE]
        if wrong:
            raise Failed(f"greedy ids differ from PyTorch's in float32 (row, position, margin): {wrong}", result)
        return result
    return run


def run_cell(options, folder, cell, shape):
    def run(limit):
        settings = selected(options)
        for value in settings.values():
            value.update(dict(tokens=shape.new_tokens) if value.get("compiled") else {})
        deadline = time.monotonic() + limit
        left = lambda: max(deadline - time.monotonic(), 1.0)
        rows = max(c.batch * c.beams for c in cells(shape, options.tiny) if c.kind == "generate")
        if cell.kind == "phases":
            return phases(options, folder, cell, shape, rows, limit)
        wanted = {name: value for name, value in settings.items() if cell.wants(value)}
        drivers = DRIVERS.get(wanted, folder, rows, limit)
        result = measure(cell, drivers, settings, shape.new_tokens, left())
        if cell.kind in ("encoder", "step") and any(value["half"] == "ours" for value in settings.values()):
            result["variants"] = {**trace_part(options, folder, cell, shape, rows, left()), **result["variants"]}
        result["about"] = {name: driver.about for name, driver in drivers.items()}
        notes = {name: entry["note"] for name, entry in result["variants"].items() if entry["note"]}
        for name, note in notes.items():
            print(f"   {name}: {note}", flush=True)
        ours = {name: note for name, note in notes.items() if name.startswith("ours")}
        if ours or not any(entry["parts"] for entry in result["variants"].values()):
            raise Failed("; ".join(f"{name}: {note}" for name, note in (ours or notes).items()), result)
        return result
    return run


def trace(options, folder, cell, shape, rows, limit):
    """Our engine's own account of one generate, from a process of its own: with VED_TRACE=1 it waits for the device after each program."""
    first, settings = next(((name, value) for name, value in selected(options).items() if value["half"] == "ours"), (None, None))
    if not first:
        raise Skipped("no variant of ours is selected")
    drivers = DRIVERS.get({f"{first} traced": dict(settings, traced=True)}, folder, rows, limit)
    request = dict(batch=cell.batch, beams=1, tokens=1 if cell.kind == "encoder" else shape.new_tokens, warmup=2)
    return first, traced(next(iter(drivers.values())), request, limit)


def trace_part(options, folder, cell, shape, rows, limit):
    """Our entry in a cell that only the trace can fill: {variant: entry}."""
    times = []
    for _ in range(ROUNDS):
        first, answer = trace(options, folder, cell, shape, rows, limit)
        if "phases" not in answer:
            break
        times.append(cell.traced_part(answer["phases"]))
    note = None if times else answer.get("unsupported") or answer.get("error") or "out of memory"
    return {first: dict(batch=cell.batch, parts=dict(all=times) if times else {}, note=note)}


def phases(options, folder, cell, shape, rows, limit):
    _, answer = trace(options, folder, cell, shape, rows, limit)
    if "phases" not in answer:
        raise Skipped(answer.get("unsupported") or answer.get("error") or str(answer))
    return dict(kind="phases", batch=cell.batch, tokens=shape.new_tokens, phases=answer["phases"])


def overlap(options, folder, shape):
    """Four times as many images as rows: encoder runs beside decode steps, and the same in one stream."""
    def run(limit):
        first, settings = next(((name, value) for name, value in selected(options).items() if value["half"] == "ours"), (None, None))
        if not first:
            raise Skipped("no variant of ours is selected")
        rows = 2 if options.tiny else 16 if isinstance(shape.encoder, Swin) else 64
        variants = {f"{first}, two streams": settings, f"{first}, one stream": dict(settings, oneStream=True)}
        drivers = DRIVERS.get(variants, folder, rows, limit)
        result = measure(Cell("generate", 4 * rows), drivers, variants, shape.new_tokens, limit)
        DRIVERS.close(*drivers)
        notes = [entry["note"] for entry in result["variants"].values() if entry["note"]]
        if notes:
            raise Failed("; ".join(notes), result)
        return dict(result, kind="overlap", rows=rows)
    return run


def steps(options, _stage):
    if options.model not in SHAPES:
        raise SystemExit(f"gpu-check bench: expected one of {', '.join(SHAPES)}, got '{options.model}'")
    if options.device == "cuda":
        machine.gpu()
    shape = (TINY if options.tiny else SHAPES)[options.model]
    folder = pathlib.Path(options.work) / "checkpoints" / (options.model + ("-tiny" if options.tiny else ""))
    folder.mkdir(parents=True, exist_ok=True)
    weights = machine.digest(HERE / "checkpoint.py", HERE / "floors.py")
    key = f"{machine.product_key()} {weights} {' '.join(selected(options))}"
    found = [Step("checkpoint", make_checkpoint(options, folder), 240, weights, (str(folder / "bench.json"),)),
             Step("ids", compare_ids(options, folder, min(shape.new_tokens, 20)), 150, key)]
    for cell in cells(shape, options.tiny):
        found.append(Step(cell.name, run_cell(options, folder, cell, shape), cell.limit, key))
    if options.device == "cuda":
        found.append(Step("overlap", overlap(options, folder, shape), 120, key))
    return found


def report(options, stage):
    shape = (TINY if options.tiny else SHAPES)[options.model]
    bench_report.write(options, stage, shape, [cell for cell in cells(shape, options.tiny)])
