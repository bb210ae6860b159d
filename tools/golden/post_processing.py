"""Golden texts: what transformers makes of the texts that Donut and Nougat models write.

Run: PYTHONPATH=<folder with levenshtein> python tools/golden/post_processing.py [--fuzz N]
Writes test/golden/post-processing/. Needs the package levenshtein (and rapidfuzz below it); nltk is replaced by a stub: half of the cases
run as without its word list, half with one of a few words. The manga-ocr package and its conversion table are not used: the expected
values there come from Unicode's own compatibility mappings, written down independently of the implementation.
With --fuzz N: N further Nougat and token2json cases on standard output as JSON lines, for a comparison that is not stored.
"""
import json
import random
import sys
import types
import unicodedata
from pathlib import Path

import Levenshtein
import torch
import transformers
from transformers.models.donut.processing_donut import DonutProcessor
from transformers.models.nougat import tokenization_nougat as nougat

OUT = Path(__file__).resolve().parents[2] / "test/golden/post-processing"
SEED = 20261
WORDS = ["theorem", "left", "right", "Table", "page", "a", "of"]
SPACES = [" ", " ", " ", "\n", "\n", "\n\n", "  ", "\t", "\r", "\u2028", "\x1c", "\u3000", "\xa0", "\ufeff"]

PIECES = [
    "# 1", "## 2.3", "### iv.", "# ", "## References", "#", "##", "# [", "# x", "#### Title of it", "# 12) " + "long heading " * 9,
    "* [leftmargin=*]", "* [1]", "* [12] A. B. C. D. E. F. G. H. I. J. K. Author, Title", "* [3][] Someone, Something. 1999.", "* [٣] x",
    "\\begin{table}", "\\end{table}", "\\begin{tabular}{l l}", "\\begin{tabular}{c c r}", "\\end{tabular}", "\\begin{tabular}{}", "& \\\\", "& & ", "\\\\ ",
    "\\begin{tabular}{l l} & & \\\\ \\end{tabular}", "\\begin{tabular}{l l}  & \\\\ \\end{tabular}", "\\begin{tabular}{cc} \n & \n \\end{tabular}", "\\begin{tabular}{cc} & x \\end{tabular}",
    "\\begin{tabular}{} \n\n\\end{tabular}", "\\begin{tabular}{rr}\\\\ \\end{tabular}", "\\begin{tabular}{rr}  \\end{tabular}", "\\begin{tabular}{rr}\\end{tabular}", "Tab. 3",
    "Table 4: results", "Figure 2: a curve", "\\begin{array}[]{cc} 1 \\end{array}", "\\multicolumn{2}{c}{x} " * 61, "a & " * 401, "\\begin{tabular} " * 16,
    "\\(x_{1}\\)", "\\[E=mc^2\\] (1.2a)", "(3) \\[x=y\\]", "\\[a\\] (4) \\[b\\]", "(٣.٤) \\[z\\]", "\\[ \u2028 \\] (5)", "_x_ ", " _a__bc_ ", "(_a__b_)", ",_n__1_:", "1_x_;", "_ab_",
    "\\bm{v}", "{\\\\bm w}", "\\mbox{\\boldmath$\\alpha$}", "\\mbox{ \\boldmath$b$}", "\\mbox{\\boldmath$c", "U\\. S\\. ", "http://example.org/a_b?c=d.", "https://ex-ample.org", "ftp://a.b/ü",
    "see (https://a.example.org/x,y).", "http://nodots", "```x = 1```", "``` \n code\n  more ``` ", "``````", "```   ```", "````a````", "```", "** bold **", "**S. A. B.**\n", "**S. A. B.**\n\n**S. A. B.**\n",
    "- one - two - three", "* 1 first * 1.1 second * 1.1.2 third * x", "- i.v nested - II.x.i deep - word", "-* mixed - a * b", "x - y * z", "- a  -  b - ", "* a\r- b * c", "\nFootnote 1: footnotetext: the note\n\n", "\nFootnote 2: thanks:\n We thank.",
    "[FOOTNOTE:3]text[ENDFOOTNOTE]", "[FOOTNOTE:]x[ENDFOOTNOTE]", "[MISSING_PAGE_POST]", "[MISSING_PAGE_EMPTY:3]", ".", ". ", "..", "}", "A", "x", "7", "é", "e\u0301", "漢字 三", "\U0001d54f", "İ", "ß", "ﬁ", "½", "Σ", "word", "Word,", "theorem", "page", "of", "end.",
    "We prove that the map is continuous and hence bounded on every compact set.", "It is easy to see that the claim holds!", "Is it?",
]


class Corpus:
    """Stands for nltk.corpus: words() gives the list, or fails as without the data."""

    def __init__(self):
        self.words, self.installed, self.corpus = self, False, self

    def __call__(self):
        return self

    def __contains__(self, word):
        return word in WORDS

    def __getattribute__(self, name):
        if name == "words":
            if not object.__getattribute__(self, "installed"):
                raise LookupError("words")
            holder = types.SimpleNamespace(words=lambda: WORDS)
            return holder
        return object.__getattribute__(self, name)


def tokenizer():
    instance = nougat.NougatTokenizer.__new__(nougat.NougatTokenizer)
    nougat.ratio = Levenshtein.ratio
    nougat.nltk = Corpus()
    return instance


def references(r, count):
    base = r.choice(["J. Smith, A theory of things, Journal of Matters, ", "\\(\\dagger\\) The same affiliation of the same author, ", "三 A. Ξ and B. Ω, "])
    lines = []
    for i in range(count):
        tail = r.choice(["1999.", "2000.", "to appear.", "1999."]) if r.random() < 0.9 else r.choice(["An unrelated line stands here", "x"])
        lines.append(f"* [{i + r.randrange(3)}] {base}{tail}" if r.random() < 0.95 else "")
    if r.random() < 0.5:
        lines = ["## References" if r.random() < 0.7 else "* [0] K. Other, Quite another reference of similar length, Nowhere.", ""][: r.randint(1, 2)] + lines
    if r.random() < 0.6:
        lines.append(f"* [{count}] {base}1" + r.choice(["999. And then the next page goes on.", "2 三 3", ""]))
    if r.random() < 0.5:
        lines += ["The text of the next page", "continues here for a while.", "And on."]
    return "\n".join(lines)


def repeated(r):
    part = "".join(r.choice(["alpha ", "beta ", "Gamma. ", "δ! ", "\n", "x", "\U0001d54f", "İ"]) for _ in range(r.randint(4, 14)))
    tail = part[: r.randrange(len(part))] if r.random() < 0.5 else ""
    out = part * r.randint(2, 6) + tail
    return out.upper() if r.random() < 0.2 else out


def nougat_text(r):
    parts = []
    for _ in range(r.choice([1, 1, 2, 4, 8, 14])):
        kind = r.random()
        parts.append(references(r, r.randint(10, 30)) if kind < 0.05 else repeated(r) if kind < 0.12 else r.choice(PIECES))
        parts.append(r.choice(SPACES) if r.random() < 0.85 else "")
    return "".join(parts)


def nougat_case(r, instance, texts):
    text = texts.pop() if texts else nougat_text(r)
    nougat.nltk.installed = installed = r.random() < 0.5
    fix = r.random() < 0.6
    return {"text": text, "words": installed, "fixMarkdown": fix, "out": instance.post_process_single(text, fix_markdown=fix)}


KEYS = ["a", "B", "menu", "menu.nm", "x y", "(", "$^", "Kı", "__proto__", "1", "ſ", "constructor", "cord-v2", "-", "a/b", "[x]", "{2}", "a|b", "a\\d", "!#%&',:;=@`~\"", "a.b*c+d?"]
LEAVES = ["1,000", " 42 ", "<yes/>", "<no/>", "<advertisement/>", "", "<sep/>", "x<sep/>y", "é\u3000", "a > b", "<", "\x1c", "text_sequence", "<s_", "</s_"]
ADDED = ["<yes/>", "<advertisement/>", "<s_a>", "</s_a>", "<sep/>", "42"]


def fields(r, depth):
    out = []
    for _ in range(r.randint(1, 3)):
        key = r.choice(KEYS)
        opening = f"<s_{key}>" if r.random() < 0.95 else f"<S_{key}>"
        closing = f"</s_{key.swapcase() if r.random() < 0.1 else key}>" if r.random() < 0.85 else ""
        if r.random() < 0.05:
            opening, closing = closing, opening
        body = fields(r, depth - 1) if depth > 0 and r.random() < 0.5 else r.choice(LEAVES)
        out.append(opening + body + closing + r.choice(["", "", " ", "<sep/>", "junk", "\n"]))
    return "".join(out)


def token_case(r, processor, texts):
    text = texts.pop() if texts else fields(r, 3) if r.random() < 0.9 else r.choice(LEAVES)
    added = ADDED if r.random() < 0.7 else []
    # As text: numbers as keys keep Python's order there.
    out = json.dumps(processor.token2json(text, added_vocab=added), ensure_ascii=False)
    return {"text": text, "added": added, "out": out}


def stopping(r):
    """Series of highest scores and the step at which nougat's rule ends a single row, in float32 as there."""
    cases = []
    for threshold, window, steps in [(0.015, 200, 420), (0.015, 20, 60), (0.1, 5, 40), (1e-4, 12, 80), (0.015, 30, 60), (5.0, 2, 20)] * 2:
        calm = r.randint(steps // 4, steps)
        values = [round(r.uniform(5, 40 if i < calm else 5.5), 3) for i in range(steps)]
        cases.append({"threshold": threshold, "windowSize": window, "highest": values, "stopsAt": stop_step(values, threshold, window)})
    return cases


def stop_step(values, threshold, window):
    variances, low = [], 0
    for i in range(len(values)):
        recent = torch.tensor(values[max(0, i - 14): i + 1], dtype=torch.float32)
        variances.append(torch.var(recent) / len(recent))
        now = torch.var(torch.stack(variances[-window:]))
        low = low + 1 if i + 1 >= window and bool(now < threshold) else 0
        if low == 2:
            return i + 1
    return None


def manga(r):
    alphabet = [chr(c) for c in range(0x21, 0x7F)] + [chr(c) for c in range(0xFF61, 0xFFA0)] + list("…・..あ漢ア \t\n\u3000ー〜！ﾞﾟ") + ["ｶﾞ", "ﾊﾟ", "ﾊﾞ", "ｳﾞ", "・・・", "..", "･･"]
    texts = ["", "…", "・", "・.", "A…B", "ﾊﾟｰﾃｨｰ 100%!", "ｳﾞｧｲｵﾘﾝ"] + ["".join(r.choice(alphabet) for _ in range(r.randint(1, 30))) for _ in range(60)]
    return [{"text": text, "out": manga_text(text)} for text in texts]


def manga_text(text):
    text = "".join(text.split()).replace("…", "...")
    out, i = [], 0
    while i < len(text):
        j = i
        while j < len(text) and text[j] in "・.":
            j += 1
        out.append("." * (j - i) if j - i > 1 else text[i])
        i = max(j, i + 1)
    text, out, i = "".join(out), [], 0
    while i < len(text):
        pair, char = unicodedata.normalize("NFKC", text[i: i + 2]), text[i]
        if "\uff61" <= char <= "\uff9d" and text[i + 1: i + 2] in ("ﾞ", "ﾟ") and len(pair) == 1 and pair != "ヷ" and pair != "ヺ":
            out.append(pair)
            i += 2
            continue
        if "!" <= char <= "~":
            char = unicodedata.lookup("FULLWIDTH " + {"-": "HYPHEN-MINUS"}.get(char, unicodedata.name(char)))
        elif "\uff61" <= char <= "\uff9d":
            char = unicodedata.normalize("NFKC", char)
        out.append(char)
        i += 1
    return "".join(out)


def main():
    r = random.Random(SEED)
    instance, processor = tokenizer(), DonutProcessor.__new__(DonutProcessor)
    if len(sys.argv) > 2 and sys.argv[1] == "--fuzz":
        r = random.Random(sys.argv[2])
        for _ in range(int(sys.argv[2])):
            print(json.dumps({"nougat": nougat_case(r, instance, []), "token2json": token_case(r, processor, [])}))
        return
    OUT.mkdir(parents=True, exist_ok=True)
    seen = ["", "\n", "a\n\n", "\n\nb", "A\n", "# x\n# y", "x " * 40 + "word. " * 20] + PIECES
    cases = {
        "nougat": [case for case in (nougat_case(r, instance, seen) for _ in range(330)) if len(case["text"]) < 1600],
        "token2json": [token_case(r, processor, ["", "text only", "<s_a>", "<s_a>1</s_a><sep/>", "<s_a>1</s_a><sep/><s_a>2</s_a>", "</s_a><s_a>x</s_a>"]) for _ in range(6)]
        + [token_case(r, processor, []) for _ in range(250)],
        "manga-ocr": manga(r),
        "nougat-stopping": stopping(r),
    }
    for name, values in cases.items():
        lines = ",\n".join(json.dumps(value, ensure_ascii=False, separators=(",", ":")) for value in values)
        (OUT / f"{name}.json").write_text(f"[\n{lines}\n]\n", encoding="utf-8")
    versions = {"transformers": transformers.__version__, "levenshtein": Levenshtein.__version__, "torch": torch.__version__}
    provenance = {"generator": "tools/golden/post_processing.py", "seed": SEED, **versions, "words": WORDS, "cases": {k: len(v) for k, v in cases.items()}}
    (OUT / "provenance.json").write_text(json.dumps(provenance, indent=2) + "\n")
    print(provenance["cases"], sum(path.stat().st_size for path in OUT.iterdir()), "bytes")


if __name__ == "__main__":
    main()
