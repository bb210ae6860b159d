#!/usr/bin/env python3
"""The PyTorch half of the benchmark: one process per variant, requests as JSON lines on stdin, one JSON line back for each.

usage: torch_half.py FOLDER VARIANT_JSON

Variant: device (cuda, cpu), dtype (fp32, fp16, bf16), attention (eager, sdpa), compiled (static cache and torch.compile; tokens: the most it will be asked for).
Requests: {op: "encoder", batch, seconds, most}; {op: "step", rows, length, …}; {op: "generate", batch, beams, tokens, …};
warmup: untimed runs before the timed ones. Answers: {ms: [...]}, {oom: true} or {error}. Pixels start in the host's memory for
generate and on the device for encoder.
"""
import gc
import json
import os
import sys
import time

os.environ.update(HF_HUB_OFFLINE="1", TRANSFORMERS_OFFLINE="1", TRANSFORMERS_VERBOSITY="error", TOKENIZERS_PARALLELISM="false")
import numpy
import torch
import transformers
from transformers import CompileConfig, DynamicCache, EncoderDecoderCache, StaticCache, VisionEncoderDecoderModel
from transformers.modeling_outputs import BaseModelOutput

DTYPES = {"fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}


class CompiledEncoder(torch.nn.Module):
    """Graph replays write their outputs over the last ones; the copy lives on through the decoding steps."""

    def __init__(self, encoder):
        super().__init__()
        self.encoder = encoder
        self.main_input_name, self.config = encoder.main_input_name, encoder.config
        self.run = torch.compile(lambda pixels: encoder(pixel_values=pixels).last_hidden_state, mode="reduce-overhead", dynamic=False)

    def forward(self, pixel_values=None, **_):
        torch.compiler.cudagraph_mark_step_begin()
        return BaseModelOutput(last_hidden_state=self.run(pixel_values).clone())


class Half:
    def __init__(self, folder, variant):
        self.variant = variant
        self.device = torch.device(variant["device"])
        self.dtype = DTYPES[variant["dtype"]]
        torch.set_grad_enabled(False)
        torch.backends.cuda.matmul.allow_tf32 = False
        torch.backends.cudnn.allow_tf32 = False
        if variant.get("threads"):
            torch.set_num_threads(variant["threads"])
        self.model, self.attention = self.load(folder, variant["attention"])
        with open(f"{folder}/bench.json") as file:
            bench = json.load(file)
        self.images = numpy.fromfile(f"{folder}/pixels.f32", "<f4").reshape(bench["images"], *bench["pixelShape"])
        if variant.get("compiled"):
            self.model.encoder = CompiledEncoder(self.model.encoder)
        self.batches = {}
        self.caches = {}

    def load(self, folder, attention):
        """sdpa where a half of the model has it: {"encoder": …, "decoder": …} says what really runs."""
        wanted = [attention]
        if attention == "sdpa":
            wanted += [{"encoder": a, "decoder": b, "": "eager"} for a, b in (("sdpa", "eager"), ("eager", "sdpa"))]
        for choice in wanted:
            try:
                model = VisionEncoderDecoderModel.from_pretrained(folder, dtype=self.dtype, attn_implementation=choice)
                model = model.eval().to(self.device)
                return model, {part: getattr(model, part).config._attn_implementation for part in ("encoder", "decoder")}
            except ValueError as error:
                reason = str(error).splitlines()[0]
        raise SystemExit(f"attention {attention}: {reason}")

    def synchronise(self):
        if self.device.type == "cuda":
            torch.cuda.synchronize()

    def pixels(self, batch):
        """Float32 in the host's memory, as a preprocessor leaves them."""
        if batch not in self.batches:
            repeated = -(-batch // len(self.images))
            self.batches = {batch: torch.from_numpy(numpy.concatenate([self.images] * repeated)[:batch])}
        return self.batches[batch]

    def timed(self, request, work, events):
        for _ in range(request.get("warmup", 0)):
            work()
        self.synchronise()
        times, began = [], time.perf_counter()
        while len(times) < request["most"] and (not times or time.perf_counter() - began < request["seconds"]):
            times.append(self.by_events(work) if events and self.device.type == "cuda" else self.by_clock(work))
        return dict(ms=times)

    def by_clock(self, work):
        self.synchronise()
        began = time.perf_counter()
        work()
        self.synchronise()
        return (time.perf_counter() - began) * 1e3

    def by_events(self, work):
        begin, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
        begin.record()
        work()
        end.record()
        end.synchronize()
        return begin.elapsed_time(end)

    def encoder(self, request):
        pixels = self.pixels(request["batch"]).to(self.device, self.dtype)
        return self.timed(request, lambda: self.model.encoder(pixel_values=pixels).last_hidden_state, events=True)

    def step(self, request):
        """One token for each row with `length` tokens in the cache: the model alone, without the loop around it."""
        if self.variant.get("compiled"):
            return dict(unsupported="the compiled step is measured inside generate")
        rows, length = request["rows"], request["length"]
        states = self.model.encoder(pixel_values=self.pixels(rows).to(self.device, self.dtype)).last_hidden_state
        config = self.model.config.decoder
        cache = EncoderDecoderCache(DynamicCache(config=config), DynamicCache(config=config))
        start = torch.full((rows, length), self.model.config.decoder_start_token_id, device=self.device)
        outputs = BaseModelOutput(last_hidden_state=states)
        self.model(encoder_outputs=outputs, decoder_input_ids=start, past_key_values=cache, use_cache=True)

        def once():
            self.model(encoder_outputs=outputs, decoder_input_ids=start[:, :1], past_key_values=cache, use_cache=True)
            cache.self_attention_cache.crop(length)

        return self.timed(request, once, events=True)

    def options(self, request):
        tokens = request["tokens"]
        options = dict(max_new_tokens=tokens, min_new_tokens=tokens, num_beams=request["beams"], do_sample=False)
        if request["beams"] > 1:
            options.update(length_penalty=1.0, early_stopping=False)
        if self.variant.get("compiled"):
            compile_config = CompileConfig(mode="reduce-overhead", fullgraph=False, dynamic=False)
            compile_config._compile_all_devices = True
            options.update(compile_config=compile_config, past_key_values=self.static_cache(request["batch"] * request["beams"]))
        return options

    def static_cache(self, rows):
        """One cache for each number of rows, as long as any request needs: with new tensors or sizes, graphs are recorded anew."""
        if rows not in self.caches:
            config, encoder = self.model.config.decoder, self.model.encoder.encoder  # the one that is not compiled
            cross = encoder(pixel_values=self.pixels(1).to(self.device, self.dtype)).last_hidden_state.shape[1]
            self.caches[rows] = EncoderDecoderCache(StaticCache(config=config, max_cache_len=self.variant["tokens"] + 1),
                                                    StaticCache(config=config, max_cache_len=cross))
        self.caches[rows].reset()
        return self.caches[rows]

    def generate(self, request):
        pixels = self.pixels(request["batch"])
        last = {}

        def once():
            on_device = pixels.to(self.device).to(self.dtype)
            last["ids"] = self.model.generate(pixel_values=on_device, **self.options(request)).cpu()

        answer = self.timed(request, once, events=False)
        if self.variant.get("compiled"):
            answer.update(decoderCompiled=hasattr(self.model, "_compiled_call"))
        return dict(answer, ids=last["ids"][:, 1:].tolist()) if request.get("ids") else answer

    def margins(self, request):
        """Greedy ids, and for each token how far its score lies above the second best."""
        pixels = self.pixels(request["batch"]).to(self.device).to(self.dtype)
        output = self.model.generate(pixel_values=pixels, **self.options(request), output_logits=True, return_dict_in_generate=True)
        best = torch.stack(output.logits, 1).float().topk(2).values
        return dict(ids=output.sequences[:, 1:].tolist(), margins=(best[..., 0] - best[..., 1]).tolist())

    def versions(self):
        return dict(ready=True, torch=torch.__version__, transformers=transformers.__version__, attention=self.attention,
                    gpu=torch.cuda.get_device_name() if self.device.type == "cuda" else None)

    def answer(self, request):
        try:
            return getattr(self, request["op"])(request)
        except torch.OutOfMemoryError:
            answer = dict(oom=True)
        except Exception as error:  # reported, and the next request may well succeed
            answer = dict(error=f"{type(error).__name__}: {str(error).strip().splitlines()[0][:300] if str(error).strip() else ''}")
        self.batches, self.caches = {}, {}
        gc.collect()
        if self.device.type == "cuda":
            torch.cuda.empty_cache()
        return answer


def main(folder, variant):
    answers = os.fdopen(os.dup(1), "w")  # libraries print on stdout too
    os.dup2(2, 1)
    half = Half(folder, json.loads(variant))
    print(json.dumps(half.versions()), file=answers, flush=True)
    for line in sys.stdin:
        print(json.dumps(half.answer(json.loads(line))), file=answers, flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:3])
