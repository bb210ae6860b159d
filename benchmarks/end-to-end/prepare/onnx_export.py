"""Writes the ONNX files that transformers.js 4.3.1 loads for a ViT + GPT-2 checkpoint.

usage: onnx_export.py CHECKPOINT FOLDER
The graphs are written node by node, so neither optimum nor torch's exporter is needed. The decoder is one graph
whose past may be empty; transformers.js keeps no cross-attention keys and values for GPT-2 decoders, so the graph
computes them from encoder_hidden_states at every step, as it must in any export with these names.
"""
import json
import os
import shutil
import sys

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from safetensors.numpy import load_file

FLOAT, INT64 = TensorProto.FLOAT, TensorProto.INT64


class Graph:
    def __init__(self, weights):
        self.weights, self.nodes, self.constants = weights, [], {}

    def add(self, kind, *inputs, outputs=None, **attributes):
        names = outputs or [f"{kind.lower()}{len(self.nodes)}"]
        self.nodes.append(helper.make_node(kind, list(inputs), names, **attributes))
        return names[0] if len(names) == 1 else names

    def value(self, name, array):
        self.constants.setdefault(name, np.ascontiguousarray(array))
        return name

    def weight(self, name):
        return self.value(name, self.weights[name])

    def ints(self, *values):
        return self.value("i" + "_".join(map(str, values)), np.array(values, np.int64))

    def real(self, value):
        return self.value(f"f{value}", np.array(value, np.float32))

    def dense(self, x, name, transpose):
        weight = self.weights[f"{name}.weight"]
        y = self.add("MatMul", x, self.value(f"{name}.weight", weight.T if transpose else weight))
        return self.add("Add", y, self.weight(f"{name}.bias"))

    def norm(self, x, name, eps):
        return self.add("LayerNormalization", x, self.weight(f"{name}.weight"), self.weight(f"{name}.bias"), axis=-1, epsilon=eps)

    def split_heads(self, x, heads, size):
        return self.add("Transpose", self.add("Reshape", x, self.ints(0, 0, heads, size)), perm=[0, 2, 1, 3])

    def split(self, x, parts):
        names = [f"split{len(self.nodes)}_{i}" for i in range(parts)]
        return self.add("Split", x, outputs=names, axis=2, num_outputs=parts)

    def attention(self, q, k, v, size, mask=None):
        scores = self.add("MatMul", self.add("Mul", q, self.real(size**-0.5)), self.add("Transpose", k, perm=[0, 1, 3, 2]))
        scores = self.add("Add", scores, mask) if mask else scores
        mixed = self.add("MatMul", self.add("Softmax", scores, axis=-1), v)
        return self.add("Reshape", self.add("Transpose", mixed, perm=[0, 2, 1, 3]), self.ints(0, 0, -1))

    def gelu(self, x):
        erf = self.add("Erf", self.add("Mul", x, self.real(0.5**0.5)))
        return self.add("Mul", self.add("Mul", x, self.add("Add", erf, self.real(1.0))), self.real(0.5))

    def gelu_new(self, x):
        cube = self.add("Mul", self.add("Pow", x, self.real(3.0)), self.real(0.044715))
        tanh = self.add("Tanh", self.add("Mul", self.add("Add", x, cube), self.real((2 / np.pi) ** 0.5)))
        return self.add("Mul", self.add("Mul", x, self.real(0.5)), self.add("Add", tanh, self.real(1.0)))

    def length(self, x, axis):
        return self.add("Squeeze", self.add("Shape", x, start=axis, end=axis + 1), self.ints(0))

    def save(self, inputs, outputs, path):
        info = lambda items: [helper.make_tensor_value_info(*item) for item in items]
        constants = [numpy_helper.from_array(array, name) for name, array in self.constants.items()]
        graph = helper.make_graph(self.nodes, "graph", info(inputs), info(outputs), constants)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
        onnx.save(model, path)
        onnx.checker.check_model(path)


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


def causal_mask(g, new, past):
    """Additive [1, 1, new, past + new] and the positions of the new tokens."""
    total = g.add("Add", past, new)
    one, zero = g.value("one", np.array(1, np.int64)), g.value("zero", np.array(0, np.int64))
    rows, columns = g.add("Range", past, total, one), g.add("Range", zero, total, one)
    hidden = g.add("Greater", g.add("Unsqueeze", columns, g.ints(0)), g.add("Unsqueeze", rows, g.ints(1)))
    return g.add("Unsqueeze", g.add("Where", hidden, g.real(-1e30), g.real(0.0)), g.ints(0, 1)), rows


def decoder(weights, config, path):
    g = Graph(weights)
    layers, heads, width, eps = config["n_layer"], config["n_head"], config["n_embd"], config["layer_norm_epsilon"]
    size, top = width // heads, "decoder.transformer."
    mask, positions = causal_mask(g, g.length("input_ids", 1), g.length("past_key_values.0.key", 2))
    table = g.weight(f"{top}wte.weight")
    x = g.add("Add", g.add("Gather", table, "input_ids"), g.add("Gather", g.weight(f"{top}wpe.weight"), positions))
    for i in range(layers):
        layer = f"{top}h.{i}."
        parts = g.split(g.dense(g.norm(x, f"{layer}ln_1", eps), f"{layer}attn.c_attn", False), 3)
        q, k, v = (g.split_heads(part, heads, size) for part in parts)
        k = g.add("Concat", f"past_key_values.{i}.key", k, axis=2, outputs=[f"present.{i}.key"])
        v = g.add("Concat", f"past_key_values.{i}.value", v, axis=2, outputs=[f"present.{i}.value"])
        x = g.add("Add", g.dense(g.attention(q, k, v, size, mask), f"{layer}attn.c_proj", False), x)
        q = g.split_heads(g.dense(g.norm(x, f"{layer}ln_cross_attn", eps), f"{layer}crossattention.q_attn", False), heads, size)
        parts = g.split(g.dense("encoder_hidden_states", f"{layer}crossattention.c_attn", False), 2)
        k, v = (g.split_heads(part, heads, size) for part in parts)
        x = g.add("Add", g.dense(g.attention(q, k, v, size), f"{layer}crossattention.c_proj", False), x)
        y = g.gelu_new(g.dense(g.norm(x, f"{layer}ln_2", eps), f"{layer}mlp.c_fc", False))
        x = g.add("Add", g.dense(y, f"{layer}mlp.c_proj", False), x)
    head = g.value("lm_head", weights[f"{top}wte.weight"].T)
    g.add("MatMul", g.norm(x, f"{top}ln_f", eps), head, outputs=["logits"])
    cache = [f"{i}.{kind}" for i in range(layers) for kind in ("key", "value")]
    inputs = [("input_ids", INT64, ["batch", "new"]), ("encoder_hidden_states", FLOAT, ["batch", "tokens", width])]
    inputs += [(f"past_key_values.{name}", FLOAT, ["batch", heads, "past", size]) for name in cache]
    outputs = [("logits", FLOAT, ["batch", "new", config["vocab_size"]])]
    g.save(inputs, outputs + [(f"present.{name}", FLOAT, ["batch", heads, "all", size]) for name in cache], path)


def quantise(path):
    from onnxruntime.quantization import QuantType, quantize_dynamic

    quantize_dynamic(path, path.replace(".onnx", "_quantized.onnx"), weight_type=QuantType.QUInt8)


def main(source, folder):
    with open(f"{source}/config.json") as file:
        config = json.load(file)
    weights = load_file(f"{source}/model.safetensors")
    os.makedirs(f"{folder}/onnx", exist_ok=True)
    for name in ("config.json", "generation_config.json"):
        shutil.copy(f"{source}/{name}", folder)
    encoder(weights, config["encoder"], f"{folder}/onnx/encoder_model.onnx")
    decoder(weights, config["decoder"], f"{folder}/onnx/decoder_model_merged.onnx")
    for name in ("encoder_model", "decoder_model_merged"):
        quantise(f"{folder}/onnx/{name}.onnx")


if __name__ == "__main__":
    main(*sys.argv[1:3])
