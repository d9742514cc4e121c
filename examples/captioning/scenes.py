"""Scenes of handwritten digits, and what is to be said of them: the data of this example.

A scene is a noise and up to three digits, drawn at places and sizes of their own. Its caption
follows from what it shows alone. The page's `scenes.js` draws the same scenes.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from random import Random

import numpy as np

WIDTH, HEIGHT = 48, 40
SMALL, LARGE = (9, 10, 11), (14, 15, 16)
"""Sizes at which a digit is called small and large; in scenes of three it is called neither."""
BETWEEN = (10, 11, 12)
NAMES = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
PLURALS = tuple("sixes" if name == "six" else f"{name}s" for name in NAMES)
END = "<end>"
WORDS = (
    END,
    "a",
    "an",
    "and",
    "left",
    "right",
    "above",
    "below",
    "of",
    "between",
    "small",
    "large",
)
VOCABULARY = (*WORDS, *NAMES, *PLURALS)
"""The words; the first ends a caption."""
LONGEST = 10
"""Words of the longest caption, its end included."""


@dataclass(frozen=True)
class Digit:
    """Row `image` of the digits, of class `label`, with its upper left corner at (x, y)."""

    image: int
    label: int
    x: int
    y: int
    size: int

    @property
    def middle(self) -> tuple[float, float]:
        """Its centre, in pixels of the scene."""
        return self.x + self.size / 2, self.y + self.size / 2


@dataclass(frozen=True)
class Scene:
    """Digits, how bright they are, and the seed of the noise."""

    digits: tuple[Digit, ...]
    brightness: float
    seed: int
    caption: str


# -- what is said ----------------------------------------------------------------------------------


def caption(digits: tuple[Digit, ...]) -> str:
    """What a scene shows, in words; raises ValueError if it could be told in two ways."""
    if len({d.label for d in digits}) == 1:
        return _of_a_kind(digits)
    return _two(*digits) if len(digits) == 2 else _three(digits)


def _of_a_kind(digits: tuple[Digit, ...]) -> str:
    label = digits[0].label
    if len(digits) == 1:
        return f"a {_size(digits[0])} {NAMES[label]}"
    return f"{NAMES[len(digits)]} {PLURALS[label]}"


def _size(digit: Digit) -> str:
    return "large" if digit.size >= LARGE[0] else "small"


def _two(a: Digit, b: Digit) -> str:
    """The large one before the small one, else as one reads."""
    dx, dy = (abs(p - q) for p, q in zip(a.middle, b.middle, strict=True))
    if max(dx, dy) < 1.5 * min(dx, dy):
        raise ValueError("the digits stand neither side by side nor one above the other")
    axis = 0 if dx > dy else 1
    first, last = sorted((a, b), key=lambda d: (_size(d), d.middle[axis]))
    relation = RELATIONS[axis][first.middle[axis] > last.middle[axis]]
    words = [f"a {_size(d)} {NAMES[d.label]}" for d in (first, last)]
    return f"{words[0]} {relation} {words[1]}"


RELATIONS = (("left of", "right of"), ("above", "below"))


def _three(digits: tuple[Digit, ...]) -> str:
    """One before or behind two, if that can be said, else one between two."""
    groups = [_groups(digits, axis) for axis in (0, 1)]
    for wanted in ((1, 2), (1, 1, 1)):
        axes = [k for k in (0, 1) if tuple(sorted(map(len, groups[k]))) == wanted]
        if len(axes) == 1:
            return _told(groups[axes[0]], axes[0])
        if axes:
            break
    raise ValueError("the digits stand in no order that has a name")


def _groups(digits: tuple[Digit, ...], axis: int) -> list[list[Digit]]:
    """The digits from left to right or from top to bottom, those together that overlap so."""
    made: list[list[Digit]] = []
    end = -1
    for d in sorted(digits, key=lambda d: (d.x, d.y)[axis]):
        start = (d.x, d.y)[axis]
        if start >= end:
            made.append([])
        made[-1].append(d)
        end = max(end, start + d.size)
    return [sorted(group, key=lambda d: (d.x, d.y)[1 - axis]) for group in made]


def _told(groups: list[list[Digit]], axis: int) -> str:
    relation = RELATIONS[axis][0]
    if len(groups) == 3:
        (a,), (b,), (c,) = groups
        if b.label not in (a.label, c.label):
            return f"{_both([b])} between {_both([a, c])}"
        groups = [[a, b], [c]] if a.label == b.label else [[a], [b, c]]
    first, last = groups
    if {d.label for d in first} & {d.label for d in last}:
        raise ValueError("two of a kind stand apart")
    return f"{_both(first)} {relation} {_both(last)}"


def _both(digits: list[Digit]) -> str:
    """`two fives`, `a five and a six`, or `a five`."""
    labels = [d.label for d in digits]
    if len(labels) == 2 and labels[0] == labels[1]:
        return f"two {PLURALS[labels[0]]}"
    return " and ".join(f"{'an' if label == 8 else 'a'} {NAMES[label]}" for label in labels)


# -- where digits stand ----------------------------------------------------------------------------


KINDS = {"a": 2, "aa": 1, "ab": 6, "aaa": 1, "aab": 4, "abc": 6}
"""Which of a scene's digits are of a kind, and how often that is to be."""


def scene(labels: np.ndarray, random: Random) -> Scene:
    """A scene of images whose classes are `labels`, by chance."""
    (kind,) = random.choices(list(KINDS), list(KINDS.values()))
    while True:
        digits = _placed(_images(labels, kind, random), labels, random)
        if any(_overlap(a, b) for k, a in enumerate(digits) for b in digits[:k]):
            continue
        with suppress(ValueError):
            brightness = round(random.uniform(0.6, 1.0), 2)
            return Scene(digits, brightness, random.randrange(1 << 16), caption(digits))


def _images(labels: np.ndarray, kind: str, random: Random) -> list[int]:
    """Images of classes that are as many as `kind` has letters, in any order."""
    classes = dict(zip("abc", random.sample(range(10), 3), strict=True))
    letters = random.sample(kind, len(kind))
    return [random.choice(np.flatnonzero(labels == classes[c]).tolist()) for c in letters]


def _overlap(a: Digit, b: Digit) -> bool:
    apart = [max(p, q) - min(p + a.size, q + b.size) for p, q in ((a.x, b.x), (a.y, b.y))]
    return max(apart) < 0


def _placed(images: list[int], labels: np.ndarray, random: Random) -> tuple[Digit, ...]:
    if len(images) == 3:
        sizes = [random.choice(BETWEEN) for _ in images]
        places = _three_places(sizes, random)
    else:
        sizes = [random.choice(SMALL + LARGE) for _ in images]
        places = [(random.randint(0, WIDTH - s), random.randint(0, HEIGHT - s)) for s in sizes]
    rows = zip(images, places, sizes, strict=True)
    return tuple(Digit(i, int(labels[i]), x, y, s) for i, (x, y), s in rows)


def _three_places(sizes: list[int], random: Random) -> list[tuple[int, int]]:
    """A row or a column, or two side by side with one before or behind, in any order."""
    kind = random.choice(("row", "before", "before", "behind", "behind"))
    turned = random.random() < 0.5
    long, short = (HEIGHT, WIDTH) if turned else (WIDTH, HEIGHT)
    if kind == "row":
        across = random.randint(3, short - max(sizes) - 3)
        free = long - sum(sizes)
        cuts = sorted(random.randint(0, free) for _ in sizes)
        starts = [sum(sizes[:k]) + cut for k, cut in enumerate(cuts)]
        places = [(start, across + random.randint(-3, 3)) for start in starts]
    else:
        a, b, c = sizes
        left = random.randint(0, long - a - b)
        right = random.randint(left + a, long - b)
        alone = random.randint(left, right + b - c)
        top = random.randint(0, short - max(a, b) - c - 2)
        depth = random.randint(top + c, short - max(a, b) - 2)
        near = [(left, depth + random.randint(0, 2)), (right, depth + random.randint(0, 2))]
        places = [*near, (alone, top)]
        if kind == "behind":
            pairs = zip(places, sizes, strict=True)
            places = [(p, short - q - size) for (p, q), size in pairs]
    return [(q, p) if turned else (p, q) for p, q in places]


# -- how it looks ----------------------------------------------------------------------------------


def noise(seed: int) -> np.ndarray:
    """A number from 0 to 1 for every pixel, which scenes.js computes as well."""
    n = np.arange(WIDTH * HEIGHT, dtype=np.uint32) + np.uint32((seed * 0x9E3779B1) & 0xFFFFFFFF)
    for factor in (0x85EBCA6B, 0xC2B2AE35):
        n = (n ^ (n >> np.uint32(15))) * np.uint32(factor)
    return ((n >> np.uint32(16)) / np.float32(65536)).astype("f4").reshape(HEIGHT, WIDTH)


@cache
def _stretch(size: int) -> np.ndarray:
    """The bilinear weights [size, 8] that make `size` pixels of 8."""
    at = np.clip((np.arange(size) + 0.5) * 8 / size - 0.5, 0, 7)
    return np.maximum(0, 1 - np.abs(at[:, None] - np.arange(8))).astype("f4")


def draw(scenes: list[Scene], images: np.ndarray) -> np.ndarray:
    """The scenes [n, 1, HEIGHT, WIDTH] in values from 0 to about 1, of images [m, 8, 8] to 16."""
    out = np.zeros((len(scenes), 1, HEIGHT, WIDTH), "f4")
    for picture, made in zip(out[:, 0], scenes, strict=True):
        for d in made.digits:
            weights = _stretch(d.size)
            digit = weights @ (images[d.image] / np.float32(16)) @ weights.T
            place = picture[d.y : d.y + d.size, d.x : d.x + d.size]
            np.maximum(place, digit * np.float32(made.brightness), out=place)
        picture += np.float32(0.15) * noise(made.seed)
    return out
