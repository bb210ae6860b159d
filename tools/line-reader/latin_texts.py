"""Lines of Latin text: sentences, names, numbers, codes, addresses, program text, and plain random characters."""

import string
from random import Random

from words import COMMON, FIRST_NAMES, LANGUAGES, LAST_NAMES, dictionary

MONTHS = "January February March April May June July August September October November December".split()
UNITS = "kg g mm cm m km l ml % °C °F km/h MB GB kWh V A W Hz pcs. px".split()
CURRENCIES = "€ £ $ € $ EUR USD GBP CHF kr".split()
DOMAINS = "com org net io de fr es it nl dk se no co.uk edu gov example".split()


def digits(r: Random, low: int, high: int) -> str:
    return "".join(r.choice(string.digits) for _ in range(r.randint(low, high)))


class Source:
    """Draws lines from words of one set (`train` or `held-out`)."""

    def __init__(self, which: str, charset: str):
        self.which, self.charset, self.allowed = which, charset, frozenset(charset)

    def word(self, r: Random, language: str) -> str:
        if r.random() < (0.45 if self.which == "train" else 0.3):
            return r.choice(COMMON[language])
        return r.choice(dictionary(language, self.which))

    def plain(self, r: Random, low: int = 1, high: int = 1) -> str:
        """ASCII words in lower case, for addresses and program text."""
        words = (self.word(r, "en").lower() for _ in range(r.randint(low, high)))
        return "".join(c for c in "_".join(words) if c.isascii() and (c.isalnum() or c == "_")) or "x"

    def sentence(self, r: Random, limit: int, language: str | None = None) -> str:
        language = language or (r.choice(LANGUAGES) if r.random() < 0.5 else "en")
        wanted, parts = r.randint(1, limit), []
        while sum(map(len, parts)) + len(parts) < wanted:
            word = self.word(r, language)
            roll = r.random()
            if roll < 0.08:
                word += r.choice((",", ",", ",", ";", ":", " –", " —", " -"))
            elif roll < 0.10:
                word = r.choice(("({})", "“{}”", '"{}"', "‘{}’", "'{}'", "[{}]", "«{}»", "*{}*")).format(word)
            elif roll < 0.12:
                word += r.choice((". ", "! ", "? ")) + self.word(r, language).capitalize()
            elif roll < 0.14:
                word = word.upper()
            elif roll < 0.16:
                word += r.choice(("'s", "’s", "-" + self.word(r, language), "/" + self.word(r, language)))
            elif roll < 0.18:
                word = digits(r, 1, 4)
            elif roll < 0.22:
                word = word.capitalize()
            parts.append(word)
        text = " ".join(parts)
        style = r.random()
        if style < 0.5:
            text = text[:1].upper() + text[1:] + r.choice((".", ".", ".", "", "", "!", "?", ":", "…".replace("…", "...")))
            if language == "es" and text.endswith(("!", "?")):
                text = {"!": "¡", "?": "¿"}[text[-1]] + text
        elif style < 0.6:
            text = text.title()
        elif style < 0.68:
            text = text.upper()
        return text

    def name(self, r: Random) -> str:
        first, last = r.choice(FIRST_NAMES), r.choice(LAST_NAMES)
        return r.choice((f"{first} {last}", f"{last}, {first}", f"{first[0]}. {last}", f"Dr. {first} {last}", f"{first} {last[0]}."))

    def street(self, r: Random) -> str:
        word = self.word(r, r.choice(LANGUAGES)).capitalize()
        n = digits(r, 1, 3)
        return r.choice((f"{n} {word} Street", f"{word}straße {n}", f"{n}, rue {word}", f"Calle {word}, {n}", f"{digits(r, 5, 5)} {word}"))

    def host(self, r: Random) -> str:
        return f"{self.plain(r).replace('_', '-')}.{r.choice(DOMAINS)}"

    def address(self, r: Random) -> str:
        user = r.choice((f"{self.plain(r)}.{self.plain(r)}", self.plain(r), f"{self.plain(r)}{digits(r, 1, 3)}", self.plain(r, 2, 2)))
        if r.random() < 0.5:
            return f"{user}@{self.host(r)}"
        path = "/".join(self.plain(r, 1, 2) for _ in range(r.randint(0, 3)))
        query = f"?{self.plain(r)}={digits(r, 1, 4)}" if r.random() < 0.3 else ""
        return f"{r.choice(('https://', 'http://', 'www.', ''))}{self.host(r)}/{path}{query}"

    def code(self, r: Random) -> str:
        a, b, c = (self.plain(r, 1, 2) for _ in range(3))
        camel = a + b.capitalize()
        n = digits(r, 1, 3)
        return r.choice((
            f"{a} = {b}({c}, {n});", f"if ({a} > {n}) {{ {b}(); }}", f"for (let i = 0; i < {n}; i++) {a}[i] += {b};", f"def {a}(self, {b}={n}):",
            f"return {camel} ?? '{c}';", f'"{a}": "{b}",', f"{a}->{b} != NULL && {c}[{n}]", f"$ {a} --{b.replace('_', '-')} -{c[0]} {n} | {c}",
            f"<{a} class=\"{b}\">{c}</{a}>", f"#include <{a}.h>", f"/{a}/{b}/{c}.{r.choice(('txt', 'py', 'md', 'cpp', 'log'))}", f"{a} @ {b} ^ {c} ~ `{n}`",
            f"C:\\{a}\\{b}_{n}.{r.choice(('exe', 'ini'))}", f"[{n}%] {a}: {b} # {c}", f"const {camel} = {{ {b}: {n}, {c} }};", f"0x{r.getrandbits(32):08X}",
            f"{a} *= {n}.{digits(r, 1, 2)}f; // {b} {c}", f"{a}::{b}<{c}>& operator+", f"{r.getrandbits(64):016x}", f"SELECT {a} FROM {b} WHERE {c} >= {n};",
        ))

    def date(self, r: Random) -> str:
        year, month, day = r.randint(1900, 2049), r.randint(1, 12), r.randint(1, 31)
        name = MONTHS[month - 1]
        return r.choice((
            f"{year}-{month:02}-{day:02}", f"{day:02}.{month:02}.{year}", f"{day:02}/{month:02}/{year}", f"{month}/{day}/{year % 100:02}", f"{name} {day}, {year}",
            f"{day} {name} {year}", f"{day}. {name[:3]} {year}", f"{year}-{month:02}-{day:02}T{r.randint(0, 23):02}:{r.randint(0, 59):02}Z",
            f"{r.randint(0, 23):02}:{r.randint(0, 59):02}", f"{r.randint(1, 12)}:{r.randint(0, 59):02} {r.choice(('am', 'pm', 'AM', 'PM'))}",
        ))

    def amount(self, r: Random) -> str:
        value, money = r.choice((r.uniform(0, 10), r.uniform(0, 1000), r.uniform(0, 1e6))), r.choice(CURRENCIES)
        number = r.choice((f"{value:,.2f}", f"{value:.2f}", f"{value:.2f}".replace(".", ","), f"{value:.0f}", f"{value:,.0f}"))
        return r.choice((f"{money}{number}", f"{number} {money}", f"{money} {number}", number, f"-{number}", f"{number} {r.choice(UNITS)}", f"{number}%"))

    def serial(self, r: Random) -> str:
        mark = r.choice("-/. :")
        groups = (r.choice((digits(r, 1, 5), "".join(r.choice(string.ascii_uppercase) for _ in range(r.randint(1, 4))))) for _ in range(r.randint(2, 5)))
        return mark.join(groups)

    def number(self, r: Random) -> str:
        kind = r.randrange(9)
        if kind < 2:
            return self.date(r)
        if kind < 4:
            return self.amount(r)
        if kind < 6:
            return self.serial(r)
        return r.choice((
            f"+{digits(r, 2, 2)} {digits(r, 2, 4)} {digits(r, 5, 8)}", f"({digits(r, 3, 3)}) {digits(r, 3, 3)}-{digits(r, 4, 4)}", digits(r, 1, 16),
            f"{r.randint(0, 255)}.{r.randint(0, 255)}.{r.randint(0, 255)}.{r.randint(0, 255)}", f"v{r.randint(0, 20)}.{r.randint(0, 40)}.{r.randint(0, 99)}",
            f"DE{digits(r, 2, 2)} {digits(r, 4, 4)} {digits(r, 4, 4)} {digits(r, 4, 4)} {digits(r, 2, 2)}", f"No. {digits(r, 1, 6)}", f"#{digits(r, 3, 6)}",
            f"{digits(r, 1, 3)} x {digits(r, 1, 3)} = {digits(r, 2, 5)}", f"{digits(r, 1, 2)}+{digits(r, 1, 2)}/{digits(r, 1, 2)}", f"§{digits(r, 1, 3)}".replace("§", "p. "),
            f"{r.uniform(-1, 1) * 10 ** r.randint(-4, 8):.3e}", f"{r.randint(-20, 40)} °C", f"1{'st' if r.random() < 0.5 else '0th'} {digits(r, 1, 2)}–{digits(r, 2, 3)}",
        ))

    def receipt(self, r: Random) -> str:
        label = " ".join(self.word(r, "en") for _ in range(r.randint(1, 3)))
        label = label.upper() if r.random() < 0.5 else label.capitalize()
        return r.choice((f"{label}: {self.number(r)}", f"{label} {self.amount(r)}", f"{r.randint(1, 9)} x {label} {self.amount(r)}", f"{label} {self.serial(r)}"))

    def noise(self, r: Random, limit: int) -> str:
        """Random characters, in words of random length: no language to lean on."""
        ascii_only, out = r.random() < 0.5, []
        for _ in range(r.randint(1, limit)):
            out.append(" " if r.random() < 0.12 else chr(r.randint(33, 126)) if ascii_only or r.random() < 0.3 else r.choice(self.charset))
        return "".join(out)

    def raw(self, r: Random, limit: int, kinds: str) -> str:
        if kinds == "sentence":
            return self.sentence(r, limit, "en")
        if kinds == "western":
            return self.sentence(r, limit, r.choice(LANGUAGES[1:]))
        if kinds == "numbers":
            return r.choice((self.number, self.number, self.receipt, self.serial, self.code, self.address))(r)
        roll = r.random()
        if roll < 0.46:
            return self.sentence(r, limit)
        if roll < 0.66:
            return self.noise(r, min(limit, 40))
        return r.choice((self.number, self.number, self.receipt, self.name, self.street, self.address, self.code))(r)

    def line(self, r: Random, limit: int, kinds: str = "mixed") -> str:
        """One line of 1 to `limit` characters of the alphabet, without outer or doubled spaces."""
        while True:
            text = self.raw(r, limit, kinds)
            while kinds == "mixed" and len(text) < limit // 2 and r.random() < 0.35:
                text += r.choice((" ", "  ", ", ", " | ", " - ")) + self.raw(r, limit - len(text), kinds)
            text = " ".join("".join(c for c in text if c in self.allowed).split())
            if len(text) > limit:
                cut = text.rfind(" ", 0, limit + 1)
                text = text[: cut if cut > limit // 2 else limit].strip()
            if text:
                return text
