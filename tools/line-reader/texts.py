"""Random lines like those of forms, receipts, labels and plates, and plain random ones."""

import string
from random import Random

WORDS = """TOTAL INVOICE DATE TAX CASH CHANGE AMOUNT PAGE ORDER ITEM QTY PRICE NET GROSS VAT SUM BALANCE DUE PAID CARD REF
NO NUMBER CODE SERIAL LOT BATCH EXP BEST BEFORE USE BY MADE IN MODEL TYPE SIZE COLOR WEIGHT GATE SEAT FLIGHT TRAIN ROOM FLOOR EXIT
OPEN CLOSED PUSH PULL STOP START YES OK ON OFF FROM TO FOR THE AND OF WITH NEW OLD NORTH SOUTH EAST WEST STREET ROAD AVENUE
MILK BREAD COFFEE TEA WATER JUICE SUGAR SALT RICE EGGS BUTTER CHEESE APPLE ORANGE LEMON BANANA SOUP FISH MEAT BOX BAG KG PCS
JAN FEB MAR APR MAY JUN JUL AUG SEP OCT NOV DEC MON TUE WED THU FRI SAT SUN NAME CITY PHONE FAX EMAIL ZIP COPY QUALITY JUMP
QUICK BROWN FOX LAZY DOG ZEBRA XRAY VALVE PUMP MOTOR POWER VOLT AMP WATT INPUT OUTPUT DISCOUNT RECEIPT CUSTOMER ACCOUNT BANK
SUBTOTAL TABLE GUEST SERVER TIP THANK YOU VISIT AGAIN STORE SHOP UNIT RATE HOURS WEEK YEAR SECTION PART FIGURE WARNING DANGER""".split()
VOWELS, CONSONANTS = "AEIOUY", "BCDFGHJKLMNPQRSTVWXZ"


def digits(r: Random, low: int, high: int) -> str:
    return "".join(r.choice(string.digits) for _ in range(r.randint(low, high)))


def letters(r: Random, low: int, high: int) -> str:
    return "".join(r.choice(string.ascii_uppercase) for _ in range(r.randint(low, high)))


def word(r: Random) -> str:
    """A known word, or one made of syllables so that no dictionary is learned by heart."""
    if r.random() < 0.4:
        return r.choice(WORDS)
    return "".join(r.choice(CONSONANTS) + r.choice(VOWELS) + (r.choice(CONSONANTS) if r.random() < 0.5 else "") for _ in range(r.randint(1, 3)))


def date(r: Random) -> str:
    year, month, day = r.randint(1950, 2049), r.randint(1, 12), r.randint(1, 31)
    mark = r.choice("-./")
    parts = [f"{year}", f"{month:02}", f"{day:02}"]
    return mark.join(r.choice([parts, parts[::-1]]))


def amount(r: Random) -> str:
    return f"{digits(r, 1, 4)}{r.choice('.,')}{digits(r, 2, 2)}"


def code(r: Random) -> str:
    return r.choice("-/. ").join(r.choice([digits, letters])(r, 1, 4) for _ in range(r.randint(2, 3)))


def noise(r: Random, charset: str, limit: int) -> str:
    return "".join(r.choice(charset) for _ in range(r.randint(1, limit)))


FORMS = (
    lambda r: " ".join(word(r) for _ in range(r.randint(1, 3))),
    lambda r: f"{word(r)}{r.choice([': ', ' ', ':'])}{r.choice([amount, date, code])(r)}",
    lambda r: f"{word(r)} {digits(r, 1, 6)}",
    date,
    amount,
    code,
    lambda r: f"{letters(r, 1, 3)}{r.choice(['-', ' ', ''])}{digits(r, 2, 6)}{r.choice(['-', ' ', ''])}{letters(r, 1, 2)}",
    lambda r: digits(r, 1, 12),
    lambda r: f"{digits(r, 2, 2)}:{digits(r, 2, 2)}",
    lambda r: f"{digits(r, 1, 2)} {word(r)} {amount(r)}",
)


def line(r: Random, charset: str, limit: int, forms: bool = True) -> str:
    """One line of at most `limit` characters of `charset`, without outer or doubled spaces."""
    while True:
        text = r.choice(FORMS)(r) if forms and r.random() < 0.75 else noise(r, charset, limit)
        text = " ".join("".join(c for c in text if c in charset).split(" ")).strip()
        while "  " in text:
            text = text.replace("  ", " ")
        if text and len(text) > limit:
            text = text[:limit].strip()
        if text:
            return text
