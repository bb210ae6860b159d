"""Character and word error rates."""


def distance(a, b) -> int:
    """Levenshtein distance of two sequences."""
    row = list(range(len(b) + 1))
    for i, x in enumerate(a, 1):
        previous, row[0] = row[0], i
        for j, y in enumerate(b, 1):
            previous, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, previous + (x != y))
    return row[-1]


def score(pairs: list[tuple[str, str]]) -> dict:
    """Rates over (expected, read) pairs, in percent."""
    chars = max(1, sum(len(want) for want, _ in pairs))
    words = max(1, sum(len(want.split()) for want, _ in pairs))
    return {
        "lines": len(pairs),
        "cer": round(100 * sum(distance(w, g) for w, g in pairs) / chars, 3),
        "wer": round(100 * sum(distance(w.split(), g.split()) for w, g in pairs) / words, 3),
        "exactLines": round(100 * sum(w == g for w, g in pairs) / len(pairs), 2),
    }
