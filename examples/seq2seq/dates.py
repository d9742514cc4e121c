"""Dates as people write them, and as ISO 8601 does: the data of this example, made from nothing.

The page's `dates.js` reads and writes the same characters.
"""

from __future__ import annotations

import calendar
import datetime
from random import Random

READS = " abcdefghijklmnopqrstuvwxyz0123456789.,/'-"
"""The characters that a model reads; the first has index 1, 0 stands for none."""
WRITES = "\n0123456789-"
"""The characters that a model writes; the first stands before the first."""
LONGEST = 33
FIRST, LAST = datetime.date(1930, 1, 1), datetime.date(2029, 12, 31)
TENS = ("", "", "twenty", "thirty")
ORDINALS = (
    *("thirtieth", "first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth"),
    *("ninth", "tenth", "eleventh", "twelfth", "thirteenth", "fourteenth", "fifteenth"),
    *("sixteenth", "seventeenth", "eighteenth", "nineteenth", "twentieth"),
)


def split() -> tuple[list[datetime.date], list[datetime.date]]:
    """All dates that are learnt, and every tenth, drawn by chance, that is held out."""
    days = (LAST - FIRST).days + 1
    dates = [FIRST + datetime.timedelta(k) for k in range(days)]
    Random(0).shuffle(dates)
    return dates[days // 10 :], dates[: days // 10]


def written(date: datetime.date, random: Random) -> str:
    """`date` as somebody could write it: day before month in figures, 98 means 1998."""
    year = random.choice([f"{date.year}", f"{date.year}", f"'{date:%y}", f"{date:%y}"])
    name = calendar.month_name[date.month].lower()
    month = random.choice([name, name, name[:3], f"{name[:3]}."])
    day = random.choice([str(date.day), f"{date.day:02}", _numbered(date.day)])
    of = random.choice([" of ", " "])
    weekday = calendar.day_name[date.weekday()].lower()
    mark = random.choice("./-")
    figures = random.choice(["{0.day}{1}{0.month}{1}", "{0.day:02}{1}{0.month:02}{1}"])
    forms = [
        f"{day}{of}{month} {year}",
        f"{month} {day}, {year}",
        f"{month} {day} {year}",
        f"{random.choice([weekday, weekday[:3]])}, {day} {month} {year}",
        f"{_in_words(date.day)}{of}{month} {year}",
        f"{month} {_in_words(date.day)}, {year}",
        f"{figures.format(date, mark)}{year.removeprefix(chr(39))}",
        f"{date.year} {month} {date.day}",
        f"{date:%Y-%m-%d}",
    ]
    text = random.choice(forms)
    assert len(text) <= LONGEST
    return text


def _numbered(day: int) -> str:
    endings = {1: "st", 2: "nd", 3: "rd"}
    return f"{day}{'th' if day in (11, 12, 13) else endings.get(day % 10, 'th')}"


def _in_words(day: int) -> str:
    if day <= 20 or day == 30:
        return ORDINALS[day % 30]
    return f"{TENS[day // 10]}-{ORDINALS[day % 10]}"
