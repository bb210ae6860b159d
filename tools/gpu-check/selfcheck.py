#!/usr/bin/env python3
"""Checks of gpu-check's own code that need neither a GPU nor torch. usage: python3 selfcheck.py"""
import contextlib
import io
import os
import sys
import tempfile
import unittest

import floors
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


def main():
    loader = unittest.TestLoader()
    result = unittest.TextTestRunner(stream=sys.stdout, verbosity=0).run(loader.loadTestsFromModule(sys.modules[__name__]))
    failed = len(result.failures) + len(result.errors)
    print(f"{result.testsRun - failed - len(result.skipped)} passed, {failed} failed")
    return 1 if failed or not result.testsRun else 0


if __name__ == "__main__":
    sys.exit(main())
