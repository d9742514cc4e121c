"""The folder: its files, its bytes, its names, and how it appears."""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

import webconv
from tests.bundle.programs import HOSTILE, counter, dense, hostile, lookup, two_entries
from webconv.api import Bundle
from webconv.backends.pages import type_names, type_text
from webconv.ir import dims
from webconv.ir.dtypes import f32
from webconv.ir.errors import ModelFormatError, UnsupportedError, WebconvError
from webconv.ir.graph import Graph, Program, input
from webconv.ir.lists import list_text
from webconv.ir.op import Op, TensorType

NODE = """
import { readFileSync } from 'node:fs';
const { load, argmax, WebconvError } = await import(process.argv[1]);
const runner = await load();
const inputs = JSON.parse(readFileSync(0, 'utf-8'));
const outputs = await runner.run(Object.fromEntries(inputs));
const plain = Object.entries(outputs).map(([n, t]) => [n, { ...t, data: Array.from(t.data) }]);
console.log(JSON.stringify({ outputs: plain, report: runner.report, inputs: runner.inputs.map(
  ({ name, dtype, shape, vocabulary }) => ({ name, dtype, shape, vocabulary })) }));
await runner.dispose();
"""


def in_node(node: str, bundle: Bundle, inputs: dict[str, object], entry: str = "index.js") -> dict:
    """What a bundle gives in Node."""
    done = subprocess.run(
        [node, "--input-type=module", "-e", NODE, "--", str(bundle.path / entry)],
        input=json.dumps(list(inputs.items())),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    found["outputs"] = dict(found["outputs"])
    return found


def files(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_layout(tmp_path: Path) -> None:
    bundle = webconv.convert(dense(), tmp_path / "out", backends=["wasm"])
    names = set(files(bundle.path))
    for name in ("package.json", "index.js", "index.d.ts", "wasm.js", "graph.txt", "index.html"):
        assert name in names
    assert "webgpu.js" not in names
    assert {"runtime/runner.js", "runtime/session-wasm.js", "runtime/types.d.ts"} <= names
    package = json.loads((bundle.path / "package.json").read_text())
    assert (package["type"], package["sideEffects"]) == ("module", False)
    assert package["exports"]["./wasm"]["default"] == "./wasm.js"
    for export in package["exports"].values():
        paths = export.values() if isinstance(export, dict) else [export]
        assert all((bundle.path / p).is_file() for p in paths)
    listed = bundle.manifest["files"]
    assert set(listed) | {"webconv.json"} == names
    assert all((bundle.path / n).stat().st_size == size for n, size in listed.items())


def test_the_same_model_gives_the_same_bytes(tmp_path: Path) -> None:
    first, second = (
        webconv.convert(lookup(), tmp_path / name, backends=["wasm"]) for name in ("one", "two")
    )
    assert files(first.path) == files(second.path)


def test_every_binary_has_a_literal_url_and_every_backend_a_literal_import(tmp_path: Path) -> None:
    bundle = webconv.convert(lookup(), tmp_path / "out", backends=["wasm"])
    code = "".join(p.read_text() for p in bundle.path.glob("*.js"))
    for path in bundle.path.iterdir():
        if path.suffix in (".bin", ".wasm") and path.name != "graph.bin":
            assert f'new URL("./{path.name}", import.meta.url)' in code
    assert "import('./runtime/session-wasm.js')" in code


def test_it_runs_in_node_by_plain_import(tmp_path: Path, node: str) -> None:
    program = dense()
    bundle = webconv.convert(program, tmp_path / "out", backends=["wasm"])
    x = np.random.default_rng(0).standard_normal((2, 5)).astype(np.float32)
    want = program.run({"x": x})["probs"]
    for entry in ("index.js", "wasm.js"):
        found = in_node(node, bundle, {"x": x.tolist()}, entry)
        assert found["outputs"]["probs"]["shape"] == [2, 3]
        np.testing.assert_allclose(found["outputs"]["probs"]["data"], want.ravel(), rtol=1e-5)
        assert found["report"]["backend"] == "wasm"
        assert found["report"]["integrity"] == "sha256"


def test_lookups_take_ids_whatever_the_file_says(tmp_path: Path, node: str) -> None:
    bundle = webconv.convert(lookup(), tmp_path / "out", backends=["wasm"])
    found = in_node(node, bundle, {"ids": [[3, 0, 49]]})
    (described,) = found["inputs"]
    assert described == {
        "name": "ids",
        "dtype": "i32",
        "shape": ["batch", "time"],
        "vocabulary": 50,
    }
    want = lookup().run({"ids": np.array([[3, 0, 49]])})["total"]
    np.testing.assert_allclose(found["outputs"]["total"]["data"], want.ravel(), rtol=1e-5)


def test_hostile_names_stay_names(tmp_path: Path, node: str) -> None:
    program = hostile()
    bundle = webconv.convert(program, tmp_path / "out", backends=["wasm"])
    inputs = {name: [[k, 1]] for k, name in enumerate(HOSTILE)}
    found = in_node(node, bundle, inputs)
    want = program.run({n: np.array(v) for n, v in inputs.items()}, entry=HOSTILE[0])
    assert list(found["outputs"]) == list(HOSTILE)
    for name, array in want.items():
        assert found["outputs"][name]["data"] == array.ravel().tolist()
    html = (bundle.path / "index.html").read_text("utf-8")
    assert "<script>alert" not in html
    for path in bundle.path.rglob("*"):
        assert path.name.isascii()
        assert path.resolve().is_relative_to(bundle.path.resolve())
    for path in bundle.path.glob("*.js"):
        text = path.read_text("utf-8")
        assert "</script" not in text
        assert "\u2028" not in text
    assert bundle.verify(browser="none").ok


def test_types_parse_whatever_the_names(tmp_path: Path, node: str) -> None:
    """Names in index.d.ts are strings, and no comment ends early."""
    text = (
        webconv.convert(hostile(), tmp_path / "o", backends=["wasm"]).path / "index.d.ts"
    ).read_text()
    assert 'alert(1)//":' in text
    assert text.count("/**") == text.count("*/") - text.count('"*/')


def test_a_list_says_how_long_its_sequences_are_at_least() -> None:
    listed = {"dtype": "f32", "shape": ["total", 4], "lengths": 1}
    total = TensorType(f32, (dims.symbol("total"), 4))
    assert type_text(listed) == list_text(total) == "list of f32[length, 4]"
    longer = "list of f32[length, 4], length >= 2"
    assert type_text({**listed, "least": 2}) == list_text(total, 2) == longer


def test_the_types_of_entries_are_named_after_them() -> None:
    entries = ["main", "next_word", "next-word", "encode", "2nd", "文字"]
    want = ["", "NextWord", "NextWord_", "Encode", "Entry52nd", "Entry6"]
    assert type_names(entries) == want


def test_graph_txt_is_the_program_as_imported(tmp_path: Path) -> None:
    program = lookup()
    bundle = webconv.convert(program, tmp_path / "out", backends=["wasm"])
    ids = np.array([[1, 2, 0], [4, 5, 6]])
    found = Bundle.open(bundle.path).program.run({"ids": ids})
    np.testing.assert_array_equal(found["total"], program.run({"ids": ids})["total"])
    assert 'weight(f32[50, 8], "weights"' in (bundle.path / "graph.txt").read_text()
    assert str(bundle.program.main.inputs["ids"].type) == "f32[batch, time]"


def test_states_and_entries_are_described(tmp_path: Path) -> None:
    stateful = webconv.convert(counter(), tmp_path / "one", backends=["wasm"])
    text = next(stateful.path.glob("model-*.js")).read_text()
    assert "batchAxis: 0" in text
    assert "initial: { data: [0.5, 0.5, 0.5, 0.5], shape: [1, 4] }" in text
    assert stateful.verify(browser="none").ok
    several = webconv.convert(two_entries(), tmp_path / "two", backends=["wasm"])
    assert several.manifest["vocabularies"] == [["encode", "ids", 20]]
    report = several.verify(browser="none")
    assert report.ok
    assert {o.name for o in report.results[0].outputs} == {"encode/row", "main/y"}


@dataclass(frozen=True)
class Unknown(Op):
    """An operator without kernels."""

    def infer(self, *types: TensorType) -> tuple[TensorType, ...]:
        return types


def unsupported() -> Program:
    from webconv.ir.dtypes import f32

    x = input("x", TensorType(f32, (2,)))
    return Program({"main": Graph({"x": x}, {"y": Unknown()(Unknown()(x, name="a"), name="b")})})


def test_a_failure_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(UnsupportedError, match="Unknown a, Unknown b"):
        webconv.convert(unsupported(), tmp_path / "out", backends=["wasm"])
    assert list(tmp_path.iterdir()) == []


def test_a_write_that_fails_leaves_the_old_bundle(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    webconv.convert(dense(), out, backends=["wasm"])
    before = files(out)
    write_bytes = Path.write_bytes

    def full(path: Path, data: bytes) -> int:
        if path.name == "index.html":
            raise OSError(28, "No space left on device")
        return write_bytes(path, data)

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(OSError, match="No space"):
        webconv.convert(lookup(), out, backends=["wasm"], force=True)
    assert files(out) == before
    assert [p.name for p in tmp_path.iterdir()] == ["out"]


def test_force_replaces_only_what_is_ours(tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    webconv.convert(dense(), out, backends=["wasm"])
    with pytest.raises(WebconvError, match="it is an older bundle; --force replaces it"):
        webconv.convert(dense(), out, backends=["wasm"])
    webconv.convert(lookup(), out, backends=["wasm"], force=True)
    assert Bundle.open(out).manifest["name"] == "lookup"
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("years of work")
    (tmp_path / "link").symlink_to(out)
    kinds = {
        "mine": "it holds other files than a bundle",
        "mine/thesis.txt": "it is a file",
        "link": "it is a symbolic link",
    }
    for name, kind in kinds.items():
        for force in (False, True):
            with pytest.raises(WebconvError, match=f"{name}: {kind}; choose another folder"):
                webconv.convert(dense(), tmp_path / name, backends=["wasm"], force=force)
    assert (tmp_path / "mine" / "thesis.txt").exists()


def test_what_is_no_bundle_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelFormatError, match="it is not a bundle"):
        Bundle.open(tmp_path)
    with pytest.raises(ModelFormatError, match=r"it is a folder, and no bundle .*give a model"):
        webconv.load(tmp_path)
    (tmp_path / "m.h5").write_text("")
    with pytest.raises(ModelFormatError, match="it is a file, not a bundle; webconv convert"):
        Bundle.open(tmp_path / "m.h5")
    bundle = webconv.convert(dense(), tmp_path / "out", backends=["wasm"])
    manifest = {**bundle.manifest, "format": 99}
    (bundle.path / "webconv.json").write_text(json.dumps(manifest))
    with pytest.raises(ModelFormatError, match="format 99"):
        Bundle.open(bundle.path)


def test_altered_weights_are_refused_without_a_browser_too(tmp_path: Path) -> None:
    bundle = webconv.convert(dense(), tmp_path / "out", backends=["wasm"])
    weights = next(bundle.path.glob("weights-*.bin"))
    data = bytearray(weights.read_bytes())
    data[5] ^= 1
    weights.write_bytes(data)
    with pytest.raises(ModelFormatError, match="cut short or altered"):
        bundle.verify(browser="none")


def test_what_a_page_fetches_is_small(tmp_path: Path) -> None:
    """The runner, the entries and the descriptor: without session, kernels and weights."""
    import gzip

    bundle = webconv.convert(dense(), tmp_path / "out", backends=["wasm"])
    names = ["index.js", bundle.manifest["model"], "runtime/runner.js"]
    sizes = {n: len(gzip.compress((bundle.path / n).read_bytes(), 9)) for n in names}
    assert sum(sizes.values()) <= 7000, sizes


def test_weights_come_in_several_files(
    tmp_path: Path, node: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("webconv.backends.compiled.SHARD_BYTES", 512)
    program = dense(inputs=200, units=7)
    bundle = webconv.convert(program, tmp_path / "out", backends=["wasm"])
    assert len(bundle.manifest["weights"]) > 1
    x = np.random.default_rng(0).standard_normal((1, 200)).astype(np.float32)
    found = in_node(node, bundle, {"x": x.tolist()})
    want = program.run({"x": x})["probs"]
    np.testing.assert_allclose(found["outputs"]["probs"]["data"], want.ravel(), rtol=1e-4)
    assert bundle.verify(browser="none").ok
