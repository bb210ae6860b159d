#!/usr/bin/env python3
"""Checks of gpu-check's own code that need neither a GPU nor torch. usage: python3 selfcheck.py"""
import argparse
import contextlib
import io
import os
import re
import sys
import tempfile
import unittest

import bench_cells
import bench_report
import floors
import stage_bench
import stage_build
import stage_ceilings
import stage_verify
from machine import architecture
from runner import Failed, Output, Records, Skipped, Stage, Step, command

PTXAS = """
ptxas info    : 0 bytes gmem
ptxas info    : Compiling entry function '_Z5plainPf' for 'sm_90a'
ptxas info    : Function properties for _Z5plainPf
    0 bytes stack frame, 0 bytes spill stores, 0 bytes spill loads
ptxas info    : Used 18 registers, used 1 barriers, 1024 bytes smem
ptxas info    : Compiling entry function '_Z5heavyPf' for 'sm_90a'
ptxas info    : Function properties for _Z5heavyPf
    64 bytes stack frame, 40 bytes spill stores, 44 bytes spill loads
ptxas info    : Used 255 registers, used 0 barriers
"""


def quiet(work):
    with contextlib.redirect_stdout(io.StringIO()):
        return work()


class Resuming(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)
        self.ran = []

    def stage(self, seconds=60):
        return Stage("s", Records(self.folder.name + "/work", self.folder.name + "/out"), seconds)

    def step(self, name, outcome=None, **more):
        def run(_):
            self.ran.append(name)
            if outcome:
                raise outcome
            return {"value": name}
        return Step(name, run, **more)

    def test_finished_steps_are_not_run_again(self):
        steps = [self.step("a"), self.step("b", Failed("wrong", {"seen": 1})), self.step("c", Skipped("no tool")), self.step("d")]
        first = self.stage()
        self.assertFalse(quiet(lambda: first.run(steps)))
        self.assertEqual(first.counts, dict(passed=2, failed=1, skipped=1))
        self.assertEqual(first.records.of("s")["b"]["result"], {"seen": 1})
        self.ran.clear()
        quiet(lambda: self.stage().run([*steps, self.step("new")]))
        self.assertEqual(self.ran, ["new", "b", "c"], "steps never tried come first, finished ones not at all")
        self.assertTrue(os.path.exists(self.folder.name + "/out/gpu-check.json"))

    def test_a_new_key_or_a_lost_product_runs_a_step_again(self):
        product = self.folder.name + "/product"
        open(product, "w").close()
        quiet(lambda: self.stage().run([self.step("a", key="1", products=(product,))]))
        quiet(lambda: self.stage().run([self.step("a", key="1", products=(product,))]))
        self.assertEqual(self.ran, ["a"])
        quiet(lambda: self.stage().run([self.step("a", key="2", products=(product,))]))
        os.remove(product)
        quiet(lambda: self.stage().run([self.step("a", key="2", products=(product,))]))
        self.assertEqual(self.ran, ["a"] * 3)

    def test_without_time_steps_are_left_for_the_next_call(self):
        stage = self.stage(seconds=0)
        self.assertFalse(quiet(lambda: stage.run([self.step("a")])))
        self.assertEqual((self.ran, stage.left), ([], ["a"]))

    def test_a_program_over_its_limit_is_ended_and_recorded(self):
        log = self.folder.name + "/log"
        stage = self.stage()
        quiet(lambda: stage.run([Step("slow", lambda limit: command(["sleep", "60"], limit, log), limit=0.5)]))
        record = stage.records.of("s")["slow"]
        self.assertEqual(record["status"], "failed")
        self.assertLess(record["seconds"], 30)

    def test_an_earlier_machines_records_count(self):
        quiet(lambda: self.stage().run([self.step("a")]))
        other = Records(self.folder.name + "/other", None, merge=self.folder.name + "/out/gpu-check.json")
        stage = Stage("s", other, 60)
        quiet(lambda: stage.run([self.step("a")]))
        self.assertEqual(self.ran, ["a"])


class Reading(unittest.TestCase):
    def test_registers_and_spills(self):
        heavy, plain = stage_build.kernels(PTXAS)
        self.assertEqual(heavy, dict(kernel="_Z5heavyPf", architecture="sm_90a", stack=64, spillStores=40, spillLoads=44,
                                     registers=255, shared=0))
        self.assertEqual((plain["registers"], plain["shared"], plain["spillStores"]), (18, 1024, 0))

    def test_architectures(self):
        self.assertEqual([architecture(c) for c in ((8, 0), (8, 9), (9, 0), (10, 0), (12, 0))], ["80", "89", "90a", "100a", "120"])

    def test_tests_that_found_no_gpu_fail_on_a_gpu(self):
        text = "ved_tests: cuda: 0 GPU tests run: no driver\nved_tests: 70 passed, 0 failed, 0 skipped\n"
        self.assertEqual(stage_verify.judged(Output(0, text), "log", False)["passed"], 70)
        with self.assertRaisesRegex(Failed, "found no GPU: 0 GPU tests run: no driver"):
            stage_verify.judged(Output(0, text), "log", True)

    def test_failures_crashes_and_silence_fail(self):
        for code, text in ((1, "FAIL x\n3 passed, 1 failed\n"), (139, "3 passed, 0 failed\n"), (0, ""), (0, "0 passed, 0 failed\n")):
            with self.assertRaises(Failed):
                stage_verify.judged(Output(code, text), "log", False)


class Floors(unittest.TestCase):
    def milliseconds(self, name, batches):
        return [round(floors.encoder_seconds(floors.SHAPES[name], batch) * 1e3, 2) for batch in batches]

    def test_encoders(self):
        # Worked out apart from this code: 35.1, 111.0, 2586 and 310.2 GFLOP an image at 790 TFLOP/s.
        flops = {name: round(shape.encoder.flops() / 1e9, 1) for name, shape in floors.SHAPES.items()}
        self.assertEqual(flops, {"vit-gpt2": 35.1, "trocr-base": 111.0, "donut-base": 2586.3, "nougat-base": 310.2})
        self.assertEqual(self.milliseconds("vit-gpt2", (1, 32, 256)), [0.04, 1.42, 11.38])
        self.assertEqual(self.milliseconds("nougat-base", (1, 32, 256)), [0.39, 12.56, 100.52])

    def test_steps(self):
        def microseconds(name, length):
            return [round(floors.step_seconds(floors.SHAPES[name], rows, length) * 1e6) for rows in (1, 8, 64, 256)]
        self.assertEqual(microseconds("trocr-base", 16), [113, 161, 546, 1865])
        self.assertEqual(microseconds("donut-base", 512), [75, 217, 1357, 5264])
        beams = floors.step_seconds(floors.SHAPES["trocr-base"], 256, 16, images=64, logits=False)
        self.assertEqual(round(beams * 1e6), 575, "beams of an image share its cross-attention cache")

    def test_gemm_shapes_name_every_product(self):
        for shape in floors.SHAPES.values():
            shapes = floors.gemm_shapes(shape)
            self.assertEqual(len({name for name, *_ in shapes}), len(shapes))
            self.assertTrue(all(":" not in name for name, *_ in shapes))

    def test_ceilings_measured_here_replace_the_defaults(self):
        with tempfile.TemporaryDirectory() as folder:
            records = Records(folder, None)
            self.assertEqual(stage_ceilings.measured(records)[:2], (floors.RATE, floors.BANDWIDTH))
            lines = [dict(name="copy", value=4000.0), dict(name="peak, bf16", value=700.0), dict(name="peak, fp32", value=60.0)]
            records.put("ceilings-cuda", "all", dict(status="passed", result=lines))
            self.assertEqual(stage_ceilings.measured(records)[:2], (700e12, 4000e9))


class Compared(unittest.TestCase):
    def test_torch_over_ours(self):
        found = {"select greedy, 8 rows": 10.0, "torch select greedy, 8 rows": 35.0, "torch prepare x": 2.0, "copy": 4000.0}
        self.assertEqual(stage_ceilings.ratios(found), [("torch select greedy, 8 rows", 3.5)])

    def test_both_sides_name_the_same_measurements(self):
        here = stage_ceilings.SOURCES
        ours = (here / "images.cu").read_text()
        torch = (here.parent / "torch_ops.py").read_text()
        names = re.findall(r'"(\d+ \w+ of \d[^"]*)"', ours)
        self.assertEqual(names, re.findall(r'"(\d+ \w+ of \d[^"]*)"', torch))
        self.assertEqual(len(names), 3)
        ways = re.findall(r'\{"(\w+)", ops::Pick', (here / "selection.cu").read_text())
        self.assertEqual(ways, re.findall(r"^def (greedy|draw|beams)\(", torch, re.M))

    def test_overlap_is_reported_as_a_ratio(self):
        variants = {"ours fp16, two streams": dict(parts=dict(all=[4.0, 2.0, 3.0])), "ours fp16, one stream": dict(parts=dict(all=[4.5]))}
        rows = bench_report.overlap_rows(dict(overlap=dict(result=dict(batch=8, rows=2, variants=variants))))
        self.assertEqual(rows, [["ours fp16, two streams", 2, "3.000", "2666.7", "1.00"], ["ours fp16, one stream", 2, "4.500", "1777.8", "1.50"]])
        self.assertEqual(bench_report.overlap_rows({}), [])


class FakeDriver:
    """Answers like a half of the benchmark that holds at most `fits` images."""

    def __init__(self, ms, fits=1000):
        self.ms, self.fits, self.asked = ms, fits, []

    def ask(self, request, _):
        self.asked.append(request)
        return dict(ms=[self.ms * request["tokens"]] * 2) if request["batch"] <= self.fits else dict(oom=True)


class Bench(unittest.TestCase):
    settings = {"ours fp16": dict(half="ours"), "torch eager fp16": dict(half="torch"),
                "torch compiled fp16": dict(half="torch", compiled=True)}

    def measure(self, cell, drivers):
        return bench_cells.measure(cell, drivers, self.settings, 5, 60)

    def test_variants_take_turns_and_ratios_are_per_image(self):
        drivers = {"ours fp16": FakeDriver(1.0), "torch eager fp16": FakeDriver(6.0, fits=2), "torch compiled fp16": FakeDriver(1.0)}
        result = self.measure(bench_cells.Cell("generate", 8), drivers)
        self.assertEqual(result["rounds"], bench_cells.ROUNDS)
        self.assertNotIn("torch compiled fp16", result["variants"], "compiled only where the cell says so")
        theirs = result["variants"]["torch eager fp16"]
        self.assertEqual((theirs["batch"], len(theirs["parts"]["all"])), (2, 2 * bench_cells.ROUNDS))
        self.assertEqual(bench_report.times(theirs, 5), dict(total=30.0, first=6.0, step=6.0))
        self.assertAlmostEqual(bench_report.ratio(result, "torch eager fp16", "ours fp16", "total", 5), (30 / 2) / (5 / 8))

    def test_what_does_not_fit_at_all_is_said(self):
        drivers = {"ours fp16": FakeDriver(1.0), "torch eager fp16": FakeDriver(6.0, fits=0)}
        result = self.measure(bench_cells.Cell("generate", 2), drivers)
        self.assertEqual(result["variants"]["torch eager fp16"], dict(batch=1, parts={}, note="out of memory"))

    def test_bars_are_complete_and_judge(self):
        options = argparse.Namespace(model="trocr-base")
        shape = floors.SHAPES["trocr-base"]
        cells = bench_cells.cells(shape, False)
        known = {}
        for cell in cells:
            if cell.kind == "generate" and cell.beams == 1:
                drivers = {"ours fp16": FakeDriver(1.0), "torch eager fp16": FakeDriver(10.0)}
                known[cell.name] = dict(result=self.measure(cell, drivers))
        rows = {row[0]: row[1:] for row in bench_report.bars(options, known, cells, shape, floors.RATE, floors.BANDWIDTH)}
        self.assertEqual(rows["greedy-1: torch eager over ours, end to end, fp16"], ["10.00", "20", "missed"])
        self.assertEqual(rows["greedy-64: torch eager over ours, end to end, fp16"], ["10.00", "6", "met"])
        self.assertEqual(rows["greedy-1: torch compiled over ours, end to end, fp16"][0], "not measured")
        self.assertEqual(rows["greedy-1: step over its floor"][2], "missed")
        self.assertEqual(rows["encoder-256: share of the peak"][0], "not measured")

    def test_ids_that_differ_are_placed(self):
        self.assertEqual(stage_bench.compare_rows([[1, 2, 3], [4, 5, 6]], [[1, 2, 3], [4, 9, 6]], [[1, 1, 1], [1, 0.5, 1]]), [(1, 1, 0.5)])

    def test_every_model_has_the_cells_that_the_bars_need(self):
        for shape in floors.SHAPES.values():
            names = [cell.name for cell in bench_cells.cells(shape, False)]
            self.assertEqual(len(names), len(set(names)))
            self.assertLessEqual({"greedy-1", "greedy-64", "beam4-64", "encoder-1", "step-64"}, set(names))


def main():
    loader = unittest.TestLoader()
    result = unittest.TextTestRunner(stream=sys.stdout, verbosity=0).run(loader.loadTestsFromModule(sys.modules[__name__]))
    failed = len(result.failures) + len(result.errors)
    print(f"{result.testsRun - failed - len(result.skipped)} passed, {failed} failed")
    return 1 if failed or not result.testsRun else 0


if __name__ == "__main__":
    sys.exit(main())
