"""Runs a model and collects what the parity test compares."""

import json

import torch
from models_build import STEPS, Refused, check_sensitivity, double, pixels
from safetensors.torch import save_file

BEAMS = {
    "beam3": dict(num_beams=3),
    "beam4-early-long": dict(num_beams=4, early_stopping=True, length_penalty=2.0),
    "beam4-never-short": dict(num_beams=4, early_stopping="never", length_penalty=0.6),
    "beam4-early-false": dict(num_beams=4, early_stopping=False, length_penalty=0.6, num_return_sequences=2),
    "beam3-ngram": dict(num_beams=3, no_repeat_ngram_size=2, num_return_sequences=2, length_penalty=2.0),
}


def generations(case, eos, first):
    runs = {"greedy": {}, "prompt": {"decoder_input_ids": case["prompt"]}, "beam3": BEAMS["beam3"]}
    if case.get("full"):
        mixed = dict(repetition_penalty=1.3, min_length=6, suppress_tokens=[first, 9])
        runs |= BEAMS
        runs["processors"] = mixed | dict(forced_eos_token_id=eos)
        runs["processors-beam"] = mixed | dict(num_beams=3, no_repeat_ngram_size=2, forced_eos_token_id=eos)
        runs["prompt-beam"] = dict(num_beams=3, decoder_input_ids=case["prompt"])
    return {name: runs[name] for name in case.get("generate", runs)}


def run_generation(model, values, options):
    options = dict(options)
    prompt = options.pop("decoder_input_ids", None)
    if prompt is not None:
        options["decoder_input_ids"] = torch.tensor(prompt)
    with torch.no_grad():
        return model.generate(
            values,
            do_sample=False,
            max_new_tokens=STEPS,
            return_dict_in_generate=True,
            output_scores=True,
            output_logits=True,
            **options,
        )


def log_probs(result, prompt_length, eos):
    rows = []
    for row, ids in enumerate(result.sequences.tolist()):
        values = []
        for step, token in enumerate(ids[prompt_length:]):
            values.append(result.logits[step][row].log_softmax(-1)[token].item())
            if token == eos:
                break
        rows.append(values)
    return rows


def camel(name):
    head, *rest = name.split("_")
    return head + "".join(word.capitalize() for word in rest)


def expect_generation(model, twin, name, values, options, eos):
    result = run_generation(model, values, options)
    torch.set_default_dtype(torch.float64)  # some models make tensors without naming a type
    try:
        check = run_generation(twin, values.double(), options)
    finally:
        torch.set_default_dtype(torch.float32)
    if result.sequences.tolist() != check.sequences.tolist():
        raise Refused(f"{name}: float64 gives other ids")
    entry = {"name": name, "options": {camel(key): value for key, value in options.items()}}
    entry["options"]["maxNewTokens"] = STEPS
    entry["sequences"] = result.sequences.tolist()
    if options.get("num_beams", 1) > 1:
        entry["sequenceScores"] = result.sequences_scores.tolist()
    else:
        check_margins(name, result)
        length = result.sequences.shape[1] - len(result.logits)
        entry["tokenLogProbs"] = log_probs(result, length, eos)
    return entry


def check_margins(name, result):
    for scores in result.scores:
        top = scores.topk(2, -1).values
        if not (top[:, 0] - top[:, 1]).min() > 1e-3:
            raise Refused(f"{name}: two tokens are nearly tied")


def forwards(case, seed):
    ids, labels = torch.tensor(case["ids"]), torch.tensor(case["labels"])
    mask = torch.tensor([[1, 1, 0, 1, 1], [1, 1, 1, 1, 0]])
    runs = {
        "ids": {"decoder_input_ids": ids},
        "mask": {"decoder_input_ids": ids, "decoder_attention_mask": mask},
        "labels": {"labels": labels},
    }
    for index, size in enumerate(case.get("interpolate", [])):
        values = pixels(case, seed + 50 + index, 2, size)
        runs[f"interpolate{index}"] = {"decoder_input_ids": ids, "pixel_values": values, "interpolate_pos_encoding": True}
    for index, size in enumerate(case.get("sizes", [])):
        runs[f"size{index}"] = {"decoder_input_ids": ids, "pixel_values": pixels(case, seed + 70 + index, 2, size)}
    return runs


def expect_forward(model, name, inputs, default, tensors):
    inputs = dict(inputs)
    entry = {"name": name, "pixelValues": "pixel_values"}
    if "pixel_values" in inputs:
        entry["pixelValues"] = f"{name}.pixel_values"
        tensors[entry["pixelValues"]] = inputs["pixel_values"]
    everything = name == "ids"
    inputs = {"pixel_values": default} | inputs
    with torch.no_grad():
        out = model(**inputs, output_hidden_states=everything, output_attentions=everything)
    for key in ("decoder_input_ids", "decoder_attention_mask", "labels"):
        if key in inputs:
            entry[camel(key)] = inputs[key].tolist()
    if "interpolate_pos_encoding" in inputs:
        entry["interpolatePosEncoding"] = True
    if "labels" in inputs:
        entry["loss"] = out.loss.item()
    tensors[f"{name}.logits"] = out.logits
    if everything or name.startswith(("interpolate", "size")):
        tensors[f"{name}.encoder_last_hidden_state"] = out.encoder_last_hidden_state
    if everything:
        for field in ("encoder_hidden_states", "decoder_hidden_states", "cross_attentions"):
            for index, value in enumerate(getattr(out, field)):
                if field == "cross_attentions" and model.decoder.config.model_type == "prophetnet":
                    value = value.softmax(-1)  # it hands out scores
                tensors[f"{name}.{field}.{index}"] = value
    return entry


def expect(model, case, seed, eos, folder):
    values = pixels(case, seed)
    inputs = {"pixel_values": values[:2], "decoder_input_ids": torch.tensor(case["ids"])}
    check_sensitivity(model, inputs, case.get("unused", ()))
    tensors = {"pixel_values": values}
    twin = double(model)
    first = run_generation(model, values, {}).sequences[0, 2].item()
    report = {
        "seed": seed,
        "forwards": [expect_forward(model, n, i, values[:2], tensors) for n, i in forwards(case, seed).items()],
        "generations": [
            expect_generation(model, twin, name, values, options, eos)
            for name, options in generations(case, eos, first).items()
        ],
    }
    folder.mkdir(parents=True, exist_ok=True)
    save_file({name: value.float().contiguous().clone() for name, value in tensors.items()}, folder / "expected.safetensors")
    (folder / "expected.json").write_text(json.dumps(report, indent=1) + "\n")
