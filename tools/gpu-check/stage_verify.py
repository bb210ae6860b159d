"""verify: op cases, golden parity and the sanitizers on the device. A further test is a line in one of the lists below."""
import re

import machine
from machine import BUNDLE, HERE, LOGS, ROOT
from runner import Failed, Skipped, Step, command

CMAKE = ROOT / "build" / "gpu-check" / "cmake"

# Test files of the bundle, run with VED_TEST_DEVICE set to the device:
# name, files or folders, --match expression, limit in seconds, further environment.
SUITES = [
    ("parity", ["test/parity"], "", 240, {}),
    ("engine", ["test/unit"], "engine-(batching|stream)", 120, {}),
    # Encoder runs among decode steps instead of beside them.
    ("engine-one-stream", ["test/unit"], "engine-batching", 120, {"VED_CUDA_STREAMS": "1"}),
    ("cuda-tests", ["test/cuda"], "", 200, {}),
    # 16-bit products by our own kernels alone, and all of them by cuBLAS: with neither said, the shape decides.
    ("precision-own", ["test/cuda"], "precision", 200, {"VED_CUDA_PRODUCTS": "own"}),
    ("precision-cublas", ["test/cuda"], "precision", 200, {"VED_CUDA_PRODUCTS": "cublas"}),
]

# What runs under compute-sanitizer, on tiny shapes: name, what it is, arguments.
SANITIZED = [
    ("ops", "ved_tests", []),
    ("generate", "suite", ["test/parity", "--match", "^parity/models: vit-gpt2: "]),
]
TOOLS = {"memcheck": 240, "racecheck": 300, "initcheck": 240, "synccheck": 240}  # limit in seconds


def environment(options):
    return {**machine.native_environment(), "VED_TEST_DEVICE": options.device}


def ved_tests():
    program = CMAKE / "ved_tests"
    if not program.exists():
        raise Skipped("ved_tests is not compiled: gpu-check build first")
    return str(program)


def closing_counts(text):
    """Counts of "N passed, N failed[, N skipped]", alone on the last line or behind "ved_tests: "."""
    lines = [re.fullmatch(r"(?:ved_tests: )?(\d+) passed, (\d+) failed(?:, (\d+) skipped)?", line.strip()) for line in text.splitlines()]
    closing = [match for match in lines if match]
    return dict(zip(("passed", "failed", "skipped"), (int(n or 0) for n in closing[-1].groups()))) if closing else None


def judged(output, log, must_name_device):
    counts = closing_counts(output.text)
    if counts is None:
        raise Failed(f"no closing line, exit code {output.code}; {log}:\n{output.tail()}")
    bad = [line for line in output.text.splitlines() if re.match(r"not ok |FAIL ", line)]
    if output.code != 0 or counts["failed"] or not counts["passed"]:
        raise Failed(f"exit code {output.code}, {counts}; {log}:\n" + "\n".join(bad[:20]), counts)
    without = re.search(r"0 GPU tests run.*", output.text)
    if must_name_device and without:
        raise Failed(f"the tests found no GPU: {without[0]}", counts)
    return counts


def op_cases(options):
    def run(limit):
        log = LOGS / f"verify-ops-{options.device}.log"
        output = command([ved_tests()], limit, log, env=environment(options))
        return judged(output, log, options.device == "cuda")
    return run


def suite(options, name, files, match, further):
    def run(limit):
        if further.get("VED_CUDA_PRODUCTS") == "cublas" and not machine.cublas_library():
            raise Skipped("libcublasLt is not there: VED_CUBLAS_PATH names it")
        present = [file for file in files if (BUNDLE / file).exists()]
        if not present:
            raise Skipped(f"the bundle has no {', '.join(files)}")
        log = LOGS / f"verify-{name}-{options.device}.log"
        args = ["run-tests.cjs", *(["--match", match] if match else []), *present]
        return judged(machine.run_node(args, limit, log, env={**environment(options), **further}), log, False)
    return run


def repeat(options, dtype):
    """The same work in two processes: every bit of what comes out must be the same."""
    def run(limit):
        log = LOGS / f"verify-repeat-{dtype}-{options.device}.log"
        lines = []
        for _ in range(2):
            args = [HERE / "node" / "repeat.cjs", BUNDLE, BUNDLE / "test/golden/models/vit-gpt2", options.device, dtype]
            output = machine.run_node(args, limit / 2, log)
            if "UNSUPPORTED_DTYPE" in output.text:
                raise Skipped(f"{dtype} is not there on {options.device}")
            if output.code != 0:
                raise Failed(f"exit code {output.code}; {log}:\n{output.tail(5)}")
            lines.append(output.text.strip().splitlines()[-1])
        if lines[0] != lines[1] or not re.fullmatch(r"[0-9a-f]{64}", lines[0]):
            raise Failed(f"two runs differ: {lines}")
        return dict(passed=1, digest=lines[0])
    return run


def sanitized(options, tool, kind, arguments):
    def run(limit):
        checker = machine.tool("compute-sanitizer")
        log = LOGS / f"verify-{tool}-{kind}.log"
        program = [ved_tests()] if kind == "ved_tests" else [machine.node(), "run-tests.cjs", "--limit-s", "600"]
        args = [checker, "--tool", tool, "--error-exitcode", "99", "--target-processes", "all", *program, *arguments]
        output = command(args, limit, log, env=environment(options), cwd=BUNDLE if kind == "suite" else ROOT)
        summary = re.findall(r"=+ ((?:ERROR|RACECHECK) SUMMARY: .*)", output.text)
        if not summary:
            raise Failed(f"{tool} gave no summary, exit code {output.code}; {log}:\n{output.tail()}")
        clean = [line for line in summary if re.match(r"ERROR SUMMARY: 0 errors|RACECHECK SUMMARY: 0 hazards", line)]
        if len(clean) != len(summary) or output.code != 0:
            raise Failed(f"{'; '.join(summary)}, exit code {output.code}; {log}", summary)
        return {**(closing_counts(output.text) or {}), "summary": summary}
    return run


def gpu_steps(options, key):
    for tool, limit in TOOLS.items():
        for name, kind, arguments in SANITIZED:
            yield Step(f"{tool}-{name}", sanitized(options, tool, kind, arguments), limit, key)


def steps(options, _stage):
    if options.device == "cuda":
        try:
            machine.gpu()
        except Skipped as reason:
            raise Skipped(f"0 GPU tests run: {reason}") from reason
    key = f"{machine.product_key()} {machine.digest(BUNDLE / 'test')}"
    found = [Step("op-cases", op_cases(options), 300, key)]
    found += [Step(name, suite(options, name, files, match, further), limit, key)
              for name, files, match, limit, further in SUITES]
    dtypes = ("float32", "float16", "bfloat16") if options.device == "cuda" else ("float32",)
    found += [Step(f"repeat-{dtype}", repeat(options, dtype), 60, key) for dtype in dtypes]
    return found + (list(gpu_steps(options, key)) if options.device == "cuda" else [])


def report(options, stage):
    records = stage.records.of(stage.name)
    run = sum((r.get("result") or {}).get("passed", 0) for r in records.values() if isinstance(r.get("result"), dict))
    print(f"{run if options.device == 'cuda' else 0} GPU tests run, {run} tests in all")
