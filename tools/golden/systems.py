"""Golden systems: tiny checkpoints laid out as the published ones, and what transformers' whole chain (image processor, generate,
tokenizer, post-processing) makes of images.

Run: PYTHONPATH=<folder with levenshtein> python tools/golden/systems.py [NAME …]   (after images.py and text.py)
Writes test/golden/systems/NAME/: the checkpoint without tokenizer files that already stand in test/golden/text, and expected.json.
Weights are random numbers of float16; models are built in memory, not read back, as transformers 5.18 cannot run sinusoidal TrOCR
positions after from_pretrained.
"""
import copy
import json
import re
import shutil
import sys
import tempfile
import warnings
from pathlib import Path

import torch
import transformers
from models_build import GAINS, double, randomise
from PIL import Image, ImageOps
from safetensors.torch import load_file, save_file
from systems_cases import SYSTEMS
from transformers import AutoTokenizer, BertJapaneseTokenizer, GenerationConfig, VisionEncoderDecoderConfig, VisionEncoderDecoderModel
from transformers.models.beit.image_processing_pil_beit import BeitImageProcessorPil
from transformers.models.deit.image_processing_pil_deit import DeiTImageProcessorPil
from transformers.models.donut.image_processing_pil_donut import DonutImageProcessorPil
from transformers.models.donut.processing_donut import DonutProcessor
from transformers.models.nougat.image_processing_pil_nougat import NougatImageProcessorPil
from transformers.models.vit.image_processing_pil_vit import ViTImageProcessorPil

GOLDEN = Path(__file__).resolve().parents[2] / "test/golden"
OUT = GOLDEN / "systems"
PROCESSORS = {"ViT": ViTImageProcessorPil, "DeiT": DeiTImageProcessorPil, "Donut": DonutImageProcessorPil, "Nougat": NougatImageProcessorPil, "Beit": BeitImageProcessorPil}


#: Models this small repeat one token unless positions and images weigh more.
WILD = dict(tokens=0.3, positions=2.0, maps=1.8, cross=3.0)


class Refused(Exception):
    pass


def sub_config(values):
    values = dict(values)
    return transformers.AutoConfig.for_model(values.pop("model_type"), **values)


def build(case, seed, vocabulary):
    decoder = sub_config(case["decoder"] | {"vocab_size": vocabulary})
    transformers.logging.set_verbosity_error()
    config = VisionEncoderDecoderConfig.from_encoder_decoder_configs(sub_config(case["encoder"]), decoder, **case["top"])
    config._attn_implementation = "eager"
    model = VisionEncoderDecoderModel(config).eval()
    randomise(model, seed, GAINS | WILD | case.get("gains", {}))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(parameter.half().float())
    return model


def tokenizer_of(case, folder):
    """The tokenizer files as they stand together in a checkpoint."""
    base = GOLDEN / "text" / case["tokenizer"]
    for path in base.iterdir():
        if path.name != "expected.json":
            shutil.copy(path, folder)
    for name, content in case.get("tokenizer_files", {}).items():
        (folder / name).write_text(json.dumps(content, ensure_ascii=False))
    if case["tokenizer"] == "manga-ocr":  # MeCab is not needed for decoding
        return BertJapaneseTokenizer.from_pretrained(folder, word_tokenizer_type="basic", subword_tokenizer_type="character")
    return AutoTokenizer.from_pretrained(folder)


def load_image(name, grayscale):
    image = ImageOps.exif_transpose(Image.open(GOLDEN / "images" / name)).convert("RGB")
    return image.convert("L").convert("RGB") if grayscale else image


def pixels(case, prepared):
    kind = re.sub("FeatureExtractor|ImageProcessor", "", prepared.get("image_processor_type") or prepared["feature_extractor_type"])
    values = {key: value for key, value in prepared.items() if not key.endswith("_type")}
    processor = PROCESSORS[kind](**values)
    images = [load_image(name, case.get("options", {}).get("grayscale", False)) for name in case["images"]]
    return torch.cat([processor(image, return_tensors="pt")["pixel_values"] for image in images])


def generation_config(model, case):
    """From the file, or from what config.json says where there is none."""
    if "generation" in case:
        return GenerationConfig(**case["generation"])
    with tempfile.TemporaryDirectory() as work:
        write(Path(work) / "config.json", written_config(model, case))
        # As from_pretrained of a model does it where generation_config.json is missing.
        return GenerationConfig.from_pretrained(work, config_file_name="config.json", _from_model_config=True)


def written_config(model, case):
    """config.json; `legacy` and `legacy_decoder` are generation settings as version 4 kept them there."""
    written = model.config.to_dict()
    for part in (written, written["encoder"], written["decoder"]):
        for key in ("dtype", "_name_or_path", "transformers_version", "attn_implementation"):
            part.pop(key, None)
        for key in [key for key, value in part.items() if value is None]:
            part.pop(key)
        part["torch_dtype"] = "float16"
    written["decoder"] |= case.get("legacy_decoder", {})
    return written | case.get("legacy", {})


def run(model, values, config, prompts):
    options = {} if prompts is None else {"decoder_input_ids": torch.tensor(prompts)}
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return model.generate(values.to(model.dtype), generation_config=config, **options).tolist()


def read(case, tokenizer, row):
    post = case.get("options", {}).get("postProcess")
    if post != "token2json":
        return {"text": tokenizer.decode(row, skip_special_tokens=True)}
    text = tokenizer.decode(row).replace(tokenizer.eos_token, "").replace(tokenizer.pad_token, "")
    text = re.sub(r"<.*?>", "", text, count=1).strip()
    processor = DonutProcessor.__new__(DonutProcessor)
    return {"text": text, "json": processor.token2json(text, added_vocab=tokenizer.get_added_vocab())}


def finish(case, result):
    post = case.get("options", {}).get("postProcess")
    if post == "nougat":
        from post_processing import tokenizer as nougat_tokenizer
        result["text"] = nougat_tokenizer().post_process_single(result["text"])
    if post == "mangaOcr":
        from post_processing import manga_text
        result["text"] = manga_text(result["text"])
    return result


def attempt(case, seed, tokenizer):
    vocabulary = max(tokenizer.get_vocab().values()) + 1
    model = build(case, seed, vocabulary)
    values = pixels(case, case["preprocessor"])
    prompts = case.get("prompts")
    ids = prompts and [tokenizer(text, add_special_tokens=False)["input_ids"] for text in prompts]
    config = generation_config(model, case)
    groups = sorted({len(row) for row in ids}) if ids else [None]
    rows, twin = [None] * len(case["images"]), double(model)
    for length in groups:
        chosen = [i for i in range(len(rows)) if length is None or len(ids[i]) == length]
        part = run(model, values[chosen], config, ids and [ids[i] for i in chosen])
        if part != run(twin, values[chosen], config, ids and [ids[i] for i in chosen]):
            raise Refused("float64 gives other ids")
        for i, row in zip(chosen, part):
            rows[i] = row
    start = 1 if not ids else max(len(row) for row in ids)
    if any(len(set(row[start:])) < 3 for row in rows):
        raise Refused("a row repeats itself")
    if len({tuple(row[start:]) for row in rows}) < len(rows):
        raise Refused("images give one text")
    if case.get("options", {}).get("postProcess") == "token2json" and not has_fields(read(case, tokenizer, row)["json"] for row in rows):
        raise Refused("no row with fields")
    return model, config, [row_result(case, tokenizer, row) for row in rows]


def has_fields(values):
    """At least two rows with fields, and one with a field or a list in a field."""
    found = [value for value in values if isinstance(value, list) or "text_sequence" not in value]
    inner = [part for value in found for item in (value if isinstance(value, list) else [value]) for part in item.values()]
    return len(found) >= 2 and any(not isinstance(part, str) for part in inner)


def row_result(case, tokenizer, row):
    return {"ids": row, **finish(case, read(case, tokenizer, row))}


def save(case, model, config, folder):
    # save_pretrained gives the names that checkpoints have; in memory transformers 5 uses others.
    with tempfile.TemporaryDirectory() as work:
        copy.deepcopy(model).half().save_pretrained(work)
        tensors = load_file(Path(work) / "model.safetensors")
    if case.get("weights") == "pytorch_model.bin":
        torch.save(tensors, folder / "pytorch_model.bin")
    else:
        save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    write(folder / "config.json", written_config(model, case))
    if "generation" in case:
        write(folder / "generation_config.json", case["generation"])
    write(folder / "preprocessor_config.json", case["preprocessor"])
    for name, content in case.get("tokenizer_files", {}).items():
        write(folder / name, content)


def write(path, value):
    path.write_text(json.dumps(value, ensure_ascii=False, indent=1, sort_keys=True) + "\n", encoding="utf-8")


def make(name):
    case, folder = SYSTEMS[name], OUT / name
    with tempfile.TemporaryDirectory() as work:
        tokenizer = tokenizer_of(case, Path(work))
    reasons = {}
    before = folder / "expected.json"
    first = json.loads(before.read_text())["seed"] if before.exists() else 1
    for seed in range(first, 400):
        try:
            model, config, results = attempt(case, seed, tokenizer)
        except Refused as reason:
            reasons[str(reason)] = reasons.get(str(reason), 0) + 1
            continue
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        save(case, model, config, folder)
        expected = {"seed": seed, "tokenizer": case["tokenizer"], "images": case["images"], "options": case.get("options", {}), "results": results}
        expected |= {"prompts": case["prompts"]} if "prompts" in case else {}
        write(folder / "expected.json", expected)
        size = sum(path.stat().st_size for path in folder.iterdir())
        print(f"{name}: seed {seed}, {size} bytes, refused before {reasons}; {[r['text'][:40] for r in results]}", flush=True)
        return
    raise SystemExit(f"{name}: no seed accepted: {reasons}")


def main():
    names = sys.argv[1:] or list(SYSTEMS)
    for name in names:
        make(name)
    write(OUT / "provenance.json", {"generator": "tools/golden/systems.py", "transformers": transformers.__version__, "torch": torch.__version__})


if __name__ == "__main__":
    main()
