"""What a reader reads and how big it is. A new alphabet or size is a new entry in PRESETS."""

import string
from dataclasses import dataclass

SPECIALS = ("<s>", "<pad>", "</s>", "<unk>")
BOS, PAD, EOS, UNK = range(4)


@dataclass(frozen=True)
class Preset:
    charset: str
    height: int = 32
    width: int = 256
    patch: tuple[int, int] = (32, 4)
    max_chars: int = 16
    max_positions: int = 32
    hidden: int = 128
    heads: int = 4
    encoder_layers: int = 4
    decoder_layers: int = 2
    ffn: int = 512
    texts: str = "forms"

    @property
    def vocab(self) -> list[str]:
        return [*SPECIALS, *self.charset]

    def ids(self, text: str) -> list[int]:
        """The characters of `text` and the end token, as a trainer's labels hold them."""
        return [len(SPECIALS) + self.charset.index(c) for c in text] + [EOS]

    def text(self, ids) -> str:
        return "".join(self.vocab[i] for i in ids if i >= len(SPECIALS))


PRESETS = {
    "digits-capitals": Preset(charset=" " + ".,-:/" + string.digits + string.ascii_uppercase),
    # Debugging: trains in a minute, reads little.
    "tiny": Preset(charset=string.digits, patch=(32, 8), hidden=64, heads=2, encoder_layers=2, decoder_layers=1, ffn=128, max_chars=6),
}
