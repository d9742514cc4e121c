"""Sentences whose names, places, dates, times, numbers and sums of money are known.

Written from the forms and words of words.toml, every sixth name and twelve forms of which are kept
out of training, and from plain prose that the Python library brings along.
"""

import pydoc_data.topics
import re
import tomllib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from random import Random
from typing import NamedTuple


def read_words() -> dict[str, list[str]]:
    """The lists of words.toml by name."""
    separators = {"words": r"\s+", "places": r",\s+", "forms": r"\n"}
    tables = tomllib.loads((Path(__file__).parent / "words.toml").read_text(encoding="utf-8"))
    return {
        name: re.split(separators[kind], text.strip())
        for kind, lists in tables.items()
        for name, text in lists.items()
    }


WORDS = read_words()
TAGS = ("", "name", "place", "date", "time", "number", "money")
CHARACTERS = "".join(map(chr, range(32, 127))) + "€£\u2019"
PADDING, UNKNOWN, FIRST_CHARACTER = 0, 1, 2
"""Ids of characters: the first of CHARACTERS has FIRST_CHARACTER."""
LONGEST = 140

SLOT = re.compile(r"\{(\w+)\}|<(\w+)>")
CHOICE = re.compile(r"\[([^\[\]]*)\]")
SPACE_BEFORE = re.compile(r" (?=[,?])")
HOUR_FOLLOWS = re.compile(r"\b(at|before|after|until|by|around|from [^ ]+ to|between [^ ]+ and) $")


class Tagged(NamedTuple):
    """A text with the tag of each of its characters."""

    text: str
    tags: list[int]


class Vocabulary(NamedTuple):
    """The words that the slots are filled with."""

    first_names: Sequence[str]
    surnames: Sequence[str]
    cities: Sequence[str]
    streets: Sequence[str]


def split_vocabulary() -> tuple[Vocabulary, Vocabulary]:
    """The names to train with, and every sixth, kept out, in whichever lists it stands."""
    lists = (WORDS["first_names"], WORDS["surnames"], WORDS["cities"], WORDS["streets"])
    kept_out = set(sorted({name for names in lists for name in names})[::6])
    training = Vocabulary(*([name for name in names if name not in kept_out] for names in lists))
    unseen = Vocabulary(*([name for name in names if name in kept_out] for names in lists))
    return training, unseen


class Writer:
    """Writes sentences; the seed decides which."""

    def __init__(self, vocabulary: Vocabulary, forms: Sequence[str], seed: int) -> None:
        self.vocabulary, self.forms = vocabulary, forms
        self.random = Random(seed)
        self.one_of = self.random.choice

    def sentence(self) -> Tagged:
        """A sentence of one of the forms."""
        form = self.one_of(self.forms)
        while CHOICE.search(form):
            form = CHOICE.sub(lambda found: self.one_of(found[1].split("|")), form)
        form = SPACE_BEFORE.sub("", " ".join(form.split()))
        form += "" if form.endswith("?") else self.one_of((".", "", "", "!"))
        text, tags, end = "", [], 0
        for slot in SLOT.finditer(form):
            text += form[end : slot.start()]
            tags += [0] * (len(text) - len(tags))
            tag, word = self.word(slot[2]) if slot[2] else self.fill(slot[1], text)
            text, tags, end = text + word, tags + [tag] * len(word), slot.end()
        return Tagged(text + form[end:], tags + [0] * len(form[end:]))

    def fill(self, slot: str, before: str) -> tuple[int, str]:
        """The tag of a slot, and what stands in it after the text `before`."""
        tag = {"year": "date", "date_in": "date", "street": "place"}.get(slot, slot)
        return TAGS.index(tag), getattr(self, slot)(before)

    def number_up_to(self, most: int) -> int:
        return self.random.randint(1, most)

    def word(self, kind: str) -> tuple[int, str]:
        """A word that has no tag."""
        table = {"things": WORDS["things"], "object": WORDS["objects"], "place": WORDS["indoors"]}
        return 0, self.one_of(table[kind])

    def coined(self) -> str:
        """A name that nobody has: the model must not know names by heart."""
        syllables = (self.one_of(WORDS["syllables"]) for _ in range(self.random.randint(2, 3)))
        return "".join(syllables).capitalize()

    def name(self, _before: str) -> str:
        first, last = (
            self.one_of(self.vocabulary.first_names),
            self.one_of(self.vocabulary.surnames),
        )
        first = self.coined() if self.random.random() < 0.2 else first
        last = self.coined() if self.random.random() < 0.2 else last
        title = self.one_of(("Dr.", "Dr", "Mr", "Mrs", "Ms", "Mr.", "Ms.", "Professor"))
        initial = self.one_of("ABCDEGHJKLMNPRSTW")
        forms = (
            [first] * 5
            + [f"{first} {last}"] * 4
            + [f"{title} {last}", f"{first} {initial}. {last}"]
        )
        return self.one_of(forms)

    def place(self, before: str) -> str:
        if self.random.random() < 0.12:
            return self.street(before)
        return self.coined() if self.random.random() < 0.2 else self.one_of(self.vocabulary.cities)

    def street(self, _before: str) -> str:
        return f"{self.one_of(self.vocabulary.streets)} {self.one_of(WORDS['roads'])}"

    def year(self, _before: str) -> str:
        return str(self.random.randint(1880, 2049))

    def date_in(self, before: str) -> str:
        season = self.one_of(("spring", "summer", "autumn", "winter", "the summer", "the spring"))
        month = self.one_of(WORDS["months"])
        year = self.year(before)
        return self.one_of((month, month, f"{month} {year}", season, f"{season} {year}"))

    def date(self, before: str) -> str:
        day, month, year = self.number_up_to(31), self.one_of(WORDS["months"]), self.year(before)
        month = self.one_of((month, month, month[:3]))
        ending = {1: "st", 2: "nd", 3: "rd"}.get(day % 10 if day not in (11, 12, 13) else 0, "th")
        weekday = self.one_of(WORDS["days"])
        calendar = [
            *(
                f"{day} {month}",
                f"{month} {day}",
                f"{month} {day}{ending}",
                f"{day}{ending} {month}",
            ),
            *(f"{day} {month} {year}", f"{month} {day}, {year}", f"the {day}{ending} of {month}"),
            *(
                f"{year}-{self.number_up_to(12):02}-{day:02}",
                f"{day}/{self.number_up_to(12)}/{year}",
            ),
            *(f"{day:02}.{self.number_up_to(12):02}.{year}", f"the {day}{ending}"),
        ]
        near = [weekday, weekday, f"next {weekday}", weekday[:3], f"{weekday}, {day} {month}"]
        if before.endswith("on "):
            return self.one_of((self.one_of(calendar), weekday, self.one_of(near)))
        spoken = [
            *("today", "tomorrow", "tomorrow", "yesterday", "tonight", "this evening"),
            *("tomorrow morning", "next week", "last month", "next year", f"{weekday} evening"),
            *(f"last {weekday}", f"this {weekday}", "this weekend", "Christmas", "New Year's Eve"),
        ]
        return self.one_of((self.one_of(calendar), self.one_of(near), self.one_of(spoken)))

    def time(self, before: str) -> str:
        hour, minute, half = (
            self.number_up_to(23),
            self.random.randint(0, 59),
            self.number_up_to(12),
        )
        spoken = self.one_of(WORDS["numbers"][:12])
        part = self.one_of(("am", "pm", " am", " pm", " a.m.", " p.m.", "AM", " PM"))
        forms = [
            *(f"{hour}:{minute:02}", f"{hour:02}:{minute:02}", f"{half}{part}", f"{half}{part}"),
            *(f"{half}:{minute:02}{part}", f"{half} o'clock", f"{spoken} o'clock", "noon"),
            *("midnight", f"half past {spoken}", f"quarter to {spoken}", f"quarter past {spoken}"),
            *(f"ten to {spoken}", f"{hour:02}.{minute:02}"),
        ]
        if HOUR_FOLLOWS.search(before):
            forms += [str(half), str(half), spoken]
        return self.one_of(forms)

    def number(self, _before: str) -> str:
        small, large = self.number_up_to(99), self.number_up_to(9999)
        forms = [
            *(str(small), str(small), str(self.number_up_to(9)), str(large), f"{large:,}"),
            *(self.one_of(WORDS["numbers"]), self.one_of(WORDS["numbers"]), f"{large / 10:.1f}"),
            *(f"{self.one_of(WORDS['tens'])}-{self.one_of(WORDS['numbers'][:9])}", "a hundred"),
            *(
                f"{self.one_of(WORDS['numbers'][:9])} hundred",
                "a dozen",
                f"{self.number_up_to(9)}.5",
            ),
        ]
        return self.one_of(forms)

    def money(self, _before: str) -> str:
        sign, unit = self.one_of("$$$€€£"), self.one_of(WORDS["currencies"])
        small, large = self.number_up_to(99), self.number_up_to(99999)
        cents = f"{small}.{self.random.randint(0, 99):02}"
        spoken = self.one_of(
            (self.one_of(WORDS["numbers"]), self.one_of(WORDS["tens"]), "a hundred")
        )
        forms = [
            *(f"{sign}{small}", f"{sign}{cents}", f"{sign}{large:,}", f"{small} {unit}"),
            *(f"{spoken} {unit}", f"{cents} {unit}", f"{large} {unit}", f"{small} €"),
            *(f"{sign}{small}k", f"{sign}{small} million", f"{small} million {unit}"),
        ]
        return self.one_of(forms)


def prose() -> list[str]:
    """Sentences of Python's manual that have no digits, capitals or number words inside."""
    plain = re.compile(r"[A-Z][a-z]+(?: [a-z]+,?){3,14}\.")
    counted = re.compile(rf"\b({'|'.join(WORDS['numbers'] + WORDS['tens'])}|may|today|march)\b")
    texts = (" ".join(text.split()) for text in pydoc_data.topics.topics.values())
    found = {sentence for text in texts for sentence in plain.findall(text)}
    return sorted(sentence for sentence in found if not counted.search(sentence))


def lines(vocabulary: Vocabulary, forms: Sequence[str], seed: int) -> Iterator[Tagged]:
    """Lines of one to three sentences, some without capitals, for ever."""
    writer = Writer(vocabulary, forms, seed)
    ordinary = Writer(vocabulary, WORDS["ordinary"], seed + 1)
    manual = prose()
    random = writer.random
    while True:
        text, tags = "", []
        for _ in range(random.choice((1, 1, 1, 2, 3))):
            kinds = (writer.sentence, ordinary.sentence, lambda: plain(random.choice(manual)))
            said, of_each = random.choices(kinds, (8, 1, 1))[0]()
            joints = (" ",) if text.endswith((".", "!", "?")) else (". ", ", ", " and ", " ", "; ")
            joint = random.choice(joints) if text else ""
            text, tags = text + joint + said, tags + [0] * len(joint) + of_each
        change: Callable[[str], str] = random.choices((str, str.lower, str.upper), (84, 13, 3))[0]
        changed = change(text)
        if len(changed) == len(text) == len(tags) <= LONGEST:
            yield Tagged(changed, tags)


def plain(text: str) -> Tagged:
    """A text without tags."""
    return Tagged(text, [0] * len(text))


def encode(text: str) -> list[int]:
    """The id of each character, UNKNOWN where `find` says -1; the page does the same."""
    return [CHARACTERS.find(character) + FIRST_CHARACTER for character in text]
