"""Shapes of the benchmarked models and the least time their work can take, from operations and bytes. No dependencies.

Floors are max(operations / rate of matrix products, bytes / bandwidth) with each weight and each cached key and value read once per
step. `rate` is a measured bf16 GEMM rate in FLOP/s, `bandwidth` a measured rate in bytes/s (copies counting both ways).
"""
import dataclasses

RATE, BANDWIDTH = 790e12, 4.3e12  # measured on one H200; `ceilings` gives those of the machine at hand


@dataclasses.dataclass(frozen=True)
class Vit:
    image: tuple
    width: int = 768
    layers: int = 12
    heads: int = 12
    patch: int = 16
    ffn: int = 3072
    qkv_bias: bool = True

    @property
    def tokens(self):
        return (self.image[0] // self.patch) * (self.image[1] // self.patch) + 1

    @property
    def out_width(self):
        return self.width

    def flops(self):
        n, c = self.tokens, self.width
        return self.layers * (n * (8 * c * c + 4 * c * self.ffn) + 4 * n * n * c) + 2 * (n - 1) * 3 * self.patch**2 * c

    def weights(self):
        c = self.width
        return self.layers * (4 * c * c + 2 * c * self.ffn) + 3 * self.patch**2 * c


@dataclasses.dataclass(frozen=True)
class Swin:
    image: tuple
    window: int
    width: int = 128
    depths: tuple = (2, 2, 14, 2)
    heads: tuple = (4, 8, 16, 32)
    patch: int = 4

    def stages(self):
        """(tokens, width, depth) of each stage."""
        h, w = self.image[0] // self.patch, self.image[1] // self.patch
        return [((h >> i) * (w >> i), self.width << i, depth) for i, depth in enumerate(self.depths)]

    @property
    def tokens(self):
        return self.stages()[-1][0]

    @property
    def out_width(self):
        return self.stages()[-1][1]

    def flops(self):
        stages = self.stages()
        total = 2 * stages[0][0] * 3 * self.patch**2 * self.width
        for i, (n, c, depth) in enumerate(stages):
            total += depth * (24 * n * c * c + 4 * self.window**2 * n * c)
            total += 4 * n * c * c if i + 1 < len(stages) else 0  # merging: n/4 rows of 4c to 2c
        return total

    def weights(self):
        stages = self.stages()
        merges = sum(8 * c * c for _, c, _ in stages[:-1])
        return sum(12 * c * c * depth for _, c, depth in stages) + merges + 3 * self.patch**2 * self.width


@dataclasses.dataclass(frozen=True)
class Decoder:
    kind: str  # gpt2, trocr, mbart
    layers: int
    width: int
    heads: int
    ffn: int
    vocab: int
    positions: int
    tied: bool = True


@dataclasses.dataclass(frozen=True)
class Shape:
    encoder: object
    decoder: Decoder
    new_tokens: int

    def decoder_weights(self):
        """Parameters read per step: self-attention, query and output of cross-attention, feed-forward, output head."""
        d = self.decoder
        return (6 * d.width**2 + 2 * d.width * d.ffn) * d.layers + d.vocab * d.width

    def self_values(self, bytes_per=2):
        """Bytes of keys and values that one token adds to the self-attention cache."""
        return 2 * self.decoder.width * self.decoder.layers * bytes_per

    def cross_values(self, bytes_per=2):
        """Bytes of cross-attention keys and values of one image."""
        return self.encoder.tokens * self.self_values(bytes_per)

    def cross_flops(self):
        return 4 * self.encoder.tokens * self.encoder.out_width * self.decoder.width * self.decoder.layers


SHAPES = {
    "vit-gpt2": Shape(Vit((224, 224)), Decoder("gpt2", 12, 768, 12, 3072, 50257, 1024), 20),
    "trocr-base": Shape(Vit((384, 384), qkv_bias=False), Decoder("trocr", 12, 1024, 16, 4096, 50265, 512), 20),
    "donut-base": Shape(Swin((2560, 1920), 10), Decoder("mbart", 4, 1024, 16, 4096, 57525, 1536), 100),
    "nougat-base": Shape(Swin((896, 672), 7), Decoder("mbart", 10, 1024, 16, 4096, 50000, 4096, tied=False), 100),
}
_VIT = dict(width=32, layers=2, heads=2, patch=8, ffn=64)
_SWIN = dict(width=16, depths=(2, 2), heads=(2, 2))
TINY = {
    "vit-gpt2": Shape(Vit((32, 32), **_VIT), Decoder("gpt2", 2, 32, 2, 128, 97, 64), 6),
    "trocr-base": Shape(Vit((48, 48), qkv_bias=False, **_VIT), Decoder("trocr", 2, 48, 4, 96, 97, 64), 6),
    "donut-base": Shape(Swin((64, 32), 4, **_SWIN), Decoder("mbart", 2, 32, 4, 96, 101, 64), 8),
    "nougat-base": Shape(Swin((56, 56), 7, **_SWIN), Decoder("mbart", 3, 32, 4, 96, 97, 64, tied=False), 8),
}


def encoder_seconds(shape, batch, rate=RATE, bandwidth=BANDWIDTH, cross=False):
    """Encoder forward of `batch` images in 16 bits; `cross` adds the cross-attention's keys and values."""
    flops = shape.encoder.flops() + (shape.cross_flops() if cross else 0)
    return max(flops * batch / rate, 2 * shape.encoder.weights() / bandwidth)


def step_seconds(shape, rows, length, bandwidth=BANDWIDTH, images=None, logits=True):
    """One decode step in 16 bits with `length` cached tokens: `rows` rows share the cross-attention of `images` images."""
    cross = (rows if images is None else images) * shape.cross_values()
    written = 8 * rows * shape.decoder.vocab if logits else 0  # float32 logits, written and read once
    return (2 * shape.decoder_weights() + rows * shape.self_values() * length + cross + written) / bandwidth


def end_to_end_seconds(shape, batch, new_tokens, beams=1, rate=RATE, bandwidth=BANDWIDTH):
    """Encoder and all steps, one after the other."""
    steps = sum(step_seconds(shape, batch * beams, t, bandwidth, batch, logits=False) for t in range(1, new_tokens + 1))
    return encoder_seconds(shape, batch, rate, bandwidth, cross=True) + steps


def gemm_shapes(shape, micro_batches=(1, 28)):
    """[(name, M, N, K)]: the products of an encoder layer at some batches, and those of a decode step at its row counts."""
    found = []
    encoder, d = shape.encoder, shape.decoder
    layers = [("", encoder.tokens, encoder.width, encoder.ffn)] if isinstance(encoder, Vit) else \
        [(f"stage {i + 1} ", n, c, 4 * c) for i, (n, c, _) in enumerate(encoder.stages())]
    for batch in micro_batches:
        for name, n, c, ffn in layers:
            for part, out, inner in (("qkv", 3 * c, c), ("proj", c, c), ("fc1", ffn, c), ("fc2", c, ffn)):
                found.append((f"encoder {name}{part} x{batch}", n * batch, out, inner))
    for rows in (1, 8, 64, 256):
        for part, out, inner in (("qkv", 3 * d.width, d.width), ("proj", d.width, d.width), ("fc1", d.ffn, d.width),
                                 ("fc2", d.width, d.ffn), ("head", d.vocab, d.width)):
            found.append((f"decoder {part} rows {rows}", rows, out, inner))
    return found
