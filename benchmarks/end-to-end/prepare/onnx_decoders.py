"""Decoders as ONNX graphs with the names that transformers.js 4.3.1 gives to keys and values.

It keeps the keys and values of cross-attention for decoders that it knows as halves of encoder-decoders (TrOCR), under
`past_key_values.N.encoder`; for GPT-2 it has no such names, and the graph computes them from encoder_hidden_states at every step.
"""
import numpy as np
from onnx import helper, numpy_helper

from onnx_graph import BOOL, FLOAT, INT64, Graph


def causal_mask(g, new, past):
    """Additive [1, 1, new, past + new] and the positions of the new tokens."""
    total = g.add("Add", past, new)
    one, zero = g.value("one", np.array(1, np.int64)), g.value("zero", np.array(0, np.int64))
    rows, columns = g.add("Range", past, total, one), g.add("Range", zero, total, one)
    hidden = g.add("Greater", g.add("Unsqueeze", columns, g.ints(0)), g.add("Unsqueeze", rows, g.ints(1)))
    return g.add("Unsqueeze", g.add("Where", hidden, g.real(-1e30), g.real(0.0)), g.ints(0, 1)), rows


class Decoder:
    """One pass over the new tokens: logits, and the keys and values after it by name. Subclasses hold the layers."""

    def __init__(self, graph, config, keeps_cross, first=False):
        self.g, self.config, self.keeps_cross, self.first = graph, config, keeps_cross, first
        self.present = {}

    def run(self):
        past = self.g.value("zero", np.array(0, np.int64))
        if not self.first:
            past = self.g.length(f"past_key_values.{self.own(0, 'key')}", 2)
        self.mask, self.positions = causal_mask(self.g, self.g.length("input_ids", 1), past)
        return self.logits()

    def own(self, layer, kind):
        return f"{layer}.decoder.{kind}" if self.keeps_cross else f"{layer}.{kind}"

    def self_attention(self, layer, q, *new):
        heads, size = self.heads, self.size
        q, *new = (self.g.split_heads(x, heads, size) for x in (q, *new))
        for i, kind in enumerate(("key", "value")):
            name = self.own(layer, kind)
            if not self.first:
                new[i] = self.g.add("Concat", f"past_key_values.{name}", new[i], axis=2)
            self.present[name] = new[i]
        return self.g.attention(q, *new, size, self.mask)

    def cross_attention(self, layer, q, project):
        names = [f"{layer}.encoder.{kind}" for kind in ("key", "value")]
        if self.keeps_cross and not self.first:
            kv = [f"past_key_values.{name}" for name in names]
            # transformers.js goes on with what it holds and looks at nothing that comes out here.
            nothing = numpy_helper.from_array(np.zeros((0, self.heads, 1, self.size), np.float32))
            self.present.update({name: self.g.add("Constant", value=nothing) for name in names})
        else:
            kv = [self.g.split_heads(x, self.heads, self.size) for x in project()]
            if self.keeps_cross:
                self.present.update(zip(names, kv))
        return self.g.attention(self.g.split_heads(q, self.heads, self.size), *kv, self.size)


class Gpt2(Decoder):
    def __init__(self, graph, config, keeps_cross, first=False):
        super().__init__(graph, config, keeps_cross, first)
        self.layers, self.heads, self.width = config["n_layer"], config["n_head"], config["n_embd"]
        self.size, self.cross_width = self.width // self.heads, self.width

    def logits(self):
        g, eps, top = self.g, self.config["layer_norm_epsilon"], "decoder.transformer."
        x = g.add("Gather", g.weight(f"{top}wte.weight"), "input_ids")
        x = g.add("Add", x, g.add("Gather", g.weight(f"{top}wpe.weight"), self.positions))
        for i in range(self.layers):
            x = self.block(i, f"{top}h.{i}.", x, eps)
        return g.add("MatMul", g.norm(x, f"{top}ln_f", eps), g.value("lm_head", g.weights[f"{top}wte.weight"].T))

    def block(self, i, layer, x, eps):
        g = self.g
        y = self.self_attention(i, *g.split(g.dense(g.norm(x, f"{layer}ln_1", eps), f"{layer}attn.c_attn", False), 3))
        x = g.add("Add", g.dense(y, f"{layer}attn.c_proj", False), x)
        q = g.dense(g.norm(x, f"{layer}ln_cross_attn", eps), f"{layer}crossattention.q_attn", False)
        kv = lambda: g.split(g.dense("encoder_hidden_states", f"{layer}crossattention.c_attn", False), 2)
        x = g.add("Add", g.dense(self.cross_attention(i, q, kv), f"{layer}crossattention.c_proj", False), x)
        y = g.gelu_new(g.dense(g.norm(x, f"{layer}ln_2", eps), f"{layer}mlp.c_fc", False))
        return g.add("Add", g.dense(y, f"{layer}mlp.c_proj", False), x)


class TrOcr(Decoder):
    EPS = 1e-5  # of its norms: torch's default, which modeling_trocr.py leaves as it is
    FIRST_POSITION = 2  # modeling_trocr.py: the first two rows of the table are not used

    def __init__(self, graph, config, keeps_cross, first=False):
        super().__init__(graph, config, keeps_cross, first)
        self.layers, self.heads, self.width = config["decoder_layers"], config["decoder_attention_heads"], config["d_model"]
        self.size, self.cross_width = self.width // self.heads, config["cross_attention_hidden_size"]

    def logits(self):
        g, top = self.g, "decoder.model.decoder."
        table = g.weights[f"{top}embed_tokens.weight"]
        positions = g.value("positions", g.weights[f"{top}embed_positions.weight"][self.FIRST_POSITION :])
        x = g.add("Add", g.add("Gather", g.weight(f"{top}embed_tokens.weight"), "input_ids"), g.add("Gather", positions, self.positions))
        x = g.norm(x, f"{top}layernorm_embedding", self.EPS)
        for i in range(self.layers):
            x = self.block(i, f"{top}layers.{i}.", x)
        return g.add("MatMul", x, g.value("lm_head", table.T))

    def block(self, i, layer, x):
        g = self.g
        three = (g.dense(x, f"{layer}self_attn.{n}_proj", True) for n in "qkv")
        y = g.dense(self.self_attention(i, *three), f"{layer}self_attn.out_proj", True)
        x = g.norm(g.add("Add", x, y), f"{layer}self_attn_layer_norm", self.EPS)
        q = g.dense(x, f"{layer}encoder_attn.q_proj", True)
        kv = lambda: [g.dense("encoder_hidden_states", f"{layer}encoder_attn.{n}_proj", True) for n in "kv"]
        y = g.dense(self.cross_attention(i, q, kv), f"{layer}encoder_attn.out_proj", True)
        x = g.norm(g.add("Add", x, y), f"{layer}encoder_attn_layer_norm", self.EPS)
        y = g.dense(g.gelu(g.dense(x, f"{layer}fc1", True)), f"{layer}fc2", True)
        return g.norm(g.add("Add", x, y), f"{layer}final_layer_norm", self.EPS)


def branch(kind, parent, config, first):
    """A whole decoder, as a branch of an If."""
    g = parent.branch()
    decoder = kind(g, config, True, first)
    results = {"logits": decoder.run(), **{f"present.{name}": decoder.present[name] for name in cache_names(decoder)}}
    prefix = "first" if first else "next"
    for name, value in results.items():
        g.nodes.append(helper.make_node("Identity", [value], [f"{prefix}.{name}"]))
    outputs = [helper.make_tensor_value_info(f"{prefix}.{name}", FLOAT, None) for name in results]
    return helper.make_graph(g.nodes, prefix, [], outputs), list(results)


def cache_names(decoder):
    names = [decoder.own(i, kind) for i in range(decoder.layers) for kind in ("key", "value")]
    if decoder.keeps_cross:
        names += [f"{i}.encoder.{kind}" for i in range(decoder.layers) for kind in ("key", "value")]
    return names


def export(kind, weights, config, path, keeps_cross):
    """`keeps_cross`: two decoders behind one If, as optimum merges them; otherwise one whose past may be empty."""
    g = Graph(weights)
    decoder = kind(g, config, keeps_cross)
    if keeps_cross:
        (following, names), (first, _) = branch(kind, g, config, False), branch(kind, g, config, True)
        g.nodes.append(helper.make_node("If", ["use_cache_branch"], names, then_branch=following, else_branch=first))
    else:
        results = {"logits": decoder.run(), **{f"present.{name}": value for name, value in decoder.present.items()}}
        for name, value in results.items():
            g.add("Identity", value, outputs=[name])
    inputs = [("input_ids", INT64, ["batch", "new"]), ("encoder_hidden_states", FLOAT, ["batch", "tokens", decoder.cross_width])]
    length = lambda name: "seen" if ".encoder." in name else "past"
    caches = cache_names(decoder)
    inputs += [(f"past_key_values.{name}", FLOAT, ["batch", decoder.heads, length(name), decoder.size]) for name in caches]
    inputs += [("use_cache_branch", BOOL, [1])] if keeps_cross else []
    outputs = [("logits", FLOAT, ["batch", "new", config["vocab_size"]])]
    outputs += [(f"present.{name}", FLOAT, [f"rows {name}", decoder.heads, f"length {name}", decoder.size]) for name in caches]
    g.save(inputs, outputs, path)
