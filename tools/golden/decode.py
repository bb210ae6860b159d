"""Golden cases for native/decode, from transformers' own generate() and logits processors.

A toy model whose logits are a fixed table of the last two ids makes every search reproducible without weights.
Writes search.txt and processors.txt (read by test/native/decode_test.cpp) and provenance.json.

    python tools/golden/decode.py [output folder]
"""

import json
import pathlib
import random
import sys

import torch
import transformers
from transformers import GenerationConfig, GenerationMixin, PretrainedConfig, PreTrainedModel
from transformers.modeling_outputs import CausalLMOutputWithPast

VOCAB = 13
SEED = 20240607


class ToyConfig(PretrainedConfig):
    model_type = "toy-table"
    vocab_size = VOCAB
    num_hidden_layers = 1
    hidden_size = 1
    num_attention_heads = 1


class ToyModel(PreTrainedModel, GenerationMixin):
    config_class = ToyConfig
    _supports_cache_class = False

    def __init__(self, config, table):
        super().__init__(config)
        self.anchor = torch.nn.Parameter(torch.zeros(1))
        self.table = table

    def prepare_inputs_for_generation(self, input_ids, attention_mask=None, **kwargs):
        return {"input_ids": input_ids}

    def forward(self, input_ids, attention_mask=None, **kwargs):
        before = input_ids[:, -2] if input_ids.shape[1] > 1 else torch.zeros_like(input_ids[:, -1])
        return CausalLMOutputWithPast(logits=self.table[before, input_ids[:, -1]].unsqueeze(1))


def render(value):
    if isinstance(value, bool):
        return str(int(value))
    if isinstance(value, float):
        return f"{value:.9g}"
    if isinstance(value, (list, tuple)):
        if value and isinstance(value[0], (list, tuple)):
            return " | ".join(render(v) for v in value)
        return " ".join(render(v) for v in value)
    return str(value)


def bias_lines(options):
    """sequence_bias as one line per entry: bias, then ids."""
    return [f"bias {render(float(bias))} {render(ids)}" for ids, bias in options.get("sequence_bias") or []]


def option_lines(options):
    lines = [f"{key} {render(value)}" for key, value in options.items() if key != "sequence_bias"]
    return lines + bias_lines(options)


def write_case(out, name, options, prompt, body):
    out.append(f"case {name}")
    out.extend(option_lines(options))
    out.append(f"prompt {render(prompt)}")
    out.extend(body)
    out.append("end")


def run_search(model, prompt, options):
    config = GenerationConfig(
        **options, return_dict_in_generate=True, output_scores=True, use_cache=False, pad_token_id=0, max_new_tokens=None
    )
    ids = torch.tensor([prompt])
    return model.generate(ids, attention_mask=torch.ones_like(ids), generation_config=config)


def trim(row, sources, prompt_length):
    """Ids without padding: beam search says how many tokens each row has."""
    if sources is None:
        return row
    return row[: prompt_length + sum(1 for s in sources if s >= 0)]


def search_case(out, model, name, prompt, options):
    result = run_search(model, prompt, options)
    body = []
    beams = options["num_beams"] > 1
    if beams and (result.sequences_scores < -1e7).any():
        return False  # dead beams: their order is an accident of rounding
    for i, row in enumerate(result.sequences.tolist()):
        sources = result.beam_indices[i].tolist() if beams else None
        ids = trim(row, sources, len(prompt))
        score = float(result.sequences_scores[i]) if beams else 0.0
        body.append(f"sequence {score:.9g} {render(ids)}")
        if beams:
            body.append(f"sources {render([s for s in sources if s >= 0])}")
    if not beams:
        body.extend(f"scores {render(step[0].tolist())}" for step in result.scores[:4])
    write_case(out, name, options, prompt, body)
    return True


def random_search(rng, beams):
    options = {"max_length": rng.randint(4, 16), "num_beams": beams, "num_return_sequences": rng.randint(1, beams)}
    options["eos_token_id"] = rng.sample(range(1, VOCAB), rng.randint(1, 3))
    options["length_penalty"] = rng.choice([-1.0, 0.0, 0.6, 1.0, 2.0])
    options["early_stopping"] = rng.choice([True, False, "never"])
    extras = {
        "repetition_penalty": lambda: rng.choice([1.3, 0.8]),
        "no_repeat_ngram_size": lambda: rng.randint(1, 3),
        "min_length": lambda: rng.randint(2, 6),
        "min_new_tokens": lambda: rng.randint(1, 4),
        "bad_words_ids": lambda: [[rng.randrange(1, VOCAB)], [rng.randrange(VOCAB), rng.randrange(VOCAB)]],
        "sequence_bias": lambda: [[[rng.randrange(VOCAB)], 1.5], [[rng.randrange(VOCAB), rng.randrange(VOCAB)], -2.25]],
        "forced_bos_token_id": lambda: rng.randrange(1, VOCAB),
        "forced_eos_token_id": lambda: options["eos_token_id"][0],
        "exponential_decay_length_penalty": lambda: (rng.randint(1, 3), 1.2),
        "suppress_tokens": lambda: rng.sample(range(VOCAB), 2),
        "begin_suppress_tokens": lambda: rng.sample(range(VOCAB), 3),
        "renormalize_logits": lambda: True,
        "remove_invalid_values": lambda: True,
    }
    for key in rng.sample(sorted(extras), rng.choice([0, 0, 1, 2, 3])):
        options[key] = extras[key]()
    # -inf + inf is NaN in transformers when the decayed end token is masked
    if "exponential_decay_length_penalty" in options:
        for key in ("min_length", "min_new_tokens", "no_repeat_ngram_size", "bad_words_ids", "forced_bos_token_id",
                    "forced_eos_token_id"):
            options.pop(key, None)
    return options


def write_searches(folder, table):
    rng = random.Random(SEED)
    model = ToyModel(ToyConfig(), table).eval()
    out = [f"vocab {VOCAB}"]
    out.extend(f"table {render(row.tolist())}" for row in table.reshape(-1, VOCAB))
    written = 0
    while written < 260:
        beams = rng.choice([1, 2, 3, 4, 5])
        prompt = [rng.randrange(VOCAB) for _ in range(rng.choice([1, 1, 3]))]
        options = random_search(rng, beams)
        if options["max_length"] <= len(prompt) + 1:
            continue
        try:
            written += search_case(out, model, f"search{written}", prompt, options)
        except ValueError as error:
            if "suppress_tokens" not in str(error):  # a forced token that is suppressed is refused
                raise
    (folder / "search.txt").write_text("\n".join(out) + "\n")
    return written


def random_warpers(rng):
    choices = {
        "temperature": lambda: rng.choice([0.5, 1.7]),
        "top_h": lambda: rng.choice([0.2, 0.5, 0.9]),
        "top_k": lambda: rng.randint(1, 12),
        "top_p": lambda: rng.choice([0.0, 0.3, 0.7, 0.95]),
        "min_p": lambda: rng.choice([0.05, 0.2, 0.6]),
        "typical_p": lambda: rng.choice([0.2, 0.6, 0.9]),
        "epsilon_cutoff": lambda: rng.choice([0.01, 0.05, 0.2]),
        "eta_cutoff": lambda: rng.choice([0.01, 0.05, 0.3]),
    }
    options = {key: choices[key]() for key in rng.sample(sorted(choices), rng.choice([1, 1, 1, 2, 3]))}
    options.setdefault("top_k", 0)
    if rng.random() < 0.2:
        options["renormalize_logits"] = True
    return options


def processor_case(out, model, name, rng, generator, warp):
    beams = rng.choice([1, 3])
    options = random_search(rng, beams)
    options = {k: v for k, v in options.items() if k not in ("num_return_sequences", "length_penalty", "early_stopping")}
    if warp:
        options = {k: options[k] for k in ("max_length", "num_beams", "eos_token_id")} | random_warpers(rng)
    options["do_sample"] = warp
    prompt_length = rng.choice([1, 2])
    options["prompt_length"] = prompt_length
    ids = [rng.randrange(VOCAB) for _ in range(rng.randint(prompt_length, options["max_length"] - 1))]
    scores = torch.randn(1, VOCAB, generator=generator) * 2
    settings = {k: v for k, v in options.items() if k != "prompt_length"}
    config = GenerationConfig(**settings)
    config._eos_token_tensor = torch.tensor(options["eos_token_id"])
    if config.min_new_tokens is not None:
        config.min_length = config.min_new_tokens + prompt_length
    processors = model._get_logits_processor(config, input_ids_seq_length=prompt_length, logits_processor=[])
    result = processors(torch.tensor([ids]), scores.clone())
    if torch.isnan(result).any():
        return False
    write_case(out, name, options, ids, [f"in {render(scores[0].tolist())}", f"out {render(result[0].tolist())}"])
    return True


def write_processors(folder, table):
    rng = random.Random(SEED + 1)
    generator = torch.Generator().manual_seed(SEED)
    model = ToyModel(ToyConfig(), table).eval()
    out = [f"vocab {VOCAB}"]
    written = 0
    while written < 400:
        try:
            written += processor_case(out, model, f"processors{written}", rng, generator, warp=written % 2 == 0)
        except ValueError as error:
            if "suppress_tokens" not in str(error):
                raise
    (folder / "processors.txt").write_text("\n".join(out) + "\n")
    return written


def main():
    folder = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else "test/golden/decode")
    folder.mkdir(parents=True, exist_ok=True)
    generator = torch.Generator().manual_seed(SEED)
    table = torch.randn(VOCAB, VOCAB, VOCAB, generator=generator) * 1.5
    counts = {"searches": write_searches(folder, table), "processors": write_processors(folder, table)}
    provenance = {"generator": "tools/golden/decode.py", "transformers": transformers.__version__,
                  "torch": torch.__version__, "seed": SEED, "cases": counts}
    (folder / "provenance.json").write_text(json.dumps(provenance, indent=2) + "\n")


if __name__ == "__main__":
    main()
