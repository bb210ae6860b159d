"""Records of a bench stage -> dated JSON for benchmarks/results, and tables: medians, ratios, shares of the floor, bars."""
import json
import pathlib
import statistics

import machine
from floors import Swin
from runner import now, write_whole
from stage_ceilings import measured

# What is asked for: end to end as multiples of transformers' speed, by batch; a step as a multiple of its floor, by rows.
SPEEDUPS = {1: {"torch eager": 20.0, "torch compiled": 5.0}, 64: {"torch eager": 6.0, "torch compiled": 2.0}}
SPEEDUPS_SWIN = {**SPEEDUPS, 64: {"torch eager": 2.5, "torch compiled": 1.5}}
STEP_MULTIPLES = {256: 1.4, 64: 1.6, 8: 2.6}
STEP_MULTIPLES_ONE_ROW = {"donut-base": 2.6, "trocr-base": 3.3, "nougat-base": 3.3, "vit-gpt2": 4.5}
ENCODER_SHARES = {False: 0.65, True: 0.5}  # of the peak product rate, by whether it is a Swin; at batch 1 no bar is set
BEAM_STEP = 1.6  # beam 4 over greedy at equal images


def times(entry, tokens):
    """Milliseconds {total, first, step} of a variant in a cell; {} where nothing was measured."""
    parts = {part: statistics.median(values) for part, values in entry["parts"].items() if values}
    if "all" not in parts:
        return {}
    found = dict(total=parts["all"])
    if "first" in parts:
        found.update(first=parts["first"])
        if parts["all"] > parts["first"]:
            found.update(step=(parts["all"] - parts["first"]) / max(tokens - 1, 1))
    return found


def per_image(entry, value):
    return value / entry["batch"]


def table(head, rows):
    if not rows:
        return ""
    lines = [head, ["---"] + ["---:"] * (len(head) - 1), *rows]
    return "\n".join("| " + " | ".join(str(value) for value in line) + " |" for line in lines)


def ratio(cell, variant, baseline, key, tokens):
    """How many times as long the variant takes per image as ours of the same width."""
    ours, theirs = cell["variants"].get(baseline), cell["variants"].get(variant)
    if not ours or not theirs:
        return None
    mine, other = times(ours, tokens).get(key), times(theirs, tokens).get(key)
    return per_image(theirs, other) / per_image(ours, mine) if mine and other else None


def baseline_of(variant):
    return f"ours {variant.rsplit(' ', 1)[-1]}"


def cell_rows(cell, record, shape, ceilings, on_gpu):
    result, tokens = record["result"], record["result"]["tokens"]
    rows = []
    for variant, entry in result["variants"].items():
        found = times(entry, tokens)
        if not found:
            rows.append([cell.name, variant, entry["note"] or "not measured", "", "", "", "", ""])
            continue
        ratios = [ratio(result, variant, baseline_of(variant), key, tokens) for key in ("total", "step")]
        floor = cell.floor(shape, *ceilings) / cell.batch * 1e3
        share = floor / per_image(entry, found["total"])
        share = f"{share:.1%}{' (impossible: the clock did not wait)' if share > 1.05 else ''}" if on_gpu else ""
        name = cell.name + (f" (fits {entry['batch']})" if entry["batch"] != cell.batch else "")
        rows.append([name, variant, f"{found['total']:.3f}", f"{entry['batch'] / found['total'] * 1e3:.1f}",
                     f"{found['step'] * 1e3:.1f}" if "step" in found else "", *(f"{r:.2f}" if r else "" for r in ratios), share])
    return rows


def bar(name, value, goal, at_least):
    if value is None:
        return [name, "not measured", f"{goal:g}", ""]
    met = value >= goal if at_least else value <= goal
    return [name, f"{value:.2f}", f"{goal:g}", "met" if met else "missed"]


def step_of(result, variant):
    entry = result["variants"].get(variant) if result else None
    return times(entry, result["tokens"]).get("step") if entry else None


def bars(options, known, cells, shape, rate, bandwidth):
    """Ours against the bars, in the first width that was measured; nothing is left out because it was not."""
    speedups = SPEEDUPS_SWIN if isinstance(shape.encoder, Swin) else SPEEDUPS
    multiples = {**STEP_MULTIPLES, 1: STEP_MULTIPLES_ONE_ROW[options.model]}
    results = {cell.name: known.get(cell.name, {}).get("result") or {} for cell in cells}
    measured_ = {name for result in results.values() for name, entry in result.get("variants", {}).items() if entry["parts"]}
    width = next((width for width in ("fp16", "bf16", "fp32") if f"ours {width}" in measured_), "fp16")
    rows = []
    for cell in cells:
        result = results[cell.name]
        if cell.kind == "encoder" and cell.batch > 1:
            mine = times(result["variants"].get(f"ours {width}", dict(parts={})), 1) if result else {}
            share = cell.floor(shape, rate, bandwidth) / mine["total"] * 1e3 if mine else None
            rows.append(bar(f"{cell.name}: share of the peak", share, ENCODER_SHARES[isinstance(shape.encoder, Swin)], True))
        if cell.kind != "generate":
            continue
        greedy = results.get(f"greedy-{cell.batch}")
        mine = step_of(result, f"ours {width}") if result else None
        if cell.beams > 1:
            alone = step_of(greedy, f"ours {width}") if greedy else None
            rows.append(bar(f"{cell.name}: step over greedy's", mine / alone if mine and alone else None, BEAM_STEP, False))
            continue
        for peer, goal in speedups.get(cell.batch, {}).items():
            value = ratio(result, f"{peer} {width}", f"ours {width}", "total", result["tokens"]) if result else None
            rows.append(bar(f"{cell.name}: {peer} over ours, end to end, {width}", value, goal, True))
        if cell.batch in multiples:
            floor = cell.step_floor(shape, bandwidth) * 1e3
            rows.append(bar(f"{cell.name}: step over its floor", mine / floor if mine else None, multiples[cell.batch], False))
    return rows


def phase_rows(known):
    rows = []
    for name, record in known.items():
        result = record.get("result")
        if isinstance(result, dict) and result.get("kind") == "phases":
            for what, entry in result["phases"].items():
                rows.append([name, what, entry["runs"], f"{entry['ms']:.3f}", f"{entry['ms'] / entry['runs']:.4f}"])
    return rows


def overlap_rows(known):
    """One row per order: milliseconds, images a second, and how many times as long as beside each other."""
    result = (known.get("overlap") or {}).get("result") or {}
    found = {name: statistics.median(entry["parts"]["all"]) for name, entry in result.get("variants", {}).items() if entry["parts"]}
    beside = next((value for name, value in found.items() if name.endswith("two streams")), None)
    return [[name, result["rows"], f"{value:.3f}", f"{result['batch'] / value * 1e3:.1f}", f"{value / beside:.2f}" if beside else ""]
            for name, value in found.items()]


def markdown(options, known, cells, shape, ceilings):
    rate, bandwidth, source = ceilings
    measured_cells = [(cell, known[cell.name]) for cell in cells if (known.get(cell.name, {}).get("result") or {}).get("variants")]
    on_gpu = options.device == "cuda"
    rows = [row for cell, record in measured_cells for row in cell_rows(cell, record, shape, (rate, bandwidth), on_gpu)]
    head = ["cell", "variant", "ms", "images/s", "step us", "total / ours", "step / ours", "share of floor"]
    parts = [f"## {options.model}{', tiny' if options.tiny else ''}, {options.device}, {now()}",
             f"Floors at {rate / 1e12:.0f} TFLOP/s and {bandwidth / 1e12:.2f} TB/s, {source}. {shape.new_tokens} new tokens; medians of "
             "interleaved rounds; step = (all tokens - first token) / (tokens - 1).", table(head, rows)]
    if on_gpu and not options.tiny:
        parts.append(table(["bar", "value", "goal", ""], bars(options, known, cells, shape, rate, bandwidth)))
    parts.append(table(["encoder beside decoder", "rows", "ms", "images/s", "over two streams"], overlap_rows(known)))
    parts.append(table(["phases", "program", "runs", "ms", "ms a run"], phase_rows(known)))
    ids = known.get("ids", {})
    parts.append(f"Ids in float32: {ids.get('status', 'not compared')}; {json.dumps(ids.get('result') or ids.get('reason'))[:600]}")
    return "\n\n".join(part for part in parts if part) + "\n"


def write(options, stage, shape, cells):
    known = stage.records.of(stage.name)
    ceilings = measured(stage.records)
    text = markdown(options, known, cells, shape, ceilings)
    print(text)
    meta = dict(date=now(), model=options.model, device=options.device, tiny=options.tiny, newTokens=shape.new_tokens,
                machine=machine.describe(), ceilings=dict(rate=ceilings[0], bandwidth=ceilings[1], source=ceilings[2]))
    name = f"{meta['date'][:16].replace(':', '')}-{options.device}-{options.model}{'-tiny' if options.tiny else ''}.json"
    content = json.dumps(dict(meta=meta, records=known), indent=1) + "\n"
    folder = pathlib.Path(options.work) / "results"
    folder.mkdir(parents=True, exist_ok=True)
    write_whole(folder / name, content)
    stage.records.share(name, content)
    stage.records.share(f"gpu-check-{options.model}.md", text)
