"""Writes the ONNX files that transformers.js 4.3.1 loads for a ViT with a GPT-2 or TrOCR decoder.

usage: onnx_export.py CHECKPOINT FOLDER [kept]
`kept`: a GPT-2 decoder is labelled as TrOCR's, so that transformers.js keeps the keys and values of cross-attention too. Its users
do not get that; it is the best that it could do.
"""
import json
import os
import shutil
import sys

from safetensors.numpy import load_file

from onnx_decoders import Gpt2, TrOcr, export
from onnx_graph import FLOAT, Graph


def encoder(weights, config, path):
    g = Graph(weights)
    patch, heads, eps = config["patch_size"], config["num_attention_heads"], config["layer_norm_eps"]
    size = config["hidden_size"] // heads
    top = "encoder.embeddings."
    projection = f"{top}patch_embeddings.projection."
    x = g.add("Conv", "pixel_values", g.weight(f"{projection}weight"), g.weight(f"{projection}bias"), kernel_shape=[patch] * 2, strides=[patch] * 2)
    x = g.add("Transpose", g.add("Reshape", x, g.ints(0, 0, -1)), perm=[0, 2, 1])
    batch = g.add("Shape", "pixel_values", start=0, end=1)
    token = g.add("Expand", g.weight(f"{top}cls_token"), g.add("Concat", batch, g.ints(1, 1), axis=0))
    x = g.add("Add", g.add("Concat", token, x, axis=1), g.weight(f"{top}position_embeddings"))
    for i in range(config["num_hidden_layers"]):
        layer = f"encoder.encoder.layer.{i}."
        y = g.norm(x, f"{layer}layernorm_before", eps)
        q, k, v = (g.split_heads(g.dense(y, f"{layer}attention.attention.{n}", True), heads, size) for n in ("query", "key", "value"))
        x = g.add("Add", g.dense(g.attention(q, k, v, size), f"{layer}attention.output.dense", True), x)
        y = g.gelu(g.dense(g.norm(x, f"{layer}layernorm_after", eps), f"{layer}intermediate.dense", True))
        x = g.add("Add", g.dense(y, f"{layer}output.dense", True), x)
    g.add("Identity", g.norm(x, "encoder.layernorm", eps), outputs=["last_hidden_state"])
    pixels = ("pixel_values", FLOAT, ["batch", "channels", "height", "width"])
    g.save([pixels], [("last_hidden_state", FLOAT, ["batch", "tokens", config["hidden_size"]])], path)


def quantise(path):
    from onnxruntime.quantization import QuantType, quantize_dynamic

    options = {"EnableSubgraph": True}
    quantize_dynamic(path, path.replace(".onnx", "_quantized.onnx"), weight_type=QuantType.QUInt8, extra_options=options)


def labelled_trocr(decoder):
    sizes = {"decoder_layers": decoder["n_layer"], "decoder_attention_heads": decoder["n_head"], "d_model": decoder["n_embd"]}
    return {**decoder, **sizes, "model_type": "trocr"}


def main(source, folder, *options):
    with open(f"{source}/config.json") as file:
        config = json.load(file)
    weights = load_file(f"{source}/model.safetensors")
    os.makedirs(f"{folder}/onnx", exist_ok=True)
    kind = {"gpt2": Gpt2, "trocr": TrOcr}[config["decoder"]["model_type"]]
    encoder(weights, config["encoder"], f"{folder}/onnx/encoder_model.onnx")
    kept = kind is TrOcr or "kept" in options
    export(kind, weights, config["decoder"], f"{folder}/onnx/decoder_model_merged.onnx", kept)
    for name in ("encoder_model", "decoder_model_merged"):
        quantise(f"{folder}/onnx/{name}.onnx")
    if kind is Gpt2 and kept:
        config["decoder"] = labelled_trocr(config["decoder"])
    with open(f"{folder}/config.json", "w") as file:
        json.dump(config, file, indent=1)
    shutil.copy(f"{source}/generation_config.json", folder)


if __name__ == "__main__":
    main(*sys.argv[1:])
