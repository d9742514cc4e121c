"""What is no model, or a broken one, is one clear error that names layer and rule."""

from __future__ import annotations

import contextlib
import io
import json
import struct
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from tests.frontends.layer_cases import L
from tests.frontends.oracle import keras, saved
from webconv.frontends.keras import load
from webconv.ir.errors import ModelFormatError, ShapeError, UnsupportedError

pytestmark = pytest.mark.filterwarnings("ignore")  # Keras and NumPy warn about each other


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small model in both formats."""
    folder = tmp_path_factory.mktemp("models")
    x = keras.Input((4, 3), name="x")
    model = keras.Model(x, L.Dense(2, name="head")(L.LSTM(5, name="rnn")(x)))
    saved(model, folder, ".keras")
    saved(model, folder, ".h5")
    return folder


def refuse(
    path: Path, message: str, kind: type[Exception] = ModelFormatError, **given: Any
) -> None:
    with pytest.raises(kind, match=message) as caught:
        load(path, **given)
    text = str(caught.value)
    assert "\n" not in text or "not supported" in text
    assert "Traceback" not in text


def archive(folder: Path, path: Path, change: Callable[[str, bytes], bytes]) -> Path:
    """The `.keras` model with its members changed."""
    with zipfile.ZipFile(folder / "model.keras") as old, zipfile.ZipFile(path, "w") as new:
        for name in old.namelist():
            new.writestr(name, change(name, old.read(name)))
    return path


def reconfigured(folder: Path, path: Path, change: Callable[[dict[str, Any]], Any]) -> Path:
    """The `.keras` model with another configuration."""

    def edit(name: str, data: bytes) -> bytes:
        if name != "config.json":
            return data
        config = json.loads(data)
        change(config)
        return json.dumps(config).encode()

    return archive(folder, path, edit)


def layer(config: dict[str, Any], name: str) -> dict[str, Any]:
    return next(x for x in config["config"]["layers"] if x["name"] == name)


class TestFiles:
    @pytest.mark.parametrize(
        "data", [b"", b"hello", b"\x80\x04K\x01.", b"\x93NUMPY", b"[1, 2]", bytes(100)]
    )
    def test_not_a_model(self, data: bytes, tmp_path: Path) -> None:
        path = tmp_path / "model.h5"
        path.write_bytes(data)
        refuse(path, "not a Keras model: neither HDF5, .keras archive nor JSON")

    def test_absent(self, tmp_path: Path) -> None:
        refuse(tmp_path / "no.h5", "the file cannot be read, No such file")
        refuse(tmp_path, "the file cannot be read, Is a directory")

    @pytest.mark.parametrize("keep", [8, 100, 0.2, 0.5, 0.9, 0.99])
    def test_cut_hdf5(self, keep: float, folder: Path, tmp_path: Path) -> None:
        data = (folder / "model.h5").read_bytes()
        path = tmp_path / "model.h5"
        path.write_bytes(data[: int(keep if keep > 1 else len(data) * keep)])
        refuse(path, r"model.h5: the HDF5 data cannot be read")

    @pytest.mark.parametrize("keep", [10, 0.5, 0.99])
    def test_cut_archive(self, keep: float, folder: Path, tmp_path: Path) -> None:
        data = (folder / "model.keras").read_bytes()
        path = tmp_path / "model.keras"
        path.write_bytes(data[: int(keep if keep > 1 else len(data) * keep)])
        refuse(path, "the archive is damaged")

    def test_altered_member(self, folder: Path, tmp_path: Path) -> None:
        data = bytearray((folder / "model.keras").read_bytes())
        at = data.index(b"class_name")
        data[at : at + 5] = b"CLASS"
        path = tmp_path / "model.keras"
        path.write_bytes(data)
        refuse(path, "the archive is damaged, .*CRC")

    @pytest.mark.parametrize("name", ["../evil", "/etc/passwd", "a/../../b", "C:\\evil", "..\\x"])
    def test_path_outside_of_the_archive(self, name: str, folder: Path, tmp_path: Path) -> None:
        path = archive(folder, tmp_path / "m.keras", lambda _, data: data)
        with zipfile.ZipFile(path, "a") as z:
            z.writestr(name, b"x")
        refuse(path, "member .* lies outside of the archive")

    def test_zip_bomb(self, folder: Path, tmp_path: Path) -> None:
        path = tmp_path / "m.keras"
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as z:
            z.writestr("config.json", b" " * (1 << 25))
        refuse(path, r"member 'config.json' is a zip bomb: \d+ bytes would unpack to 33554432")

    def test_many_small_bombs(self, tmp_path: Path) -> None:
        path = tmp_path / "m.keras"
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as z:
            for k in range(64):
                z.writestr(f"{k}", bytes(1 << 20))
        refuse(path, "the archive would unpack to 67108864 bytes: a zip bomb")

    def test_archive_that_is_no_model(self, tmp_path: Path) -> None:
        path = tmp_path / "m.keras"
        with zipfile.ZipFile(path, "w") as z:
            z.writestr("readme.txt", "hello")
        refuse(path, "not a Keras model: the archive has no config.json")

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("{", "config.json: not JSON"),
            ("[]", r"config.json: a JSON object is needed, not \[\]"),
            ("[" * 100000, "config.json: nested deeper than 128 levels"),
            ('{"a":' * 500 + "1" + "}" * 500, "config.json: nested deeper than 128 levels"),
            ("\xff\xfe", "config.json: not JSON"),
            ("9" * 5000, "config.json: not JSON"),
            ("{}", "a layer needs a class_name, but it is None"),
            ('{"class_name": "Dense", "config": {}}', "Dense dense: the config has no units"),
        ],
    )
    def test_bad_json(self, text: str, message: str, folder: Path, tmp_path: Path) -> None:
        data = text.encode("latin1")
        path = archive(folder, tmp_path / "m.keras", lambda n, d: data if n == "config.json" else d)
        refuse(path, message)

    def test_a_layer_is_no_model(self, tmp_path: Path) -> None:
        path = tmp_path / "m.json"
        path.write_text('{"class_name": "ReLU", "config": {}}')
        refuse(path, "a model is needed, but the file describes ReLU relu")

    def test_links_and_external_storage_are_not_followed(self, tmp_path: Path) -> None:
        secret = tmp_path / "secret.h5"
        with h5py.File(secret, "w") as file:
            file["w"] = np.ones((3, 2))
        path = tmp_path / "m.h5"
        config = {
            "class_name": "Sequential",
            "config": [
                {
                    "class_name": "Dense",
                    "config": {
                        "name": "d",
                        "output_dim": 2,
                        "bias": False,
                        "batch_input_shape": [None, 3],
                    },
                }
            ],
        }
        for kind in ("link", "external", "virtual"):
            with h5py.File(path, "w") as file:
                file.attrs["model_config"] = json.dumps(config)
                group = file.create_group("model_weights/d")
                file["model_weights"].attrs["layer_names"] = ["d"]
                group.attrs["weight_names"] = ["w"]
                if kind == "link":
                    group["w"] = h5py.ExternalLink("secret.h5", "w")
                elif kind == "external":
                    group.create_dataset("w", (3, 2), "f8", external=[(str(secret), 0, 48)])
                else:
                    layout = h5py.VirtualLayout((3, 2), "f8")
                    layout[:] = h5py.VirtualSource(str(secret), "w", (3, 2))
                    group.create_virtual_dataset("w", layout)
            refuse(path, "links out of the file are not followed|lies in another file")

    def test_shape_bomb(self, tmp_path: Path) -> None:
        path = tmp_path / "m.h5"
        config = {
            "class_name": "Sequential",
            "config": [
                {
                    "class_name": "Dense",
                    "config": {
                        "name": "d",
                        "output_dim": 2,
                        "bias": False,
                        "batch_input_shape": [None, 3],
                    },
                }
            ],
        }
        with h5py.File(path, "w") as file:
            file.attrs["model_config"] = json.dumps(config)
            group = file.create_group("model_weights/d")
            file["model_weights"].attrs["layer_names"] = ["d"]
            group.attrs["weight_names"] = ["w"]
            group.create_dataset("w", (1 << 30, 1 << 10), "f4", chunks=(1 << 10, 1 << 10))
        refuse(path, r"model_weights/d/w: 4398046511104 bytes are declared, but 0 are stored")

    def test_objects_and_strings_are_no_weights(self, folder: Path, tmp_path: Path) -> None:
        def edit(name: str, data: bytes) -> bytes:
            if not name.endswith(".h5"):
                return data
            buffer = io.BytesIO(data)
            with h5py.File(buffer, "r+") as file:
                group = file["layers/dense/vars"]
                del group["1"]
                group["1"] = ["a", "b"]
            return buffer.getvalue()

        path = archive(folder, tmp_path / "m.keras", edit)
        refuse(path, "vars/1: an array of numbers is needed, not object")

    def test_npz_weights(self, folder: Path, tmp_path: Path) -> None:
        path = archive(folder, tmp_path / "m.keras", lambda _, data: data)
        with zipfile.ZipFile(path, "a") as z:
            z.writestr("model.weights.npz", b"x")
        refuse(path, "weights as .npz are not read")

    def test_unknown_version(self, folder: Path, tmp_path: Path) -> None:
        meta = b'{"keras_version": "9.1"}'
        path = archive(
            folder, tmp_path / "m.keras", lambda n, d: meta if n == "metadata.json" else d
        )
        refuse(path, "keras_version '9.1' is none of 1, 2 and 3")


class TestWeights:
    def edit(self, folder: Path, tmp_path: Path, change: Callable[[h5py.File], None]) -> Path:
        def each(name: str, data: bytes) -> bytes:
            if not name.endswith(".h5"):
                return data
            buffer = io.BytesIO(data)
            with h5py.File(buffer, "r+") as file:
                change(file)
            return buffer.getvalue()

        return archive(folder, tmp_path / "m.keras", each)

    def test_missing_layer(self, folder: Path, tmp_path: Path) -> None:
        def change(file: h5py.File) -> None:
            del file["layers/dense"]

        path = self.edit(folder, tmp_path, change)
        refuse(path, "Dense head: its weights are missing at /layers/dense")

    def test_missing_array(self, folder: Path, tmp_path: Path) -> None:
        def change(file: h5py.File) -> None:
            del file["layers/dense/vars/1"]

        path = self.edit(folder, tmp_path, change)
        refuse(path, r"Dense head: 2 weights are needed \(kernel, bias\), but the file has 1 at")

    @pytest.mark.parametrize(
        ("where", "shape", "message"),
        [
            ("dense/vars/0", (5, 3), r"Dense head: weight kernel must have shape \[any, 2\], but"),
            ("dense/vars/0", (6, 2), r"Dense head: MatMul: f32\[batch, 5\] @ f32\[6, 2\]: sizes"),
            ("dense/vars/1", (2, 1), r"Dense head: weight bias must have shape \[2\], but it has"),
            ("lstm/cell/vars/0", (3, 21), r"LSTM rnn: weight kernel must have shape \[any, 20\]"),
            ("lstm/cell/vars/0", (4, 20), r"LSTM rnn: w must be \[1, 3, 4, 5\], but it is"),
            (
                "lstm/cell/vars/2",
                (),
                r"LSTM rnn: weight bias must have shape \[20\], but it has \[\]",
            ),
        ],
    )
    def test_wrong_shape(
        self, where: str, shape: Any, message: str, folder: Path, tmp_path: Path
    ) -> None:
        def change(file: h5py.File) -> None:
            del file[f"layers/{where}"]
            file[f"layers/{where}"] = np.zeros(shape, np.float32)

        refuse(self.edit(folder, tmp_path, change), message, ShapeError)

    def test_too_few_in_old_layout(self, folder: Path, tmp_path: Path) -> None:
        path = tmp_path / "m.h5"
        path.write_bytes((folder / "model.h5").read_bytes())
        with h5py.File(path, "r+") as file:
            file["model_weights/rnn"].attrs["weight_names"] = ["rnn/lstm_cell/kernel"]
        refuse(path, r"LSTM rnn: 3 weights are needed \(kernel, recurrent_kernel, bias\), but")
        with h5py.File(path, "r+") as file:
            del file["model_weights/rnn"]
        refuse(path, "the weights of layer 'rnn' are missing")
        with h5py.File(path, "r+") as file:
            file["model_weights"].attrs["layer_names"] = ["head"]
        refuse(path, "2 layers need weights, but the file has 1; missing: 'rnn'")

    def test_no_weights(self, tmp_path: Path) -> None:
        path = tmp_path / "m.json"
        model = keras.Sequential([keras.Input((3,)), L.Dense(2, name="d")])
        path.write_text(model.to_json())
        refuse(path, "Dense d: the file holds no weights; give the weights file with --weights")
        refuse(path, "m.json: the weights file must be HDF5", weights=path)


class TestConfigs:
    @pytest.mark.parametrize(
        ("name", "key", "value", "message"),
        [
            ("head", "units", "two", "Dense head: units must be an integer, but it is 'two'"),
            ("head", "units", 0, "Dense head: units must be at least 1, but it is 0"),
            ("head", "units", 2.5, "Dense head: units must be an integer, but it is 2.5"),
            ("head", "units", [2], r"Dense head: units must be an integer, but it is \[2\]"),
            ("head", "units", None, "Dense head: units must be an integer, but it is None"),
            ("head", "units", 1e400, "Dense head: units must be an integer, but it is inf"),
            (
                "head",
                "use_bias",
                "no",
                "Dense head: use_bias must be true or false, but it is 'no'",
            ),
            ("head", "activation", 3, "Dense head: activation must be the name of an activation"),
            ("rnn", "return_sequences", {}, "LSTM rnn: return_sequences must be true or false"),
            ("head", "name", 3, "two layers|must be a text|Dense dense"),
        ],
    )
    def test_wrong_kind(
        self, name: str, key: str, value: Any, message: str, folder: Path, tmp_path: Path
    ) -> None:
        def change(config: dict[str, Any]) -> None:
            layer(config, name)["config"][key] = value

        path = reconfigured(folder, tmp_path / "m.keras", change)
        if key == "name":
            load(path)  # the name beside the config counts
        else:
            refuse(path, message)

    def test_missing_argument(self, folder: Path, tmp_path: Path) -> None:
        path = reconfigured(
            folder, tmp_path / "m.keras", lambda c: layer(c, "head")["config"].pop("units")
        )
        refuse(path, "Dense head: the config has no units")

    def test_everything_unsupported_at_once(self, folder: Path, tmp_path: Path) -> None:
        def change(config: dict[str, Any]) -> None:
            layer(config, "head")["config"] |= {"fancy": 1, "activation": "foo"}
            layer(config, "rnn")["class_name"] = "Mine"

        path = reconfigured(folder, tmp_path / "m.keras", change)
        with pytest.raises(UnsupportedError) as caught:
            load(path)
        text = str(caught.value)
        assert text.startswith("3 things are not supported:")
        assert "Dense head: argument 'fancy' is not supported" in text
        assert "Dense head: activation: activation 'foo' is not supported; use one of " in text
        assert "Mine rnn: no layer of this class is known" in text
        assert "LAYERS = {'Mine': Mine}" in text

    def test_both_kinds_of_problems_at_once(self, tmp_path: Path) -> None:
        x = keras.Input((4,))
        y = keras.ops.fft((x, x))
        model = keras.Model(x, [y[0], keras.ops.cholesky(keras.ops.reshape(x, (-1, 2, 2)))])
        with pytest.raises(UnsupportedError, match="2 things are not supported") as caught:
            load(saved(model, tmp_path, ".keras"))
        assert "FFT fft" in str(caught.value)
        assert "Cholesky cholesky" in str(caught.value)

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            (lambda c: c["layers"].append(c["layers"][1]), "two layers have the name 'rnn'"),
            (lambda c: c["layers"].pop(1), "there is no layer 'rnn'"),
            (lambda c: c.update(layers=3), "layers must be a list, but it is 3"),
            (lambda c: c.update(layers=[3]), "a layer must be a JSON object, but it is 3"),
            (
                lambda c: c.update(output_layers=["head", 7, 0]),
                "layer 'head' has 1 calls, so there",
            ),
            (lambda c: c.update(output_layers=["head", 0, 5]), "layer 'head' has 1 outputs, so"),
            (lambda c: c.update(output_layers=["nope", 0, 0]), "there is no layer 'nope'"),
            (lambda c: c.update(output_layers=[]), "output_layers must hold"),
            (lambda c: c.update(output_layers={}), "there are no outputs"),
            (lambda c: c.update(input_layers=["rnn", 0, 0]), "input 'rnn' is not an InputLayer"),
            (lambda c: c.update(input_layers=[["x", 0, 0]] * 2), "inputs must be distinct"),
            (
                lambda c: c["layers"][1].update(inbound_nodes=7),
                "inbound_nodes of rnn must be a list",
            ),
            (lambda c: c["layers"][1].update(inbound_nodes=[7]), "not an inbound node: 7"),
            (lambda c: c["layers"][1].update(inbound_nodes=[{"args": 1}]), "args of an inbound"),
            (lambda c: c["layers"][1].update(inbound_nodes=[{"args": []}]), "input x is missing"),
            (lambda c: c["layers"][0]["config"].update(batch_shape="x"), "must be a list of sizes"),
            (
                lambda c: c["layers"][0]["config"].update(batch_shape=[None, -1]),
                "list of sizes and",
            ),
        ],
    )
    def test_broken_graph(
        self, change: Callable[[Any], Any], message: str, folder: Path, tmp_path: Path
    ) -> None:
        path = reconfigured(folder, tmp_path / "m.keras", lambda c: change(c["config"]))
        refuse(path, message)

    @pytest.mark.parametrize("dtype", ["string", "complex64"])
    def test_dtype_of_input(self, dtype: str, folder: Path, tmp_path: Path) -> None:
        path = reconfigured(
            folder, tmp_path / "m.keras", lambda c: layer(c, "x")["config"].update(dtype=dtype)
        )
        refuse(path, f"InputLayer x: dtype '{dtype}' is not supported", UnsupportedError)

    @pytest.mark.parametrize("kind", ["sparse", "ragged"])
    def test_kind_of_input(self, kind: str, folder: Path, tmp_path: Path) -> None:
        path = reconfigured(
            folder, tmp_path / "m.keras", lambda c: layer(c, "x")["config"].update({kind: True})
        )
        refuse(path, f"InputLayer x: {kind} inputs are not supported", UnsupportedError)

    def test_rank(self, folder: Path, tmp_path: Path) -> None:
        shape = [None, 4]
        path = reconfigured(
            folder,
            tmp_path / "m.keras",
            lambda c: layer(c, "x")["config"].update(batch_shape=shape),
        )
        refuse(path, "LSTM rnn: ", ShapeError)

    def test_cycle(self, tmp_path: Path) -> None:
        def relu(name: str, source: str) -> dict[str, Any]:
            return {
                "class_name": "ReLU",
                "config": {"name": name},
                "name": name,
                "inbound_nodes": [[[source, 0, 0, {}]]],
            }

        entry = {
            "class_name": "InputLayer",
            "config": {"name": "x", "batch_shape": [None, 2]},
            "name": "x",
            "inbound_nodes": [],
        }
        config = {
            "name": "m",
            "layers": [entry, relu("a", "b"), relu("b", "a")],
            "input_layers": [["x", 0, 0]],
            "output_layers": [["b", 0, 0]],
        }
        path = tmp_path / "m.json"
        path.write_text(
            json.dumps({"class_name": "Model", "config": config, "keras_version": "2.1.0"})
        )
        refuse(path, "Model m: the graph has a cycle through 'b'")


def damaged(data: bytes) -> Iterator[bytes]:
    """The file with bytes changed at many places."""
    rng = np.random.default_rng(0)
    for _ in range(60):
        changed = bytearray(data)
        for at in rng.integers(0, len(data), 8):
            changed[at] = rng.integers(0, 256)
        yield bytes(changed)


def test_random_damage(folder: Path, tmp_path: Path) -> None:
    """A damaged HDF5 file is read or refused, never anything else."""
    path = tmp_path / "model.h5"
    for data in damaged((folder / "model.h5").read_bytes()):
        path.write_bytes(data)
        with contextlib.suppress(ModelFormatError, ShapeError, UnsupportedError):
            load(path)


def test_zip_header_lies(folder: Path, tmp_path: Path) -> None:
    """Sizes in the directory that the data does not have."""
    data = bytearray((folder / "model.keras").read_bytes())
    at = data.rindex(b"PK\x01\x02")
    data[at + 24 : at + 28] = struct.pack("<I", 1 << 30)
    path = tmp_path / "model.keras"
    path.write_bytes(data)
    refuse(path, "archive|bomb|HDF5")
