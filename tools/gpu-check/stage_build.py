"""build: the bundle unpacked, then everything native compiled for the GPU of this machine, with what ptxas says of each kernel."""
import os
import pathlib
import re
import shutil

import machine
from machine import BUNDLE, LOGS, ROOT
from runner import Failed, Skipped, Step, checked
from unpack import about, sources_digest, unpack

CMAKE = ROOT / "build" / "gpu-check" / "cmake"
TARGETS = ("ved_cuda", "ved", "ved_tests")
FIXTURES = "test/golden/models"


def cuda_options(device):
    """CMake's options for the GPU here. Without one the default set of targets would compile for minutes: Hopper's alone is built."""
    if device == "cpu":
        return ["-DVED_CUDA=OFF"]
    machine.tool("nvcc")
    present, _ = machine.gpu_or_none()
    target = machine.architecture(present["capability"] if present else (9, 0))
    return ["-DVED_CUDA=ON", f"-DVED_CUDA_ARCHITECTURES={target}-real", f"-DCMAKE_CUDA_COMPILER={os.path.realpath(machine.tool('nvcc'))}"]


def open_bundle(options):
    if not os.path.exists(options.bundle):
        raise Skipped(f"{options.bundle} is not there: made by tools/gpu-bundle; a Node on PATH and dist/ are used instead")
    unpack(options.bundle, str(BUNDLE))
    fixtures = BUNDLE / FIXTURES
    if not fixtures.exists() and (ROOT / FIXTURES).exists():
        fixtures.parent.mkdir(parents=True, exist_ok=True)
        fixtures.symlink_to(ROOT / FIXTURES)
    found = about(BUNDLE)
    if found["sources"] != sources_digest(ROOT):
        raise Failed(f"the bundle is of {found['commit']}, made from other TypeScript sources than this checkout's: run tools/gpu-bundle again")
    return found


def configure(options, limit):
    args = [machine.tool("cmake"), "-S", ROOT, "-B", CMAKE, "-DVED_TESTS=ON", "-DCMAKE_BUILD_TYPE=Release"]
    args += cuda_options(options.device)
    if shutil.which("ninja"):
        args += ["-G", "Ninja"]
    if (BUNDLE / "include").exists():
        # What cmake-js would say: with it the addon is built too. A Node-API addon needs no library of Node's.
        args += [f"-DCMAKE_JS_INC={BUNDLE / 'include'}", "-DCMAKE_CXX_FLAGS=-DBUILDING_NODE_EXTENSION"]
    output = checked(args, limit, LOGS / "build-configure.log")
    if options.device == "cuda" and not re.search(r"VED_CUDA:\w+=ON", (CMAKE / "CMakeCache.txt").read_text()):
        raise Failed("this checkout has no option VED_CUDA")
    return dict(options=[str(arg) for arg in args[7:]], warnings=output.text.count("CMake Warning"))


def targets(options):
    known = (CMAKE / "build.ninja").read_text() if (CMAKE / "build.ninja").exists() else (CMAKE / "Makefile").read_text()
    wanted = [name for name in TARGETS if re.search(rf"\b{name}\b", known)]
    return [name for name in wanted if options.device == "cuda" or name != "ved_cuda"]


def compile_target(name, key, limit):
    log = LOGS / f"build-{name}.log"
    output = checked([machine.tool("cmake"), "--build", CMAKE, "--target", name, "-j", str(os.cpu_count())], limit, log)
    machine.stamp(name).write_text(key)
    report = CMAKE / f"{name}-ptxas.txt"  # kept: a build that changes nothing prints nothing
    lines = [line for line in output.text.splitlines() if "ptxas info" in line or "bytes stack frame" in line]
    if lines:
        report.write_text("\n".join(lines))
    return dict(kernels=kernels(report.read_text()) if report.exists() else None)


def kernels(text):
    """[{ kernel, architecture, registers, stack, spillStores, spillLoads, shared }], those that spill first."""
    found = []
    for line in text.splitlines():
        entry = re.search(r"Compiling entry function '(\S+)' for '(\w+)'", line)
        if entry:
            found.append(dict(kernel=entry[1], architecture=entry[2], stack=0, spillStores=0, spillLoads=0, registers=0, shared=0))
        if not found:
            continue
        frame = re.search(r"(\d+) bytes stack frame, (\d+) bytes spill stores, (\d+) bytes spill loads", line)
        if frame:
            found[-1].update(zip(("stack", "spillStores", "spillLoads"), map(int, frame.groups())))
        used = re.search(r"Used (\d+) registers", line)
        if used:
            shared = re.search(r"(\d+) bytes smem", line)
            found[-1].update(registers=int(used[1]), shared=int(shared[1]) if shared else 0)
    return sorted(found, key=lambda k: (-k["spillStores"] - k["spillLoads"], -k["stack"], -k["registers"], k["kernel"]))


def steps(options, _stage):
    sources = machine.digest(ROOT / "native", ROOT / "CMakeLists.txt", ROOT / "test" / "native")
    bundle = machine.digest(options.bundle)
    key = f"{sources} {bundle} {options.device}"
    list_ = [Step("unpack", lambda _: open_bundle(options), 60, f"{bundle} {sources_digest(ROOT)}", (str(BUNDLE / "dist"),)),
             Step("configure", lambda limit: configure(options, limit), 90, key, (str(CMAKE / "CMakeCache.txt"),))]

    def build(name):
        def run(limit):
            if not (CMAKE / "CMakeCache.txt").exists():
                raise Failed("not configured")
            if name not in targets(options):
                raise Skipped(f"no target {name}" + (": the bundle holds the headers it needs" if name == "ved" else ""))
            return compile_target(name, key, limit)
        return run

    names = [name for name in TARGETS if options.device == "cuda" or name != "ved_cuda"]
    return list_ + [Step(f"compile-{name}", build(name), 400, key, (str(CMAKE),)) for name in names]


def report(options, stage):
    result = stage.records.of(stage.name).get("compile-ved_cuda", {}).get("result")
    table = (result or {}).get("kernels") or []
    lines = [f"{'registers':>9} {'shared':>7} {'stack':>6} {'spills':>7}  kernel"]
    for k in table:
        lines.append(f"{k['registers']:9} {k['shared']:7} {k['stack']:6} {k['spillStores'] + k['spillLoads']:7}  {k['kernel']}")
    stage.records.share("gpu-check-kernels.txt", "\n".join(lines) + "\n")
    print("\n".join(lines[:20]))
    spilling = sum(1 for k in table if k["spillStores"] + k["spillLoads"])
    print(f"{len(table)} kernels, {spilling} with spills")
