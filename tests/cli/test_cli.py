"""The command line as scripts see it: exit codes, one-line errors, JSON, files."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

import webconv
from tests.bundle.programs import dense, listed, paired
from webconv.api import Bundle
from webconv.cli import printable, run
from webconv.cli.console import Console
from webconv.cli.convert import describe


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Keras file, of the smallest kind there is: written here as JSON and HDF5."""
    import h5py

    folder = tmp_path_factory.mktemp("model")
    path = folder / "tiny model.h5"
    layer = {
        "class_name": "Dense",
        "config": {
            "name": "dense",
            "units": 3,
            "activation": "softmax",
            "use_bias": True,
            "batch_input_shape": [None, 5],
            "dtype": "float32",
        },
    }
    config = {"class_name": "Sequential", "config": {"name": "tiny", "layers": [layer]}}
    rng = np.random.default_rng(0)
    with h5py.File(path, "w") as file:
        file.attrs["keras_version"] = "2.15.0"
        file.attrs["backend"] = "tensorflow"
        file.attrs["model_config"] = json.dumps(config)
        weights = file.create_group("model_weights")
        weights.attrs["layer_names"] = [b"dense"]
        group = weights.create_group("dense")
        group.attrs["weight_names"] = [b"dense/kernel:0", b"dense/bias:0"]
        group["dense/kernel:0"] = rng.standard_normal((5, 3)).astype(np.float32)
        group["dense/bias:0"] = rng.standard_normal(3).astype(np.float32)
    return path


@pytest.fixture
def bundle(tmp_path: Path) -> Bundle:
    return webconv.convert(dense(), tmp_path / "bundle", backends=["wasm"])


def fails(capsys: pytest.CaptureFixture[str], code: int, *arguments: object) -> str:
    """The one line of an error, without its head."""
    assert run([str(a) for a in arguments]) == code
    captured = capsys.readouterr()
    first, *rest = captured.err.splitlines()
    assert first.startswith("webconv: error: ")
    assert "Traceback" not in captured.err
    assert all(line.startswith("see: ") for line in rest)
    return first.removeprefix("webconv: error: ")


def test_version_is_fast() -> None:
    command = [sys.executable, "-c", "from webconv.cli import main; main()", "--version"]
    best = float("inf")
    for _ in range(3):
        start = time.perf_counter()
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        best = min(best, time.perf_counter() - start)
    assert done.stdout == f"webconv {webconv.__version__}\n"
    assert best < 0.3, best


def test_version_imports_little() -> None:
    code = (
        "import sys; from webconv.cli import run; run(['--version']);"
        "print([m for m in ('numpy', 'rich', 'jinja2', 'h5py') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.endswith("[]\n")


def test_convert_then_verify(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert run(["convert", str(model), "-o", str(out), "--backend", "wasm"]) == 0
    printed = capsys.readouterr().out
    for text in ("18 parameters", "weights-", "import { load }", "webconv serve", "peak"):
        assert text in printed
    assert run(["verify", str(out), "--browser", "none"]) == 0
    assert "all outputs agree" in capsys.readouterr().out


def test_convert_writes_beside_the_caller_by_default(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(["convert", str(model), "--backend", "wasm", "--quiet"]) == 0
    assert (tmp_path / "tiny model_web" / "index.js").is_file()


def test_quiet_prints_nothing(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["convert", str(model), "-o", str(tmp_path / "o"), "--backend", "wasm", "--quiet"]
    assert run(arguments) == 0
    assert capsys.readouterr().out == ""


def test_json_on_the_standard_output_is_all_there_is(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "o"
    common = ["--json", "-"]
    assert run(["convert", str(model), "-o", str(out), "--backend", "wasm", *common]) == 0
    assert json.loads(capsys.readouterr().out)["parameters"] == 18
    assert run(["verify", str(out), "--browser", "none", *common]) == 0
    assert json.loads(capsys.readouterr().out)["ok"] is True
    assert run(["inspect", str(out), *common]) == 0
    assert json.loads(capsys.readouterr().out)["entries"]["main"]["symbols"] == ["batch"]
    assert run(["ops", *common]) == 0
    assert {"op", "kernels", "summary"} == set(json.loads(capsys.readouterr().out)[0])


def test_json_goes_to_a_file_too(bundle: Bundle, tmp_path: Path) -> None:
    target = tmp_path / "report.json"
    assert run(["verify", str(bundle.path), "--browser", "none", "--json", str(target)]) == 0
    assert json.loads(target.read_text())["ok"] is True


def test_verify_takes_a_model_and_its_options(model: Path, tmp_path: Path) -> None:
    x = np.ones((1, 5), np.float32)
    np.savez(tmp_path / "x.npz", x=x)
    arguments = ["verify", str(model), "--browser", "none", "--rename", "input=x"]
    name = webconv.load(model).main.inputs
    arguments[-1] = f"{next(iter(name))}=x"
    assert run([*arguments, "--inputs", str(tmp_path / "x.npz")]) == 0


def test_a_wrong_expectation_is_exit_code_1(
    bundle: Bundle, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    np.savez(tmp_path / "x.npz", x=np.ones((1, 5)))
    np.savez(tmp_path / "y.npz", probs=np.ones((1, 3)))
    files = ["--inputs", str(tmp_path / "x.npz"), "--expect", str(tmp_path / "y.npz")]
    assert run(["verify", str(bundle.path), "--browser", "none", *files]) == 1
    assert "wasm simd: output 'probs': 3 of 3 elements differ" in capsys.readouterr().err
    loose = [*files, "--atol", "1"]
    assert run(["verify", str(bundle.path), "--browser", "none", *loose]) == 0


def test_no_browser_is_exit_code_3(
    bundle: Bundle, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("WEBCONV_CHROMIUM", "/nonexistent/chromium")
    assert run(["verify", str(bundle.path), "--json", "-"]) == 3
    captured = capsys.readouterr()
    first, *rest = captured.err.splitlines()
    assert first.startswith("webconv: error: no usable Chromium")
    assert rest == ["see: --browser none, which checks wasm in this process"]
    report = json.loads(captured.out)
    assert report["ok"] is False
    assert {r["error"]["code"] for r in report["results"]} == {"no-browser"}


def test_inspect_lists_all(model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["inspect", str(model)]) == 0
    printed = capsys.readouterr().out
    for text in ("f32[batch, 5]", "f32[batch, 3]", "MatMul", "18 parameters", "peak"):
        assert text in printed


def test_ops_lists_every_operator(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["ops"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert any(line.startswith("LSTM ") and " yes " in line for line in lines)


@pytest.mark.parametrize(
    ("arguments", "rule"),
    [
        (["frob"], "No such command 'frob'"),
        (["convert"], "Missing argument 'MODEL'"),
        (["convert", "m.h5", "--backend", "metal"], "'metal' is none of wasm, webgpu, webgl, all"),
        (["convert", "m.h5", "--input-shape", "x"], "'x' is not of the form NAME=VALUE"),
        (["convert", "m.h5", "--input-shape", "x=a!"], "--input-shape x: dim 'a!'"),
        (["convert", "m.h5", "--input-shape", "x=-1"], "sizes are at least 0"),
        (["convert", "m.h5", "--const", "x=[1"], "--const x: '[1' is not a number or list"),
        (["convert", "m.h5", "--entry", "e=a"], "--entry e: 'a' is not of the form"),
        (["convert", "m.h5", "--quantize", "f16"], "--quantize is not available yet"),
        (["convert", "m.h5", "--with", "text"], "--with is not available yet"),
        (["bench", "d", "--profile"], "--profile is not available yet"),
        (["serve", "d", "--lan"], "--lan is not available yet"),
        (["verify", "d", "--expect", "y.npz"], "--expect needs an --inputs for each"),
        (
            ["verify", "d", "--browser", "none", "--backend", "webgl"],
            "--browser none runs wasm alone",
        ),
        (["verify", "d", "--rtol", "x"], "'x' is not a valid float"),
    ],
)
def test_wrong_usage_is_exit_code_2(
    arguments: list[str], rule: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert rule in fails(capsys, 2, *arguments)


def test_bad_files_are_exit_code_1(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name, content in (("a.h5", b"no model"), ("b.h5", b""), ("c.h5", b"\x89HDF\r\n\x1a\n cut")):
        path = tmp_path / name
        path.write_bytes(content)
        message = fails(capsys, 1, "convert", path, "-o", tmp_path / "out")
        assert message.startswith(f"{path}: ")
        assert not (tmp_path / "out").exists()
    assert "No such file" in fails(capsys, 1, "convert", tmp_path / "gone.h5", "-o", tmp_path / "o")
    assert "it is not a bundle" in fails(capsys, 1, "verify", tmp_path)
    for command in ("convert", "inspect"):
        message = fails(capsys, 1, command, tmp_path)
        assert message.startswith(f"{tmp_path}: it is a folder, and no bundle")
    assert "webconv convert makes one" in fails(capsys, 1, "bench", tmp_path / "a.h5")
    assert "there is no such folder" in fails(capsys, 1, "serve", tmp_path / "gone")


def test_weights_that_are_not_there_are_named(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ("convert", model, "-o", tmp_path / "o", "--weights", "nosuch.h5")
    rule = "the weights nosuch.h5 cannot be read: No such file or directory"
    assert fails(capsys, 1, *arguments) == f"{model}: {rule}"


def test_what_exists_is_not_replaced(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    for force in ([], ["--force"]):
        message = fails(capsys, 2, "convert", model, "-o", tmp_path, *force)
        assert message.startswith(f"{tmp_path}: it holds other files than a bundle")
        mistyped = fails(capsys, 1, "convert", "gone.h5", "-o", tmp_path, *force)
        assert mistyped == "gone.h5: the file cannot be read: No such file or directory"
    assert [p.name for p in tmp_path.iterdir()] == ["notes.txt"]
    (tmp_path / "empty").mkdir()
    arguments = ["convert", model, "-o", tmp_path / "empty", "--backend", "wasm"]
    assert run([*map(str, arguments)]) == 0
    assert "older bundle; --force replaces it" in fails(capsys, 2, *arguments)
    assert run([*map(str, arguments), "--force"]) == 0


def test_names_split_at_the_last_equals_sign(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["--backend", "wasm", "-o", str(tmp_path / "o"), "--rename", "a=b=c"]
    assert "there is no 'a=b' to rename" in fails(capsys, 1, "convert", model, *arguments)


def test_debug_shows_the_traceback(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for arguments in (["--debug", "convert", "gone.h5"], ["convert", "gone.h5", "--debug"]):
        assert run([*arguments, "-o", str(tmp_path / "o")]) == 1
        assert "Traceback" in capsys.readouterr().err


def test_output_cannot_steer_a_terminal() -> None:
    assert printable("a\x1b[2Jb\r\u202e\nc") == "a\\x1b[2Jb\\x0d\\x202e\nc"


def test_help_names_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert run([]) == 0
    alone = capsys.readouterr()
    assert run(["--help"]) == 0
    printed = capsys.readouterr().out
    assert (alone.out, alone.err) == (printed, "")
    for name in ("convert", "inspect", "verify", "bench", "serve", "ops", "doctor"):
        assert name in printed
        assert run([name, "--help"]) == 0


def test_serve_serves_until_it_is_ended(bundle: Bundle) -> None:
    command = [sys.executable, "-c", "from webconv.cli import main; main()", "serve", "--port", "0"]
    # Where the shell ignores SIGINT for this run (a job in the background), the server must not.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    with subprocess.Popen(
        [*command, str(bundle.path)], stdout=subprocess.PIPE, text=True
    ) as served:
        signal.signal(signal.SIGINT, before)
        assert served.stdout is not None
        try:
            url = served.stdout.readline().split()[1]
            with urllib.request.urlopen(url) as reply:
                assert b"<!doctype html>" in reply.read()
            served.send_signal(signal.SIGINT)
            assert served.wait(20) == 130
        finally:
            served.kill()


def test_a_folder_without_a_page_is_served_with_a_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    ended = SimpleNamespace(wait=lambda: None)
    monkeypatch.setattr("webconv.cli.serve.threading", SimpleNamespace(Event=lambda: ended))
    assert run(["serve", str(tmp_path), "--port", "0"]) == 0
    warning = f"webconv: warning: {tmp_path} holds no bundle and no index.html\n"
    assert capsys.readouterr().err == warning
    (tmp_path / "index.html").write_text("a page")
    assert run(["serve", str(tmp_path), "--port", "0"]) == 0
    assert capsys.readouterr().err == ""


def test_spaces_in_a_shape(model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    name = next(iter(webconv.load(model).main.inputs))
    assert run(["inspect", str(model), "--input-shape", f"{name}=4 , 5"]) == 0
    assert "f32[4, 3]" in capsys.readouterr().out
    wrong = fails(capsys, 1, "inspect", model, "--input-shape", f"{name}=batch, 6")
    assert wrong.endswith(f"; --input-shape gave {name}=batch,6")


def test_a_port_in_use_is_said(bundle: Bundle, capsys: pytest.CaptureFixture[str]) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        message = fails(capsys, 1, "serve", bundle.path, "--port", port)
    assert f"port {port}: " in message


@pytest.mark.browser
def test_bench_times_every_backend(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made = webconv.convert(dense(), tmp_path / "all")
    assert run(["bench", str(made.path), "--json", "-"]) == 0
    results = json.loads(capsys.readouterr().out)["results"]
    assert [r["backend"] for r in results] == ["wasm", "webgpu", "webgl"]
    assert all(r["run_ms"] > 0 and r["runs"] >= 5 for r in results)
    assert results[1]["per_run"]["submits"] == 1


@pytest.mark.browser
def test_doctor_finds_the_browser(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["doctor"]) == 0
    printed = capsys.readouterr().out
    assert "Chromium" in printed
    assert "wasmtime" in printed


def test_a_list_is_one_input(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = webconv.convert(listed(), tmp_path / "lists_web", backends=["wasm"]).path
    describe(Bundle.open(out), Console())
    assert "await runner.run({ words, scale });  // rows, ends" in capsys.readouterr().out
    assert run(["inspect", str(out)]) == 0
    shown = capsys.readouterr().out
    assert "words  list of i32[length]" in shown
    assert "rows   list of f32[length, 3]" in shown
    assert "words_lengths" not in shown
    assert run(["inspect", str(webconv.convert(paired(), tmp_path / "paired_web").path)]) == 0
    assert "list of f32[length, 1], each as long as in words" in capsys.readouterr().out
    files = {"0": np.array([1, 2]), "1": np.array([3]), "2": np.float32(2)}
    np.savez(tmp_path / "x.npz", **files)
    command = ["verify", str(out), "--browser", "none", "--inputs", str(tmp_path / "x.npz")]
    assert run(command) == 0
    assert "rows/1" in capsys.readouterr().out
