"""What this machine has: the GPU by way of the driver, the tools, cuBLAS, the bundle."""
import ctypes
import functools
import glob
import hashlib
import os
import pathlib
import platform
import shutil
import sys

from runner import Failed, Skipped, command

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
WORK = ROOT / "build" / "gpu-check"
BUNDLE = WORK / "bundle"
LOGS = WORK / "logs"

DRIVER_FOLDERS = ("/usr/local/nvidia/lib64/", "/usr/lib/wsl/lib/")
COMPUTE_MAJOR, COMPUTE_MINOR, MULTIPROCESSORS, L2_BYTES = 75, 76, 16, 38  # CUdevice_attribute


def open_driver():
    for folder in ("", *DRIVER_FOLDERS):
        try:
            return ctypes.CDLL(f"{folder}libcuda.so.1")
        except OSError:
            pass
    raise Skipped("no NVIDIA driver (libcuda.so.1 is not there)")


@functools.cache
def gpu():
    """Name, compute capability, multiprocessors, L2 and memory of device 0; Skipped says why there is none."""
    driver = open_driver()

    def call(name, *args):
        code = getattr(driver, name)(*args)
        if code != 0:
            raise Skipped(f"no usable GPU ({name}: CUDA error {code})")

    call("cuInit", 0)
    count, device, version = ctypes.c_int(), ctypes.c_int(), ctypes.c_int()
    call("cuDeviceGetCount", ctypes.byref(count))
    if count.value == 0:
        raise Skipped("no GPU")
    call("cuDriverGetVersion", ctypes.byref(version))
    call("cuDeviceGet", ctypes.byref(device), 0)
    name, memory = ctypes.create_string_buffer(128), ctypes.c_size_t()
    call("cuDeviceGetName", name, 128, device)
    call("cuDeviceTotalMem_v2", ctypes.byref(memory), device)

    def attribute(number):
        value = ctypes.c_int()
        call("cuDeviceGetAttribute", ctypes.byref(value), number, device)
        return value.value

    return dict(name=name.value.decode(), capability=(attribute(COMPUTE_MAJOR), attribute(COMPUTE_MINOR)),
                multiprocessors=attribute(MULTIPROCESSORS), l2Bytes=attribute(L2_BYTES), memoryBytes=memory.value,
                cudaOfDriver=version.value / 1000, count=count.value)


def gpu_or_none():
    try:
        return gpu(), None
    except Skipped as reason:
        return None, str(reason)


def architecture(capability):
    """The target of nvcc that fits the device. From 9.0 on the suffix a gives its own instructions, which 12.x has none of here."""
    major, minor = capability
    return f"{major}{minor}{'a' if major in (9, 10) else ''}"


def describe():
    device, reason = gpu_or_none()
    with open("/proc/cpuinfo") as file:
        names = [line.split(":", 1)[1].strip() for line in file if line.startswith("model name")]
    return dict(gpu=device, noGpu=reason, cpu=names[0] if names else platform.processor(), cpus=os.cpu_count(),
                python=platform.python_version(), system=platform.platform())


def tool(name, *extra):
    """Path of a program on PATH or in a CUDA toolkit; Skipped where it is absent."""
    found = shutil.which(name)
    places = [os.environ.get("CUDA_HOME", "") + "/bin", "/usr/local/cuda/bin", *extra]
    for folder in places:
        if not found and folder and os.access(f"{folder}/{name}", os.X_OK):
            found = f"{folder}/{name}"
    if not found:
        raise Skipped(f"{name} is not installed")
    return found


def site_packages():
    return [path for path in sys.path if path.endswith(("site-packages", "dist-packages"))]


def cublas_header():
    """Folder of cublasLt.h, of the toolkit or of an nvidia-cublas wheel; None where there is none."""
    places = [os.environ.get("VED_CUBLAS_INCLUDE", ""), "/usr/local/cuda/include", "/usr/include"]
    for folder in site_packages():
        places += sorted(glob.glob(f"{folder}/nvidia/*/include"))
    return next((place for place in places if place and os.path.exists(f"{place}/cublasLt.h")), None)


def cublas_library():
    """Path of libcublasLt, of VED_CUBLAS_PATH (a file or a folder) alone where that is set; None where there is none."""
    name = "libcublasLt.so.1[32]"
    own = os.environ.get("VED_CUBLAS_PATH", "")
    patterns = [own, f"{own}/{name}"] if own else ["/usr/local/cuda/lib64/" + name, "/usr/lib/x86_64-linux-gnu/" + name]
    if not own:
        patterns += [f"{folder}/nvidia/*/lib/{name}" for folder in site_packages()]
    found = [path for pattern in patterns for path in sorted(glob.glob(pattern), reverse=True)]
    return next((path for path in found if os.path.isfile(path)), None)


def cuda_library():
    """Path of the CUDA library that is checked; None where it is not compiled."""
    named = os.environ.get("VED_CUDA_LIB")
    path = pathlib.Path(named) if named else addon().parent / "libved_cuda.so"
    return str(path) if path.exists() else None


def digest(*paths):
    """Short hash over the contents of files and of everything below folders: the key of steps that depend on them."""
    value = hashlib.sha256()
    for path in map(pathlib.Path, paths):
        files = sorted(p for p in path.rglob("*") if p.is_file() and "__pycache__" not in p.parts) if path.is_dir() else [path]
        for file in files:
            value.update(os.path.relpath(file, ROOT).encode())
            value.update(file.read_bytes() if file.exists() else b"absent")
    return value.hexdigest()[:16]


def node():
    """The bundle's Node, else one on PATH."""
    if os.access(BUNDLE / "node", os.X_OK):
        return str(BUNDLE / "node")
    found = shutil.which("node")
    if not found:
        raise Skipped("no Node: neither in the bundle (gpu-check build unpacks it) nor on PATH")
    return found


def addon():
    """The addon compiled here, else the bundle's own."""
    for folder in (ROOT, BUNDLE):
        if (folder / "build" / "Release" / "ved.node").exists():
            return folder / "build" / "Release" / "ved.node"
    raise Failed("no ved.node: neither compiled here nor in the bundle; gpu-check build first")


def stamp(target):
    """Where the build stage notes which sources a target was made from."""
    return WORK / "cmake" / f"{target}.stamp"


def product_key():
    """Changes when the code that is measured or verified changes: by its sources where it was compiled here, so that records of
    another machine of the kind count too."""
    stamps = [stamp(target) for target in ("ved", "ved_cuda") if stamp(target).exists()]
    release = addon().parent
    return digest(*stamps) if stamps else digest(release / "ved.node", *sorted(release.glob("libved_cuda*")))


def native_environment():
    """The addon, and the CUDA library beside it unless the caller names one: op tests lie elsewhere and would not find it."""
    library = addon().parent / "libved_cuda.so"
    found = {"VED_NATIVE_PATH": str(addon())}
    if library.exists() and "VED_CUDA_LIB" not in os.environ:
        found["VED_CUDA_LIB"] = str(library)
    return found


def run_node(args, limit, log, env=None, cwd=BUNDLE):
    return command([node(), *args], limit, log, env={**native_environment(), **(env or {})}, cwd=cwd)
