"""Words to make lines of: common ones written here, the rest from Debian's word lists (see README.md for the packages).

A tenth of the dictionary words, chosen by a checksum, is kept for evaluation: training never sees them.
"""

import zlib
from functools import lru_cache

from assets import word_folder

DICTIONARIES = {
    "en": ("american-english", "british-english"), "fr": ("french",), "de": ("ngerman",), "es": ("spanish",), "it": ("italian",),
    "pt": ("portuguese",), "nl": ("dutch",), "da": ("danish",), "sv": ("swedish",), "no": ("bokmaal", "nynorsk"), "ca": ("catalan",),
}
COMMON = {
    "en": """the of and to a in that is was he for it with as his on be at by I this had not are but from or have an they which one
    you were her all she there would their we him been has when who will more no if out so said what up its about into than them can
    only other new some could time these two may then do first any my now such like our over man me even most made after also did
    many before must through years where much your way well down should because each just those people how too little state good very
    make world still own see men work long get here between both life being under never day same another know while last might us
    great old year off come since against go came right used take three""",
    "fr": """le la les de des du un une et à il elle que qui ne pas dans ce se en au aux par pour sur avec plus est sont été était à
    être avoir fait où mais ou si tout même cette ces son sa ses leur nous vous très après déjà là ça même l'on c'est d'un n'est""",
    "de": """der die das und in zu den dem des ein eine einer eines nicht sich mit ist auf für von war wie im auch als an nach bei um
    es er sie wir ihr über so nur noch wird sind haben hat können müssen zurück während größer schön Straße Jahr Zeit weiß daß früh""",
    "es": """el la los las de que y a en un una ser se no haber por con su para como estar tener le lo más pero este ya también él
    muy años está aquí después según así día niño mañana señor qué cómo dónde cuándo sí tú""",
    "it": """il lo la i gli le di che e a un una in per non è con si da come più ma del della dei alla perché però già così città sarà
    può essere questo sono stato anni dopo""",
    "pt": """o a os as de que e do da em um uma para é com não no na se por mais como mas foi ao ele das tem à seu sua ou ser quando
    muito há nos já está eu também só pelo até isso ela entre era depois sem mesmo aos São João coração""",
    "nl": "de het een en van in te dat die is niet zijn met voor op aan er om ook als bij maar nog naar uit één geïnd ideeën",
    "da": "og i det at en den til er som på de med han af for ikke der var mig sig men et har om vi min havde ham hun år nå også så",
    "sv": "och att det i en som är av för med han på den var jag sig ett inte till om de men hade så vi från här när år också där än",
    "no": "og i det på som er en til å han av for med at var de ikke den har jeg om et men så seg hun år også får når etter være",
    "ca": "el la els les de que i a en un una per amb no és més com però són també això què anys després entre ser ha l·l",
}
COMMON = {language: text.split() for language, text in COMMON.items()}
LANGUAGES = tuple(DICTIONARIES)
FIRST_NAMES = """Anna Ben Carla David Elena Frank Grace Hugo Irene Jack Karin Liam Maria Nina Oscar Paul Quinn Rosa Sven Tom Ursula Victor
Wendy Xavier Yara Zoe José Zoë François Jürgen Søren Åsa Noël Inês Łukasz Renée Björn Þóra Mary-Ann O'Neil""".split()
LAST_NAMES = """Smith Jones Taylor Brown Wilson Evans Thomas Roberts Walker Wright Müller Schmidt Weiß Bauer Dupont Lefèvre Martin García
López Núñez Fernández Rossi Bianchi Silva Araújo Santos Jansen Visser Nilsson Åkesson Sørensen Jørgensen Bakke Puig McDonald
O'Brien Van Dyke Østergård Fitzgerald Quigley Xu Zhang Kowalski Novak Yilmaz""".split()


def held_out(word: str) -> bool:
    return len(word) > 3 and zlib.crc32(word.lower().encode()) % 10 == 0


def decode(data: bytes) -> str:
    """Debian's Norwegian lists are Latin-1, the others UTF-8."""
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return data.decode("latin-1")


@lru_cache(maxsize=None)
def dictionary(language: str, which: str) -> tuple[str, ...]:
    """The dictionary words of a language for `train` or `held-out`, in a stable order."""
    words = set()
    for name in DICTIONARIES[language]:
        file = word_folder() / name
        if not file.exists():
            raise SystemExit(f"no word list {file}: see tools/line-reader/README.md for the packages")
        words.update(decode(file.read_bytes()).split())
    wanted = which == "held-out"
    return tuple(sorted(w for w in words if 1 < len(w) < 22 and held_out(w) == wanted))
