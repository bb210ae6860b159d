"""ceilings: what this GPU reaches at all. Small programs of our own, one JSON line per measurement; see ceilings/."""
import json
import sys

import machine
from floors import BANDWIDTH, RATE, SHAPES, gemm_shapes
from machine import HERE, LOGS, ROOT, WORK
from runner import Failed, Skipped, Step, checked, command

SOURCES = HERE / "ceilings"
BINARIES = WORK / "ceilings"
PROGRAMS = ("bandwidth", "launch", "barrier", "roundtrip", "gemm", "products", "selection", "images")
# Of the package: its headers, and for some its backend, whose kernels come from the library that is checked.
BACKEND = ("ops/backend.cpp", "ops/cuda/*.cpp")
OWN = {"products": (), "selection": BACKEND, "images": (*BACKEND, "image/*.cpp")}
# What torch_ops.py measures beside them.
COMPARED = ("selection", "images")
# Without a GPU the programs are only compiled, for these.
ARCHITECTURES = ("80", "90a", "120")
FLAGS = ["-std=c++20", "-O3", "-Werror", "all-warnings", "-Xcompiler", "-Wall,-Wextra,-Werror"]
# Images of an encoder micro-batch whose tiles fill the multiprocessors of an H200.
MICRO_BATCHES = {"vit-gpt2": (1, 28), "trocr-base": (1, 19), "donut-base": (1,), "nougat-base": (1, 7)}
PEAK = [("peak", 8192, 8192, 8192)]


def compile_program(name, architectures, limit):
    include = machine.cublas_header()
    if name == "gemm" and not include:
        raise Skipped("cublasLt.h is neither in the CUDA toolkit nor in an nvidia-cublas wheel of this Python")
    nvcc = machine.tool("nvcc")
    BINARIES.mkdir(parents=True, exist_ok=True)
    args = [nvcc, *FLAGS, *(f"-gencode=arch=compute_{a},code=sm_{a}" for a in architectures)]
    args += ["-I", include] if name == "gemm" else ["-I", ROOT / "native", version_flag()] if name in OWN else []
    sources = [SOURCES / f"{name}.cu", *(file for part in OWN.get(name, ()) for file in sorted((ROOT / "native").glob(part)))]
    checked([*args, "-o", BINARIES / name, *sources, "-ldl"], limit, LOGS / f"ceilings-compile-{name}.log")
    return dict(architectures=list(architectures))


def version_flag():
    """The loader takes a library of its own version alone."""
    version = json.loads((ROOT / "package.json").read_text())["version"]
    return f'-DVED_VERSION="{version}"'


def lines(text):
    found = []
    for line in text.splitlines():
        if line.startswith("{"):
            found.append(json.loads(line))
    return found


def measure(name, arguments, log):
    """What a program prints counts even if it ends badly or late: each line is whole."""
    def run(limit):
        machine.gpu()
        if not (BINARIES / name).exists():
            raise Skipped(f"{name} is not compiled")
        path = LOGS / f"ceilings-{log}.log"
        try:
            output = command([BINARIES / name, *arguments], limit, path, stdout_only=True)
        except Exception as error:
            raise Failed(f"{type(error).__name__}", lines(path.read_text())) from error
        found = lines(output.text)
        if output.code != 0 or not found:
            errors = path.with_name(f"{path.name}.err").read_text()
            raise Failed(f"exit code {output.code}: {errors.strip()[-500:]}", found)
        return found
    return run


def gemm(shapes, types, log):
    def run(limit):
        library = machine.cublas_library()
        if not library:
            raise Skipped("libcublasLt is not there: VED_CUBLAS_PATH names it")
        arguments = [f"{name}:{m}:{n}:{k}:{type_}" for type_ in types for name, m, n, k in shapes]
        return measure("gemm", [library, *arguments], log)(limit)
    return run


def products(shapes, type_, log):
    """Our library's products, by its own kernels and by cuBLAS: which is faster, and which it takes."""
    def run(limit):
        library = machine.cublas_library()
        if not library:
            raise Skipped("libcublasLt is not there: VED_CUBLAS_PATH names it")
        own = machine.cuda_library()
        if not own:
            raise Skipped("the CUDA library is not compiled: gpu-check build first")
        arguments = [f"{name}:{m}:{n}:{k}:{type_}" for name, m, n, k in shapes]
        return measure("products", [own, library, *arguments], log)(limit)
    return run


def own(name):
    def run(limit):
        library = machine.cuda_library()
        if not library:
            raise Skipped("the CUDA library is not compiled: gpu-check build first")
        return measure(name, [library], name)(limit)
    return run


def torch_ops(name):
    def run(limit):
        machine.gpu()
        path = LOGS / f"ceilings-torch-{name}.log"
        output = command([sys.executable, HERE / "torch_ops.py", name, "cuda"], limit, path, stdout_only=True)
        if "No module named 'torch'" in path.with_name(f"{path.name}.err").read_text():
            raise Skipped("this Python has no torch")
        found = lines(output.text)
        if output.code != 0 or not found:
            raise Failed(f"exit code {output.code}; {path}", found)
        return found
    return run


def compared_steps(key):
    """Ours and PyTorch's, one after the other."""
    for name in COMPARED:
        yield Step(name, own(name), 90, f"{key} {machine.product_key()}")
        yield Step(f"torch-{name}", torch_ops(name), 120, machine.digest(HERE / "torch_ops.py"))


def gemm_steps(key):
    """Each shape once, under the name of the first model that has it; float32 for a single encoder layer."""
    yield Step("gemm-peak", gemm(PEAK, ("bf16", "fp16", "tf32", "fp32"), "gemm-peak"), 60, key)
    seen = set()
    for model, shape in SHAPES.items():
        new = []
        for name, m, n, k in gemm_shapes(shape, MICRO_BATCHES[model]):
            if (m, n, k) not in seen:
                seen.add((m, n, k))
                new.append((f"{model} {name}", m, n, k))
        for type_ in ("fp16", "bf16"):
            yield Step(f"gemm-{model}-{type_}", gemm(new, (type_,), f"gemm-{model}-{type_}"), 120, key)
            yield Step(f"products-{model}-{type_}", products(new, type_, f"products-{model}-{type_}"), 120,
                       f"{key} {machine.product_key()}")
        if model == "vit-gpt2":
            yield Step(f"gemm-{model}-fp32", gemm(new[:8], ("fp32", "tf32"), f"gemm-{model}-fp32"), 60, key)


def steps(_options, _stage):
    machine.tool("nvcc")
    present, reason = machine.gpu_or_none()
    architectures = (machine.architecture(present["capability"]),) if present else ARCHITECTURES
    key = machine.digest(SOURCES) + f" {architectures}"
    sources = dict.fromkeys(OWN, machine.digest(ROOT / "native" / "ops", ROOT / "native" / "core", ROOT / "native" / "image"))
    found = [Step(f"compile-{name}", lambda limit, name=name: compile_program(name, architectures, limit), 120,
                  f"{key} {sources.get(name, '')}", (str(BINARIES / name),)) for name in PROGRAMS]
    if not present:
        print(f"compiled only: {reason}")
        return found
    found += [Step(name, measure(name, [], name), 90, key) for name in PROGRAMS if name != "gemm" and name not in OWN]
    return found + list(compared_steps(key)) + list(gemm_steps(key))


def measured(records):
    """(rate, bandwidth, where they come from): the ceilings of this machine, as the floors want them."""
    rates = {}
    for name, steps_ in records.data.items():
        if name.startswith("ceilings"):
            for record in steps_.values():
                for line in record["result"] if isinstance(record.get("result"), list) else ():
                    rates[line["name"]] = line["value"]
    rate = max((value * 1e12 for name, value in rates.items() if name in ("peak, bf16", "peak, fp16")), default=None)
    copy = max((value * 1e9 for name, value in rates.items() if name in ("copy", "copy by cudaMemcpy")), default=None)
    if rate and copy:
        return rate, copy, "measured here: peak product 8192³, copy of device memory"
    return rate or RATE, copy or BANDWIDTH, "of an H200 measured elsewhere: run the stage ceilings first"


def ratios(found):
    """[(name, torch's value over ours)] of what both measured: {name: value}."""
    return [(name, value / found[name[6:]]) for name, value in found.items() if name.startswith("torch ") and found.get(name[6:])]


def report(_options, stage):
    rows, values = [], {}
    for name, record in stage.records.of(stage.name).items():
        for line in record["result"] if isinstance(record.get("result"), list) else ():
            values[line["name"]] = line["value"]
            rows.append(f"| {line['name']} | {line['value']:.4g} | {line['unit']} | {line['note']} |")
    rows += [f"| {name} over ours | {value:.2f} | | |" for name, value in ratios(values)]
    if not rows:
        return
    text = "\n".join(["| what | value | unit | note |", "| --- | ---: | --- | --- |", *rows])
    print(text)
    stage.records.share("gpu-check-ceilings.md", f"{text}\n")
