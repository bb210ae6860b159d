"""Golden images: small inputs, and what Pillow and the PIL image processors of transformers make of them.

Run: python tools/golden/images.py   (Pillow 12.3, transformers 5.18, numpy; torchvision absent, so the PIL backend runs)
Writes test/golden/images/: input files, expected.json (sha256 of every expected array) and provenance.json.
"""
import hashlib, io, json, pathlib, struct, zlib

import numpy as np
import PIL
import transformers
from PIL import Image, ImageCms, ImageDraw, ImageOps
from transformers.models.beit.image_processing_pil_beit import BeitImageProcessorPil
from transformers.models.bit.image_processing_pil_bit import BitImageProcessorPil
from transformers.models.blip.image_processing_pil_blip import BlipImageProcessorPil
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil
from transformers.models.convnext.image_processing_pil_convnext import ConvNextImageProcessorPil
from transformers.models.deit.image_processing_pil_deit import DeiTImageProcessorPil
from transformers.models.donut.image_processing_pil_donut import DonutImageProcessorPil
from transformers.models.nougat.image_processing_pil_nougat import NougatImageProcessorPil
from transformers.models.siglip.image_processing_pil_siglip import SiglipImageProcessorPil
from transformers.models.vit.image_processing_pil_vit import ViTImageProcessorPil

OUT = pathlib.Path(__file__).resolve().parents[2] / "test" / "golden" / "images"
SEED = 20250
KINDS = {
    "ViT": ViTImageProcessorPil, "DeiT": DeiTImageProcessorPil, "Donut": DonutImageProcessorPil,
    "Nougat": NougatImageProcessorPil, "Beit": BeitImageProcessorPil, "CLIP": CLIPImageProcessorPil,
    "Bit": BitImageProcessorPil, "Blip": BlipImageProcessorPil, "Siglip": SiglipImageProcessorPil,
    "ConvNext": ConvNextImageProcessorPil,
}


def sha(array):
    return hashlib.sha256(np.ascontiguousarray(array).tobytes()).hexdigest()


def picture(width, height, rng):
    """Gradients, noise and text, so that filters, chroma and edges all show."""
    y, x = np.mgrid[0:height, 0:width]
    smooth = np.stack([(x * 3) % 256, (y * 4) % 256, ((x + y) * 2) % 256], -1)
    noise = rng.integers(0, 256, (height, width, 3))
    image = Image.fromarray(((smooth * 3 + noise) // 4).astype(np.uint8))
    draw = ImageDraw.Draw(image)
    draw.rectangle((2, 2, width // 2, 14), fill=(250, 250, 240))
    draw.text((4, 2), "Invoice 42", fill=(10, 0, 30))
    return image


def page(width, height):
    image = Image.new("RGB", (width, height), (244, 243, 240))
    draw = ImageDraw.Draw(image)
    for row in range(4):
        draw.text((width // 6, height // 5 + 13 * row), "the quick brown fox"[: 6 + 3 * row], fill=(20, 30 * row, 60))
    return image


def strange_profile():
    """sRGB with red and green swapped: applying it changes every colour."""
    data = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    red, green = data.index(b"rXYZ", 128), data.index(b"gXYZ", 128)
    data[red:red + 4], data[green:green + 4] = b"gXYZ", b"rXYZ"
    return bytes(data)


def png16(array, colour_type):
    def chunk(tag, body):
        return struct.pack(">I", len(body)) + tag + body + struct.pack(">I", zlib.crc32(tag + body))
    height, width = array.shape[:2]
    rows = b"".join(b"\0" + array[y].astype(">u2").tobytes() for y in range(height))
    head = struct.pack(">IIBBBBB", width, height, 16, colour_type, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def inputs(rng):
    """name -> encoded bytes."""
    files = {}

    def save(name, image, **options):
        kind = {"jpg": "JPEG", "tif": "TIFF"}.get(name.rsplit(".", 1)[1], name.rsplit(".", 1)[1].upper())
        buffer = io.BytesIO()
        image.save(buffer, kind, **options)
        files[name] = buffer.getvalue()

    base = picture(83, 61, rng)
    alpha = Image.fromarray(rng.integers(0, 256, (61, 83), dtype=np.uint8))
    alpha.paste(0, (10, 10, 30, 30))
    rgba = base.copy()
    rgba.putalpha(alpha)
    grey, cmyk, profile = base.convert("L"), base.convert("CMYK"), strange_profile()
    for sampling in ("4:4:4", "4:2:2", "4:2:0", "4:1:1"):
        save(f"jpeg{sampling.replace(':', '')}.jpg", base, quality=85, subsampling=sampling)
    save("odd.jpg", base.crop((0, 0, 33, 17)), subsampling="4:2:0")
    save("progressive.jpg", base, quality=60, progressive=True)
    save("grey.jpg", grey)
    save("cmyk.jpg", cmyk)
    save("cmyk-icc.jpg", cmyk, icc_profile=profile)
    for name in ("icc.jpg", "icc.png", "icc.tif"):
        save(name, base, icc_profile=profile)
    save("icc.webp", base, icc_profile=profile, lossless=True)
    save("icc-grey.png", grey, icc_profile=profile)
    save("rgb.png", base)
    save("rgba.png", rgba)
    save("la.png", Image.merge("LA", (grey, alpha)))
    save("grey.png", grey)
    save("palette.png", base.quantize(64))
    save("palette2.png", base.quantize(4))
    save("palette-transparent.png", base.quantize(16), transparency=3)
    save("bit.png", base.convert("1"))
    save("palette.gif", base.quantize(64))
    save("transparent.gif", base.quantize(16), transparency=3)
    save("grey.gif", grey)
    deep = rng.integers(0, 65536, (19, 23, 4)).astype(np.uint16)
    files["grey16.png"] = png16(deep[..., 0], 0)
    files["rgb16.png"] = png16(deep[..., :3], 2)
    files["la16.png"] = png16(deep[..., :2], 4)
    files["rgba16.png"] = png16(deep, 6)
    save("grey16.tif", Image.fromarray(np.ascontiguousarray(deep[..., 1])))
    save("rgb.tif", base)
    save("lzw.tif", base, compression="tiff_lzw")
    save("rgba.tif", rgba)
    save("cmyk.tif", cmyk)
    save("fax.tif", base.convert("1"), compression="group4")
    save("lossless.webp", base, lossless=True)
    save("lossy.webp", base, quality=80)
    save("rgba.webp", rgba, lossless=True, exact=True)
    save("avif444.avif", base, quality=90, subsampling="4:4:4")
    exif = Image.Exif()
    for orientation in range(1, 9):
        exif[0x112] = orientation
        save(f"exif{orientation}.jpg", base, exif=exif, quality=80)
        if orientation in (5, 6):
            for extension in ("png", "tif"):
                save(f"exif{orientation}.{extension}", base, exif=exif)
            save(f"exif{orientation}.webp", base, exif=exif, lossless=True)
            save(f"exif{orientation}.avif", base, exif=exif, quality=90, subsampling="4:4:4")
    save("page.png", page(150, 210))
    save("landscape.png", page(260, 120))
    save("tiny.png", base.crop((20, 20, 27, 23)))
    return files


def decode(data):
    """exif_transpose().convert('RGB'), with 16-bit grey divided by 256 (Pillow itself would clip)."""
    image = Image.open(io.BytesIO(data))
    if image.mode.startswith("I;16"):
        image = Image.fromarray((np.array(image).astype(np.uint32) >> 8).astype(np.uint8))
    return np.array(ImageOps.exif_transpose(image).convert("RGB"))


def noise(width, height, channels, seed):
    """The same bytes as in the test: a 32-bit linear congruential generator, top byte."""
    state, out = seed, bytearray()
    for _ in range(width * height * channels):
        state = (state * 1664525 + 1013904223) & 0xFFFFFFFF
        out.append(state >> 24)
    return np.frombuffer(bytes(out), np.uint8).reshape(height, width, channels)


def resizes(rng):
    cases = []
    fixed = [((1, 1), (5, 7)), ((5, 7), (1, 1)), ((640, 3), (2, 3)), ((3, 640), (3, 2)), ((2, 330), (5, 17)), ((3, 301), (9, 300)),
             ((31, 17), (31, 9)), ((31, 17), (12, 17)), ((31, 17), (31, 17)), ((200, 150), (33, 21)), ((9, 9), (100, 90))]
    for _ in range(45):
        fixed.append((tuple(int(v) for v in rng.integers(1, 90, 2)), tuple(int(v) for v in rng.integers(1, 90, 2))))
    for index, (source, target) in enumerate(fixed):
        for filter_ in range(6):
            for gap in (None, 1.0, 2.0, 3.0) if index % 4 == 1 or index == 9 else (None,):
                channels = (1, 3, 4)[(index + filter_) % 3]
                pixels = noise(*source, channels, index * 8 + filter_ + 1)
                mode = {1: "L", 3: "RGB", 4: "CMYK"}[channels]  # CMYK: four plain channels
                image = Image.frombytes(mode, source, pixels.tobytes())
                result = np.array(image.resize(target, filter_, reducing_gap=gap))
                cases.append({"from": source, "to": target, "filter": filter_, "gap": gap, "channels": channels,
                              "seed": index * 8 + filter_ + 1, "sha256": sha(result)})
    return cases


def processor_cases():
    """(kind, config, files): configs as they stand in preprocessor_config.json, old forms included."""
    photos = ["rgb.png", "jpeg420.jpg", "tiny.png", "landscape.png"]
    pages = ["page.png", "landscape.png", "tiny.png", "rgb.png"]
    small = {"height": 96, "width": 72}
    return [
        ("ViT", {}, photos), ("ViT", {"size": 48, "resample": 3}, photos), ("ViT", {"size": [40, 56], "resample": 1}, photos),
        ("ViT", {"size": {"height": 32, "width": 64}, "do_normalize": False}, photos),
        ("ViT", {"size": 32, "do_rescale": False}, photos), ("ViT", {"size": 32, "rescale_factor": 0.0078, "image_mean": 0.4}, photos),
        ("ViT", {"size": {"shortest_edge": 33, "longest_edge": 60}}, photos),
        ("ViT", {"size": {"max_height": 50, "max_width": 40}}, ["rgb.png", "page.png"]),
        ("ViT", {"do_resize": False}, photos),
        ("DeiT", {}, photos), ("DeiT", {"size": 37, "crop_size": 50}, photos), ("DeiT", {"size": 64, "crop_size": [31, 64]}, photos),
        ("DeiT", {"do_resize": False, "crop_size": [90, 40]}, photos),
        ("Beit", {}, photos), ("CLIP", {}, photos), ("CLIP", {"size": 40, "crop_size": 32}, photos), ("Bit", {"size": 35, "crop_size": 33}, photos),
        ("Blip", {"size": 48}, photos), ("Siglip", {"size": {"height": 50, "width": 50}}, photos), ("Siglip", {"size": 40}, photos),
        ("ConvNext", {}, photos[:2]), ("ConvNext", {"size": 56}, photos), ("ConvNext", {"size": {"shortest_edge": 60}, "crop_pct": 0.9, "resample": 2}, photos),
        ("Donut", {"size": small}, pages), ("Donut", {"size": [72, 96]}, pages), ("Donut", {"size": 64, "resample": 3}, pages),
        ("Donut", {"size": small, "do_align_long_axis": True}, pages), ("Donut", {"size": {"height": 70, "width": 110}, "do_align_long_axis": True}, pages),
        ("Donut", {"size": small, "resample": 0}, pages), ("Donut", {"size": {"height": 40, "width": 96}}, pages),
        ("Donut", {"size": small, "do_resize": False}, pages), ("Donut", {"size": small, "do_resize": False, "do_align_long_axis": True}, pages),
        ("Nougat", {"size": small}, pages), ("Nougat", {"size": {"height": 60, "width": 90}, "do_align_long_axis": True}, pages),
        ("Nougat", {"size": small, "do_crop_margin": False, "do_resize": False}, pages), ("Nougat", {"size": 20, "do_resize": False}, pages),
    ]


def processors(files):
    cases = []
    for kind, config, names in processor_cases():
        processor = KINDS[kind](**config)
        for name in names:
            values = processor(Image.fromarray(decode(files[name])))["pixel_values"][0]
            values = np.asarray(values, np.float32)
            cases.append({"type": f"{kind}ImageProcessor", "config": config, "file": name, "dims": list(values.shape), "sha256": sha(values)})
    return cases


def main():
    OUT.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(SEED)
    files = inputs(rng)
    for name, data in files.items():
        (OUT / name).write_bytes(data)
    decoded = {}
    for name, data in files.items():
        rgb = decode(data)
        decoded[name] = {"width": rgb.shape[1], "height": rgb.shape[0], "sha256": sha(rgb)}
        if name.endswith(".avif"):  # compared with a tolerance, hence the pixels themselves
            (OUT / f"{name}.rgb.bin").write_bytes(zlib.compress(rgb.tobytes(), 9))
    expected = {"decoded": decoded, "resizes": resizes(rng), "processors": processors(files)}
    lines = [f'"{key}": ' + json.dumps(value, separators=(",", ":")).replace("},", "},\n") for key, value in expected.items()]
    (OUT / "expected.json").write_text("{\n" + ",\n".join(lines) + "\n}\n")
    provenance = {"generator": "tools/golden/images.py", "seed": SEED, "pillow": PIL.__version__, "numpy": np.__version__,
                  "transformers": transformers.__version__, "backend": "PIL", "inputs": "synthetic, made by the generator"}
    (OUT / "provenance.json").write_text(json.dumps(provenance, indent=2) + "\n")
    total = sum(path.stat().st_size for path in OUT.iterdir())
    print(f"{len(files)} inputs, {len(expected['resizes'])} resizes, {len(expected['processors'])} processor cases, {total} bytes")


main()
