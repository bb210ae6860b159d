"""What a reader reads and how big it is. A new alphabet or size is a new entry in PRESETS."""

import string
from dataclasses import dataclass

SPECIALS = ("<s>", "<pad>", "</s>", "<unk>")
BOS, PAD, EOS, UNK = range(4)
LETTERS = "".join(chr(c) for c in range(0xC0, 0x100) if c not in (0xD7, 0xF7)) + "ŒœŸ"
CAPITALS = " .,-:/" + string.digits + string.ascii_uppercase
LATIN = "".join(chr(c) for c in range(0x20, 0x7F)) + LETTERS + "¿¡«»€£°–—“”‘’"


@dataclass(frozen=True)
class Preset:
    """Sizes are pixels of the model's picture; a patch is as high as the picture, so that patches are its columns."""

    charset: str
    height: int = 32
    width: int = 960
    patch: int = 6
    max_chars: int = 100
    hidden: int = 160
    heads: int = 5
    encoder_layers: int = 5
    decoder_layers: int = 3
    ffn: int = 640

    @property
    def vocab(self) -> list[str]:
        return [*SPECIALS, *self.charset]

    @property
    def columns(self) -> int:
        return self.width // self.patch

    @property
    def max_positions(self) -> int:
        return self.max_chars + 12

    @property
    def max_length(self) -> int:
        return self.max_chars + 8

    def ids(self, text: str) -> list[int]:
        """The characters of `text` and the end token, as a trainer's labels hold them."""
        return [len(SPECIALS) + self.charset.index(c) for c in text] + [EOS]

    def text(self, ids) -> str:
        return "".join(self.vocab[i] for i in ids if i >= len(SPECIALS))


PRESETS = {
    "latin": Preset(LATIN),
    # For an accelerator: 9.6 MB in float16.
    "latin-wide": Preset(LATIN, hidden=192, heads=6, encoder_layers=6, decoder_layers=3, ffn=768),
    # Debugging: trains in a minute, reads little.
    "tiny": Preset(string.digits, width=192, hidden=64, heads=2, encoder_layers=2, decoder_layers=2, ffn=128, max_chars=6),
}
