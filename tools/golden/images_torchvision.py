"""Golden images in torchvision's form: what the fast image processors of transformers make of the inputs in test/golden/images.

Run: PYTHONPATH=<folder with torchvision 0.28> python tools/golden/images_torchvision.py   (torch 2.13 on a processor with AVX2 or AVX-512)
Writes test/golden/images/torchvision.json with the sha256 of every expected array. Run images.py first.
"""
import hashlib
import json
import pathlib
import random

import numpy as np
import torch

# torchvision's operators for the GPU are not needed, and wheels for another torch lack them: skip their registration.
_register, torch.library.register_fake = torch.library.register_fake, lambda *a, **k: lambda f: f
import torchvision  # noqa: E402
torch.library.register_fake = _register
import transformers  # noqa: E402
from PIL import Image  # noqa: E402
from torchvision.transforms import InterpolationMode  # noqa: E402
from torchvision.transforms.v2 import functional  # noqa: E402
from transformers.models.beit.image_processing_beit import BeitImageProcessor  # noqa: E402
from transformers.models.bit.image_processing_bit import BitImageProcessor  # noqa: E402
from transformers.models.blip.image_processing_blip import BlipImageProcessor  # noqa: E402
from transformers.models.clip.image_processing_clip import CLIPImageProcessor  # noqa: E402
from transformers.models.convnext.image_processing_convnext import ConvNextImageProcessor  # noqa: E402
from transformers.models.deit.image_processing_deit import DeiTImageProcessor  # noqa: E402
from transformers.models.donut.image_processing_donut import DonutImageProcessor  # noqa: E402
from transformers.models.nougat.image_processing_nougat import NougatImageProcessor  # noqa: E402
from transformers.models.siglip.image_processing_siglip import SiglipImageProcessor  # noqa: E402
from transformers.models.vit.image_processing_vit import ViTImageProcessor  # noqa: E402

IMAGES = pathlib.Path(__file__).resolve().parents[2] / "test" / "golden" / "images"
MODES = {0: InterpolationMode.NEAREST_EXACT, 1: InterpolationMode.LANCZOS, 2: InterpolationMode.BILINEAR, 3: InterpolationMode.BICUBIC}
KINDS = {kind.__name__: kind for kind in (
    ViTImageProcessor, DeiTImageProcessor, DonutImageProcessor, NougatImageProcessor, BeitImageProcessor, CLIPImageProcessor,
    BitImageProcessor, BlipImageProcessor, SiglipImageProcessor, ConvNextImageProcessor)}
FILES = ["rgb.png", "landscape.png", "tiny.png", "page.png"]


def sha(array):
    return hashlib.sha256(np.ascontiguousarray(array).tobytes()).hexdigest()


def noise(width, height, seed):
    """The same bytes as in the test: a 32-bit linear congruential generator, top byte."""
    state, out = seed, bytearray()
    for _ in range(width * height * 3):
        state = (state * 1664525 + 1013904223) & 0xFFFFFFFF
        out.append(state >> 24)
    return np.frombuffer(bytes(out), np.uint8).reshape(height, width, 3)


def resizes():
    r = random.Random(7)
    # Not 1x1: there torch 2.13 fails an assertion of its own.
    sizes = [((1, 4), (5, 7)), ((5, 7), (3, 1)), ((3, 640), (3, 2)), ((3, 301), (9, 300)), ((640, 3), (2, 3)), ((31, 17), (31, 9)), ((31, 17), (12, 17)), ((9, 9), (100, 90))]
    sizes += [((r.randint(1, 90), r.randint(1, 90)), (r.randint(1, 90), r.randint(1, 90))) for _ in range(32)]
    cases = []
    for index, (source, target) in enumerate(sizes):
        for filter_, mode in MODES.items():
            seed = index * 4 + filter_ + 1
            tensor = torch.from_numpy(noise(*source, seed).copy()).permute(2, 0, 1).contiguous()
            out = functional.resize(tensor, [target[1], target[0]], interpolation=mode, antialias=True).permute(1, 2, 0).numpy()
            cases.append({"from": source, "to": target, "filter": filter_, "seed": seed, "sha256": sha(out)})
    return cases


def processor_cases():
    small = {"height": 96, "width": 72}
    return [
        ("ViT", {}), ("ViT", {"size": 48, "resample": 3}), ("ViT", {"size": [40, 56], "resample": 1}), ("ViT", {"size": 33, "resample": 0}),
        ("ViT", {"size": 32, "do_normalize": False}), ("ViT", {"size": 32, "do_rescale": False}), ("ViT", {"size": 32, "rescale_factor": 0.0078, "image_mean": [0.4, 0.5, 0.6]}),
        ("ViT", {"size": {"shortest_edge": 33, "longest_edge": 60}}), ("ViT", {"size": {"max_height": 50, "max_width": 40}}),
        ("DeiT", {}), ("DeiT", {"size": 37, "crop_size": 50}), ("DeiT", {"do_resize": False, "crop_size": [90, 40]}),
        ("Beit", {}), ("CLIP", {}), ("Bit", {"size": 35, "crop_size": 33}), ("Blip", {"size": 48}), ("Siglip", {"size": {"height": 50, "width": 50}}),
        ("ConvNext", {"size": 56}), ("ConvNext", {"size": {"shortest_edge": 60}, "crop_pct": 0.9, "resample": 2}), ("ConvNext", {}),
        ("Donut", {"size": small}), ("Donut", {"size": [72, 96], "resample": 3}), ("Donut", {"size": small, "resample": 0}), ("Donut", {"size": small, "do_align_long_axis": True}),
        ("Donut", {"size": small, "do_resize": False}), ("Nougat", {"size": small}), ("Nougat", {"size": small, "do_crop_margin": False, "do_resize": False}), ("Nougat", {"size": 20, "do_resize": False}),
    ]


def processors():
    cases = []
    for kind, config in processor_cases():
        for name in FILES:
            image = Image.open(IMAGES / name).convert("RGB")
            values = KINDS[f"{kind}ImageProcessor"](**config)(image, return_tensors="pt")["pixel_values"][0].numpy().astype(np.float32)
            cases.append({"type": f"{kind}ImageProcessor", "config": config, "file": name, "dims": list(values.shape), "sha256": sha(values)})
    return cases


def main():
    provenance = {"generator": "tools/golden/images_torchvision.py", "torch": torch.__version__, "torchvision": torchvision.__version__,
                  "transformers": transformers.__version__, "cpu": torch.backends.cpu.get_cpu_capability()}
    expected = {"resizes": resizes(), "processors": processors(), "provenance": provenance}
    lines = [f'"{key}": ' + json.dumps(value, separators=(",", ":")).replace("},", "},\n") for key, value in expected.items()]
    (IMAGES / "torchvision.json").write_text("{\n" + ",\n".join(lines) + "\n}\n")
    print(len(expected["resizes"]), "resizes,", len(expected["processors"]), "processor cases")


main()
