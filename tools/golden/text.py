"""Writes test/golden/text: tiny tokenizer folders and what transformers makes of hard strings and random ids.

    python tools/golden/text.py

Vocabularies are trained here on made-up text, so the folders carry no third-party data.
"""

import json
import random
import shutil
import tempfile
from pathlib import Path

import sentencepiece
import tokenizers
import transformers
from tokenizers import Tokenizer, models, pre_tokenizers, trainers

ROOT = Path(__file__).resolve().parents[2]
OUT = ROOT / "test/golden/text"
WORDS = """the total of an invoice is paid on monday reading lines from images needs tokens and spaces don't can't we've you're it's
Überweisung größe naïve café señor año São Paulo Ελλάδα Москва привет мир 東京 日本語 テキスト 漢字 한국어 \U0001f600 \U0001f44d\U0001f3fd \\frac{a}{b} \\begin{table} [12] (2024)
1 2 3 42 2026 3.14 1,000 50% $9.99 #tag @me a_b x=y <tag> ... --- !!! ?! "quoted" 'single' http://example.org/a?b=c&d=e""".split()
HARD = [
    "", " ", "  two  spaces ", "Hello world", "hello WORLD, don't stop!", "a . b , c ! d ? e n't 's", "naïve café e\u0301 \u0344",
    "\ttab\nnew line\r\n", "東京タワー 日本語", "\U0001f600\U0001f44d\U0001f3fd\U0001f468\u200d\U0001f469\u200d\U0001f467", "ﬁ ligature ½ Ⅳ ａｂｃ ～", "zero\u200bwidth\u200djoin\u00a0nbsp\u3000wide",
    "<s>special</s> <pad><mask>", "[CLS] x [SEP]", "x" * 120, "Ελλάδα ΣΊΣΥΦΟΣ", "İstanbul ß ẞ", "\\begin{table}((([[[--- 123456", "ç\u0327\u0301", "\ufeffbom \ufffd", "1,000.50€",
    "▁mark▁", "Ω≈ç√∫˜µ≤", "한국어 각", "no break", "TOTAL: 48.90", "A-1/B.2,C:3",
]
MARKS = {"bos_token": "<s>", "eos_token": "</s>", "sep_token": "</s>", "cls_token": "<s>", "unk_token": "<unk>", "pad_token": "<pad>", "mask_token": "<mask>"}
ROBERTA_SPECIALS = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
BERT_SPECIALS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]


README = """# Tokenizer golden cases

Written by `tools/golden/text.py`; versions and seed are in `provenance.json`. Every vocabulary is trained there on made-up
text, except `line-reader`, which is a copy of the bundled model's. Each folder is a tokenizer as a checkpoint ships it (`*-legacy`
and `manga-ocr`: without tokenizer.json) and `expected.json`, what transformers makes of it:

- `encode`: text, its ids with special tokens, its ids without;
- `decode`: ids, their text, their text without special tokens. Ids are random, encoded, none, and outside the vocabulary;
- `vocabSize`: one more than the highest id.
"""


def corpus() -> list[str]:
    r = random.Random(5)
    return [" ".join(r.choice(WORDS) for _ in range(r.randint(3, 12))) for _ in range(1500)]


def byte_bpe(size: int, specials: list[str]) -> tuple[dict, list]:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    tokenizer.train_from_iterator(corpus(), trainers.BpeTrainer(vocab_size=size, special_tokens=specials, initial_alphabet=alphabet, show_progress=False))
    model = json.loads(tokenizer.to_str())["model"]
    return model["vocab"], [tuple(m) if isinstance(m, list) else tuple(m.split(" ")) for m in model["merges"]]


def word_piece(size: int) -> dict:
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    trainer = trainers.WordPieceTrainer(vocab_size=size, special_tokens=BERT_SPECIALS, show_progress=False)
    tokenizer.train_from_iterator([line.lower() for line in corpus()], trainer)
    return tokenizer.get_vocab()


def write(path: Path, value) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False) + "\n", encoding="utf-8")


def legacy_bpe(folder: Path, vocab: dict, merges: list, config: dict) -> None:
    write(folder / "vocab.json", vocab)
    write(folder / "merges.txt", "#version: 0.2\n" + "".join(f"{a} {b}\n" for a, b in merges))
    write(folder / "tokenizer_config.json", config)


def sentencepiece_model(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as work:
        text = Path(work) / "text"
        text.write_text("\n".join(corpus()), encoding="utf-8")
        sentencepiece.SentencePieceTrainer.train(
            input=str(text), model_prefix=f"{work}/m", vocab_size=190, model_type="unigram", character_coverage=1.0,
            normalization_rule_name="nmt_nfkc", num_threads=1, minloglevel=2,
        )
        shutil.copy(f"{work}/m.model", path)


def expected(tokenizer, name: str, encodes: bool = True) -> dict:
    r = random.Random(name)
    size = max(tokenizer.get_vocab().values()) + 1
    rows = [[r.randrange(size) for _ in range(r.randint(0, 24))] for _ in range(60)]
    rows += [tokenizer(text)["input_ids"] for text in HARD] if encodes else []
    rows += [[]]
    if encodes:  # ids outside the vocabulary; the one tokenizer in Python writes [UNK] for them
        rows += [[size], [size + 7, 5, size, 6, size + 1000, 7]]
    out = {"decode": [[row, tokenizer.decode(row), tokenizer.decode(row, skip_special_tokens=True)] for row in rows], "vocabSize": size}
    if encodes:
        out["encode"] = [[t, tokenizer(t)["input_ids"], tokenizer(t, add_special_tokens=False)["input_ids"]] for t in HARD]
    return out


def save_pair(tokenizer, name: str) -> None:
    """The folder as transformers 5 saves it, with tokenizer.json."""
    tokenizer.save_pretrained(OUT / name)
    write(OUT / name / "expected.json", expected(transformers.AutoTokenizer.from_pretrained(OUT / name), name))


def borrowing(name: str, model: Path, config: dict) -> None:
    """A folder whose sentencepiece model is another one's: `files` in expected.json names it."""
    folder = OUT / name
    write(folder / "tokenizer_config.json", config)
    with tempfile.TemporaryDirectory() as work:
        shutil.copy(model, work)
        shutil.copy(folder / "tokenizer_config.json", work)
        result = expected(transformers.AutoTokenizer.from_pretrained(work), name)
    write(folder / "expected.json", {"files": [str(model.relative_to(OUT))], **result})


def main() -> None:
    shutil.rmtree(OUT, ignore_errors=True)
    vocab, merges = byte_bpe(420, ROBERTA_SPECIALS)
    roberta = {"tokenizer_class": "RobertaTokenizer", **MARKS, "clean_up_tokenization_spaces": True}
    legacy_bpe(OUT / "roberta-legacy", vocab, merges, roberta)
    tokenizer = transformers.RobertaTokenizer.from_pretrained(OUT / "roberta-legacy")
    write(OUT / "roberta-legacy/expected.json", expected(tokenizer, "roberta-legacy"))
    save_pair(tokenizer, "roberta")

    vocab, merges = byte_bpe(400, ["<|endoftext|>"])
    legacy_bpe(OUT / "gpt2-legacy", vocab, merges, {"tokenizer_class": "GPT2Tokenizer"})
    tokenizer = transformers.GPT2Tokenizer.from_pretrained(OUT / "gpt2-legacy")
    write(OUT / "gpt2-legacy/expected.json", expected(tokenizer, "gpt2-legacy"))
    save_pair(tokenizer, "gpt2")

    vocab = word_piece(400)
    folder = OUT / "bert-legacy"
    write(folder / "vocab.txt", "".join(t + "\n" for t, _ in sorted(vocab.items(), key=lambda x: x[1])))
    write(folder / "tokenizer_config.json", {"tokenizer_class": "BertTokenizer", "do_lower_case": True, "clean_up_tokenization_spaces": True})
    tokenizer = transformers.BertTokenizer.from_pretrained(folder)
    write(folder / "expected.json", expected(tokenizer, "bert-legacy"))
    save_pair(tokenizer, "bert")

    folder = OUT / "xlm-roberta-legacy"
    sentencepiece_model(folder / "sentencepiece.bpe.model")
    write(folder / "tokenizer_config.json", {"tokenizer_class": "XLMRobertaTokenizer", **MARKS})
    tokenizer = transformers.XLMRobertaTokenizer.from_pretrained(folder)
    write(folder / "expected.json", expected(tokenizer, "xlm-roberta-legacy"))
    tokenizer.add_tokens(["<s_menu>", "</s_menu>"], special_tokens=True)
    save_pair(tokenizer, "donut")

    for name, config in {
        "mbart-legacy": {"tokenizer_class": "MBartTokenizer", "src_lang": "fr_XX"},
        "mbart50-legacy": {"tokenizer_class": "MBart50Tokenizer"},
        "camembert-legacy": {"tokenizer_class": "CamembertTokenizer"},
    }.items():
        borrowing(name, folder / "sentencepiece.bpe.model", config)

    vocab, merges = byte_bpe(420, ["<s>", "<pad>", "</s>", "<unk>", "[START_REF]"])
    save_pair(transformers.NougatTokenizer(vocab=vocab, merges=merges), "nougat")

    folder = OUT / "manga-ocr"
    chars = sorted(set("".join(HARD) + "漫画の文字を読むアイウエオ…。、！？") - set(" \t\n\r"))
    write(folder / "vocab.txt", "".join(t + "\n" for t in BERT_SPECIALS + chars + ["##" + c for c in chars]))
    config = {"tokenizer_class": "BertJapaneseTokenizer", "word_tokenizer_type": "mecab", "subword_tokenizer_type": "character", "do_lower_case": False}
    write(folder / "tokenizer_config.json", config)
    basic = transformers.BertJapaneseTokenizer.from_pretrained(folder, word_tokenizer_type="basic", subword_tokenizer_type="character")
    write(folder / "expected.json", expected(basic, "manga-ocr", encodes=False))

    reader = OUT / "line-reader"
    reader.mkdir()
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copy(ROOT / "models/line-reader" / name, reader)
    write(reader / "expected.json", expected(transformers.AutoTokenizer.from_pretrained(reader), "line-reader"))
    versions = {m.__name__: m.__version__ for m in (transformers, tokenizers, sentencepiece)}
    write(OUT / "README.md", README)
    write(OUT / "provenance.json", {"script": "tools/golden/text.py", "seed": 5, **versions})


if __name__ == "__main__":
    main()
