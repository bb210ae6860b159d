"""Driver: Hugging Face transformers on PyTorch. usage: pytorch.py JOB.json; protocol in ../../README.md"""
import json
import os
import resource
import sys
import time

with open(sys.argv[1]) as file:
    job = json.load(file)
os.environ.update(OMP_NUM_THREADS=str(job["threads"]), MKL_NUM_THREADS=str(job["threads"]))
os.environ.update(HF_HUB_OFFLINE="1", TRANSFORMERS_VERBOSITY="error")
clock = time.perf_counter
import_start = clock()
import numpy
import torch
import transformers

torch.set_num_threads(job["threads"])
torch.set_num_interop_threads(1)
torch.set_grad_enabled(False)
import_ms = (clock() - import_start) * 1e3

dtype = {"fp32": torch.float32, "bf16": torch.bfloat16}[job["dtype"]]
load_start = clock()
model = transformers.VisionEncoderDecoderModel.from_pretrained(job["modelDir"], dtype=dtype).eval()
load_ms = (clock() - load_start) * 1e3

shape = [job["batch"], *job["pixelShape"]]
pixels = numpy.fromfile(job["pixelValuesFile"], "<f4", count=int(numpy.prod(shape))).reshape(shape)
pixels = torch.from_numpy(pixels).to(dtype)

marks = {}
model.encoder.register_forward_pre_hook(lambda *_: marks.update(start=clock()))
model.encoder.register_forward_hook(lambda *_: marks.update(end=clock()))
options = dict(max_new_tokens=job["newTokens"], min_new_tokens=job["newTokens"], num_beams=job["numBeams"],
               do_sample=False, length_penalty=1.0, early_stopping=False)
out = dict(warmupMs=[], encoderMs=[], perTokenMs=[], totalMs=[], cpuMs=[])
began = clock()
for run in range(job["warmup"] + job["repeats"]):
    cpu, start = time.process_time(), clock()
    sequences = model.generate(pixel_values=pixels, **options)
    total = (clock() - start) * 1e3
    cpu = (time.process_time() - cpu) * 1e3
    if run < job["warmup"]:
        out["warmupMs"].append(total)
        continue
    encoder = (marks["end"] - marks["start"]) * 1e3
    out["totalMs"].append(total)
    out["cpuMs"].append(cpu)
    out["encoderMs"].append(encoder)
    out["perTokenMs"].append((total - encoder) / job["newTokens"])
    if clock() - began > job["maxSeconds"]:
        break


def peak_bytes():
    try:
        with open("/proc/self/status") as status:
            return next(int(line.split()[1]) for line in status if line.startswith("VmHWM")) * 1024
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


cpu = time.process_time()
out.update(engine=f"torch {torch.__version__}, transformers {transformers.__version__}", importMs=import_ms, loadMs=load_ms,
           sequences=sequences[:, 1:].tolist(), cpuSeconds=cpu, peakBytes=peak_bytes())
print(json.dumps(out), flush=True)
