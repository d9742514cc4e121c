"""Trains the two taggers of the page, measures them and exports them to ONNX.

    pip install torch==2.13.0 onnx onnxscript numpy
    python train.py

Writes tagger.onnx, encoder.onnx, alphabet.json (what the page needs to know of them) and, for
`webconv verify`, PyTorch's own results on sentences of two lengths: inputs_*.npz, *_expect_*.npz.
README.md has the figures it printed.
"""

import itertools
import json
import re
import sys
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import sentences
import torch
from sentences import CHARACTERS, FIRST_CHARACTER, PADDING, TAGS, UNKNOWN, WORDS, Tagged
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

FOLDER = Path(__file__).parent
SEED = 1
IDS = FIRST_CHARACTER + len(CHARACTERS)
BATCH = 64
STEPS = {"tagger": 1300, "encoder": 1500}
RATES = {"tagger": 4e-3, "encoder": 3e-3}
HELD_OUT = 2000
SHOWN = {
    "short": ["Call Florence at 5:30 pm.", "May I?", "Two cups, $7"],
    "long": [
        "On 3 May Dr. Okafor paid $1,299.99 for 12 chairs in Florence.",
        "Will Jordan fly from Austin to Jordan next Friday?",
        "See you at noon!",
        "Meet Grace and Hope on 12 Oak Street, Dublin, at 7, and bring 7 books for the 7th.",
        "ok",
    ],
}


class Tagger(nn.Module):
    """A GRU that reads from both ends; packing keeps the padding of short rows out of it."""

    def __init__(self, width: int = 24, units: int = 48) -> None:
        super().__init__()
        self.embedding = nn.Embedding(IDS, width, padding_idx=PADDING)
        self.dropout = nn.Dropout(0.1)
        self.gru = nn.GRU(width, units, num_layers=2, bidirectional=True, batch_first=True)
        self.tags = nn.Linear(2 * units, len(TAGS))

    def forward(self, characters: Tensor, lengths: Tensor) -> Tensor:
        """Scores [batch, time, tag] of characters [batch, time], of which a row has its length."""
        embedded = self.dropout(self.embedding(characters))
        packed = pack_padded_sequence(
            embedded, lengths.cpu(), batch_first=True, enforce_sorted=False
        )
        states, _ = self.gru(packed)
        steps = characters.shape[1]
        padded, _ = pad_packed_sequence(states, batch_first=True, total_length=steps)
        return self.tags(self.dropout(padded))


class Encoder(nn.Module):
    """A transformer encoder. A convolution shows it each character with its neighbours, and sines
    tell it where they stand, so that any length will do."""

    def __init__(self, width: int = 64, heads: int = 4, layers: int = 2) -> None:
        super().__init__()
        self.embedding = nn.Embedding(IDS, width // 2, padding_idx=PADDING)
        self.neighbours = nn.Conv1d(width // 2, width, kernel_size=5, padding=2)
        self.register_buffer("rates", 1e-3 ** (torch.arange(width // 2) / (width // 2)))
        layer = nn.TransformerEncoderLayer(
            *(width, heads, 3 * width // 2),
            dropout=0.05,
            activation="gelu",
            batch_first=True,
            norm_first=True,
        )
        self.encoder = nn.TransformerEncoder(
            layer, layers, norm=nn.LayerNorm(width), enable_nested_tensor=False
        )
        self.tags = nn.Linear(width, len(TAGS))

    def forward(self, characters: Tensor, lengths: Tensor) -> Tensor:
        """Scores [batch, time, tag] of characters [batch, time], of which a row has its length."""
        steps = torch.arange(characters.shape[1])
        angles = steps[:, None] * self.rates
        positions = torch.cat([angles.sin(), angles.cos()], dim=1)
        padding = steps >= lengths[:, None]
        embedded = self.neighbours(self.embedding(characters).transpose(1, 2)).transpose(1, 2)
        return self.tags(self.encoder(embedded + positions, src_key_padding_mask=padding))


def batch_of(rows: Sequence[Tagged]) -> tuple[Tensor, Tensor, Tensor]:
    """Characters and tags [batch, time], and the lengths. Shorter rows end in padding."""
    lengths = [len(row.text) for row in rows]
    characters = torch.full((len(rows), max(lengths)), PADDING)
    tags = torch.full((len(rows), max(lengths)), -100)  # what cross_entropy leaves out
    for number, row in enumerate(rows):
        characters[number, : lengths[number]] = torch.tensor(sentences.encode(row.text))
        tags[number, : lengths[number]] = torch.tensor(row.tags)
    return characters, tags, torch.tensor(lengths)


def batches(lines: Iterator[Tagged]) -> Iterator[list[Tagged]]:
    """Rows of about one length stand together, so that there is little padding to compute."""
    generator = np.random.default_rng(SEED)
    while True:
        rows = sorted(itertools.islice(lines, 16 * BATCH), key=lambda row: len(row.text))
        for number in generator.permutation(16):
            yield rows[number * BATCH : (number + 1) * BATCH]


def train(model: nn.Module, lines: Iterator[Tagged], steps: int, rate: float) -> None:
    """No line comes twice. Every hundredth character is made unknown: there are other alphabets."""
    optimizer = torch.optim.AdamW(model.parameters(), rate)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, rate, steps, pct_start=0.1)
    model.train()
    for step, rows in enumerate(itertools.islice(batches(lines), steps)):
        characters, tags, lengths = batch_of(rows)
        characters[(characters != PADDING) & (torch.rand(characters.shape) < 0.01)] = UNKNOWN
        scores = model(characters, lengths)
        loss = nn.functional.cross_entropy(scores.flatten(0, 1), tags.flatten())
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        if (step + 1) % 100 == 0:
            print(f"step {step + 1}: loss {loss.item():.4f}", flush=True)


def spans(tags: Sequence[int]) -> set[tuple[int, int, int]]:
    """Tag, begin and end of each stretch of one tag."""
    found, begin = set(), 0
    for tag, stretch in itertools.groupby(tags):
        end = begin + len(list(stretch))
        if tag:
            found.add((tag, begin, end))
        begin = end
    return found


def decode(text: str, scores: Tensor) -> list[int]:
    """The tag of each character. The letters and digits of a word vote, as they do in the page."""
    voted = scores[: len(text)].clone()
    for word in re.finditer(r"[^\W_]+", text):
        voted[word.start() : word.end()] = voted[word.start() : word.end()].sum(0)
    return voted.argmax(-1).tolist()


@torch.no_grad()
def measure(model: nn.Module, rows: Sequence[Tagged]) -> str:
    """The share of characters with the right tag, and F1 of whole stretches."""
    model.eval()
    right = characters = agreed = answered = wanted = 0
    for first in range(0, len(rows), 100):
        part = rows[first : first + 100]
        ids, _, lengths = batch_of(part)
        for row, scores in zip(part, model(ids, lengths), strict=True):
            got = decode(row.text, scores)
            right += sum(a == b for a, b in zip(got, row.tags, strict=True))
            characters += len(got)
            agreed += len(spans(got) & spans(row.tags))
            answered, wanted = answered + len(spans(got)), wanted + len(spans(row.tags))
    f1 = 2 * agreed / (answered + wanted)
    return f"{100 * right / characters:.2f} % of characters, F1 of stretches {100 * f1:.2f} %"


def export(model: nn.Module, name: str) -> None:
    """The exporter of `torch.export`, PyTorch's default, cannot write packed sequences, so the GRU
    takes the one of TorchScript."""
    characters, _, lengths = batch_of([sentences.plain(text) for text in SHOWN["long"]])
    names = {"input_names": ["characters", "lengths"], "output_names": ["tags"]}
    file = FOLDER / f"{name}.onnx"
    if name == "tagger":
        axes = {0: "batch", 1: "time"}
        dynamic = {"characters": axes, "lengths": {0: "batch"}, "tags": axes}
        torch.onnx.export(
            model, (characters, lengths), file, **names, dynamic_axes=dynamic, dynamo=False
        )
        return
    batch, time = torch.export.Dim("batch"), torch.export.Dim("time")
    shapes = ({0: batch, 1: time}, {0: batch})
    program = torch.onnx.export(
        model, (characters, lengths), **names, dynamic_shapes=shapes, dynamo=True
    )
    for node in program.model.graph:
        node.metadata_props.clear()  # stack traces, which are longer than the weights
    program.save(file, external_data=False)


@torch.no_grad()
def write_expected(model: nn.Module, name: str) -> None:
    """What PyTorch makes of two batches of different lengths."""
    for size, texts in SHOWN.items():
        characters, _, lengths = batch_of([sentences.plain(text) for text in texts])
        np.savez(
            FOLDER / f"inputs_{size}.npz", characters=characters.numpy(), lengths=lengths.numpy()
        )
        tags = model(characters, lengths).numpy()
        np.savez(FOLDER / f"{name}_expect_{size}.npz", tags=tags)


def main() -> None:
    torch.set_num_threads(1)  # products this small only wait for one another
    known, unseen = sentences.split_vocabulary()
    sets = {
        "held-out lines": (known, WORDS["forms"], SEED + 10),
        "unseen names and forms": (unseen, WORDS["unseen_forms"], SEED + 20),
    }
    held_out = {
        title: list(itertools.islice(sentences.lines(*made_of), HELD_OUT))
        for title, made_of in sets.items()
    }
    page = {"characters": CHARACTERS, "first": FIRST_CHARACTER, "tags": TAGS}
    text = json.dumps(page, ensure_ascii=False)
    (FOLDER / "alphabet.json").write_text(text + "\n", encoding="utf-8")
    for name, kind in (("tagger", Tagger), ("encoder", Encoder)):
        if name not in (sys.argv[1:] or STEPS):
            continue
        torch.manual_seed(SEED)
        model = kind()
        print(f"{name}: {sum(p.numel() for p in model.parameters())} parameters")
        train(model, sentences.lines(known, WORDS["forms"], SEED), STEPS[name], RATES[name])
        for title, rows in held_out.items():
            print(f"{name}, {len(rows)} {title}: {measure(model, rows)}", flush=True)
        export(model.eval(), name)
        write_expected(model, name)


if __name__ == "__main__":
    warnings.simplefilter("ignore", DeprecationWarning)
    main()
