"""Archives and weights that mean harm, and damaged ones: all are refused, nothing is touched, memory stays small."""

from __future__ import annotations

import io
import json
import os
import stat
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

import kerasmagic as km
from kerasmagic.foundation.errors import KerasMagicError
from tests.saving.audit import Watch
from tests.saving.hostile import (
    MEGABYTE,
    Harmful,
    made,
    members_of,
    packed,
    peak,
    refused,
)

# ---- what an archive may not be


def link() -> zipfile.ZipInfo:
    info = zipfile.ZipInfo("model.weights.h5")
    info.create_system, info.external_attr = 3, (stat.S_IFLNK | 0o777) << 16
    return info


def backslash() -> zipfile.ZipInfo:
    info = zipfile.ZipInfo("x")
    info.filename = info.orig_filename = "..\\..\\harmed"
    return info


def without(members: dict[Any, bytes], name: str) -> dict[Any, bytes]:
    return {key: value for key, value in members.items() if key != name}


NPZ = io.BytesIO()
np.savez(NPZ, a=np.array([Harmful()], dtype=object))

ARCHIVES: dict[str, tuple[Callable[[dict[Any, bytes]], dict[Any, bytes]], str]] = {
    "a member above": (lambda m: {**m, "../../tmp/harmed": b"x"}, "leads out"),
    "a member above, further in": (lambda m: {**m, "assets/../../harmed": b"x"}, "leads out"),
    "an absolute member": (lambda m: {**m, "/tmp/harmed": b"x"}, "leads out"),
    "a member of Windows": (lambda m: {**m, "C:/harmed": b"x"}, "leads out"),
    "a member with backslashes": (lambda m: {**m, backslash(): b"x"}, "leads out"),
    "a link": (lambda m: {**without(m, "model.weights.h5"), link(): b"/etc/passwd"}, "is a link"),
    "a member twice": (lambda m: {**m, zipfile.ZipInfo("config.json"): b"{}"}, "is there twice"),
    "pickled weights": (
        lambda m: {**without(m, "model.weights.h5"), "model.weights.npz": NPZ.getvalue()},
        "has no model.weights.h5",
    ),
    "no config": (lambda m: without(m, "config.json"), "has no config.json"),
    "no weights": (lambda m: without(m, "model.weights.h5"), "has no model.weights.h5"),
    "weights that are none": (
        lambda m: {**m, "model.weights.h5": b"\x89HDF\r\n\x1a\n" + bytes(500)},
        "damaged",
    ),
    "weights that are nothing": (lambda m: {**m, "model.weights.h5": b""}, "damaged"),
}


@pytest.mark.parametrize("attack", ARCHIVES)
def test_an_archive_is_refused(genuine, tmp_path, attack):
    change, match = ARCHIVES[attack]
    path = packed(tmp_path / "m.keras", change(members_of(genuine / "m.keras")))
    refused(path, lambda: km.models.load_model(path), match)


@pytest.mark.parametrize("method", [zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
@pytest.mark.parametrize("member", ["config.json", "model.weights.h5"])
def test_a_bomb_is_refused(genuine, tmp_path, member, method):
    # Nothing, a hundred times a megabyte, in a few kilobytes; the test itself writes it bit by bit.
    members = members_of(genuine / "m.keras")
    path = tmp_path / "m.keras"
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, content in without(members, member).items():
            archive.writestr(name, content)
        with archive.open(member, "w") as file:
            for _ in range(100 if method == zipfile.ZIP_DEFLATED else 20):
                file.write(bytes(MEGABYTE))
    refused(path, lambda: km.models.load_model(path), "far more than|packed in a way|parts|damaged")


def test_a_bomb_that_lies_about_its_size_is_refused(genuine, tmp_path):
    members = members_of(genuine / "m.keras")
    path = packed(
        tmp_path / "m.keras", {**members, "model.weights.h5": bytes(200 * MEGABYTE)}, zipfile.ZIP_DEFLATED
    )
    content = path.read_bytes().replace(struct.pack("<L", 200 * MEGABYTE), struct.pack("<L", 5000))
    path.write_bytes(content)
    refused(path, lambda: km.models.load_model(path), "damaged|more than it declares")


def test_a_table_of_a_million_members_is_refused(tmp_path):
    path = tmp_path / "m.keras"
    entry = (
        struct.pack("<4s4B4HL2L5H2L", b"PK\1\2", 20, 3, 20, 0, *[0] * 4, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0) + b"x"
    )
    table = entry * 100_000
    end = struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, 10, 10, len(table), 0, 0)
    path.write_bytes(table + end)
    refused(path, lambda: km.models.load_model(path), "table of members")


# ---- what weights may not be

H5 = Callable[[Any], None]
KERNEL = "layers/dense/vars/0"


def instead(make: Callable[[Any, str], Any], at: str = KERNEL) -> H5:
    """Return a change that puts something else in the place of the first kernel, or of what stands ``at``."""

    def change(h5: Any) -> None:
        h5.move(at, "real")
        make(h5, at)

    return change


def assigned(value: Any) -> Callable[[Any, str], None]:
    def make(h5: Any, at: str) -> None:
        h5[at] = value

    return make


def dataset(**options: Any) -> Callable[[Any, str], None]:
    return lambda h5, at: h5.create_dataset(at, **{"shape": (4, 3), "dtype": "f4", **options})


def virtual(h5: Any, at: str) -> None:
    layout = h5py.VirtualLayout((4, 3), "f4")
    layout[:] = h5py.VirtualSource("/etc/passwd", "x", (4, 3))
    h5.create_virtual_dataset(at, layout)


def referenced(h5: Any, at: str) -> None:
    h5.create_dataset(at, (4, 3), dtype=h5py.ref_dtype)


def filtered(h5: Any, at: str) -> None:
    plist = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    plist.set_chunk((4, 3))
    plist.set_filter(32015, h5py.h5z.FLAG_OPTIONAL)
    space = h5py.h5s.create_simple((4, 3))
    h5py.h5d.create(h5.id, at.encode(), h5py.h5t.IEEE_F32LE, space, plist)


NO_LINK = "Refusing to follow a link"
WEIGHTS: dict[str, tuple[H5, str]] = {
    "values in another file": (instead(dataset(external=[("/etc/passwd", 0, 48)])), "outside the file"),
    "values of another dataset": (instead(virtual), "outside the file"),
    "a link to another file": (instead(assigned(h5py.ExternalLink("/etc/passwd", "/x"))), NO_LINK),
    "a link inside": (instead(assigned(h5py.SoftLink("/real"))), NO_LINK),
    "a link on the way": (instead(assigned(h5py.SoftLink("/real")), "layers/dense"), NO_LINK),
    "a link to another file on the way": (
        instead(assigned(h5py.ExternalLink("/tmp/other.h5", "/x")), "layers/dense/vars"),
        NO_LINK,
    ),
    "a link at the top": (instead(assigned(h5py.ExternalLink("/tmp/other.h5", "/x")), "layers"), NO_LINK),
    "a shape beyond all memory": (instead(dataset(shape=(10**7, 10**6), chunks=(1, 1))), "has shape"),
    "a shape of another layer": (instead(dataset(shape=(3, 4))), r"has shape \(4, 3\)"),
    "texts": (instead(dataset(dtype="S8")), "no numbers"),
    "texts of any length": (instead(dataset(dtype=h5py.string_dtype())), "no numbers"),
    "references": (instead(referenced), "no numbers"),
    "records": (instead(dataset(dtype=[("a", "f4")])), "no numbers"),
    "integers": (instead(dataset(dtype="i4")), "holds float32, but the file has int32"),
    "complex numbers": (instead(dataset(dtype="c8")), "no numbers"),
    "a filter that is a plugin": (instead(filtered), "filter"),
    "a group for a dataset": (instead(lambda h5, at: h5.create_group(at)), "is not in the file"),
    "a dataset for a group": (instead(assigned(np.ones(3)), "layers/dense/vars"), "no group"),
    "nothing": (instead(lambda h5, at: None, "layers/dense"), "expects 2 variables, but the file has 0"),
    "a group inside itself": (
        instead(lambda h5, at: h5.__setitem__(at, h5["layers"]), "layers/dense"),
        "expects 2 variables, but the file has 0",
    ),
}


@pytest.mark.parametrize("attack", WEIGHTS)
def test_weights_are_refused(genuine, tmp_path, attack):
    change, match = WEIGHTS[attack]
    path = tmp_path / "m.weights.h5"
    path.write_bytes((genuine / "m.weights.h5").read_bytes())
    with h5py.File(path, "r+") as file:
        change(file)
    model = made()
    before = model.get_weights()
    refused(path, lambda: model.load_weights(path), match)
    packed(tmp_path / "m.keras", {**members_of(genuine / "m.keras"), "model.weights.h5": path.read_bytes()})
    refused(tmp_path / "m.keras", lambda: km.models.load_model(tmp_path / "m.keras"), match)
    for a, b in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_tiny_file_for_a_huge_model_is_refused(genuine, tmp_path):
    # Model and file agree about the shape: it is the file that is too small to be true.
    for size in (2 * 10**9, 2**26):
        model = km.Sequential([km.Input((1,)), km.layers.Embedding(size, 1)])
        config = json.dumps(km.saving.serialize_keras_object(model)).encode()
        with h5py.File(tmp_path / "w.h5", "w") as file:
            file.create_dataset(
                "layers/embedding/vars/0", (size, 1), "f4", chunks=(2**16, 1), compression="gzip"
            )
        content = {"config.json": config, "model.weights.h5": (tmp_path / "w.h5").read_bytes()}
        path = packed(tmp_path / "m.keras", content)
        refused(path, lambda path=path: km.models.load_model(path), "exhaust the memory")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("layer_names", h5py.Empty("S10")),
        ("layer_names", 3),
        ("layer_names", np.array([b"../first", b"second"])),
        ("layer_names", np.array([b"first", b"/etc/passwd"])),
        ("layer_names", np.array([b"\xff\xfe", b"second"])),
        ("model_config", 3),
        ("model_config", np.array([b"a", b"b"])),
    ],
)
def test_attributes_of_the_wrong_kind_are_refused(genuine, tmp_path, name, value):
    path = tmp_path / "m.h5"
    path.write_bytes((genuine / "m.h5").read_bytes())
    with h5py.File(path, "r+") as file:
        place = file if name == "model_config" else file["model_weights"]
        del place.attrs[name]
        place.attrs[name] = value
    refused(
        path, lambda: km.models.load_model(path), "no text|damaged|no weights|layers with weights|no model"
    )


@pytest.mark.parametrize(
    "name",
    ["../m_00000.weights.h5", "/etc/passwd", "..\\x.weights.h5", "C:x.weights.h5", "x.weights.h5\0", 3, None],
)
def test_a_shard_elsewhere_is_refused(genuine, tmp_path, name):
    path = tmp_path / "m.weights.json"
    path.write_text(json.dumps({"metadata": {}, "weight_map": {"/layers/dense/vars": name}}))
    refused(path, lambda: made().load_weights(path), "no shard beside it")


def test_a_shard_that_is_a_link_is_refused(genuine, tmp_path):
    path = tmp_path / "m.weights.json"
    path.write_bytes((genuine / "m.weights.json").read_bytes())
    (tmp_path / "m_00000.weights.h5").symlink_to(genuine / "m_00000.weights.h5")
    refused(path, lambda: made().load_weights(path), "a link to another folder")
    # A cache that keeps both files elsewhere, side by side, is fine.
    path.unlink()
    path.symlink_to(genuine / "m.weights.json")
    made().load_weights(path)


def safetensors(**changes: Any) -> bytes:
    entry = {"dtype": "F32", "shape": [4, 3], "data_offsets": [0, 48], **changes}
    header = json.dumps({"layers/dense/vars/0": entry, "layers/dense/vars/1": entry}).encode()
    return struct.pack("<Q", len(header)) + header + bytes(48)


@pytest.mark.parametrize(
    ("content", "match"),
    [
        (b"", "no safetensors file"),
        (b"\xff" * 8 + b"{}", "no safetensors file"),
        (struct.pack("<Q", 2) + b"[]", "no object"),
        (safetensors(data_offsets=[0, 10**12]), "does not fit its place"),
        (safetensors(data_offsets=[-48, 0]), "impossible sizes"),
        (safetensors(data_offsets=[48, 0]), "does not fit its place"),
        (safetensors(shape=[10**9, 10**9]), "does not fit its place"),
        (safetensors(shape=[4.0, 3.0]), "impossible sizes"),
        (safetensors(shape=[True, 12]), "impossible sizes"),
        (safetensors(shape=[1] * 100), "impossible sizes"),
        (safetensors(dtype="O"), "unknown type"),
        (safetensors(dtype=["F32"]), "unknown type"),
        (safetensors(dtype="I32"), "holds float32, but the file has int32"),
    ],
)
def test_tensors_are_refused(tmp_path, content, match):
    path = tmp_path / "m.safetensors"
    path.write_bytes(content)
    refused(path, lambda: made().load_weights(path), match)


@pytest.mark.parametrize("name", ["m.keras", "m.h5", "m.weights.h5", "m.safetensors", "m.weights.json"])
def test_what_is_no_file_is_not_waited_for(tmp_path, name):
    load = made().load_weights if "weights" in name or "tensors" in name else km.models.load_model
    os.mkfifo(tmp_path / name)
    refused(tmp_path, lambda: load(tmp_path / name), "is no file")
    os.unlink(tmp_path / name)
    os.mkdir(tmp_path / name)
    refused(tmp_path, lambda: load(tmp_path / name), "is no file")


# ---- what is damaged

FILES = ["m.keras", "m.h5", "m.weights.h5", "m_00000.weights.h5", "m.safetensors", "m.weights.json"]


def loader(path: Path) -> Callable[[], Any]:
    if path.name == "m_00000.weights.h5":
        return lambda: made().load_weights(path.with_name("m.weights.json"))
    if path.suffix == ".keras" or path.name == "m.h5":
        return lambda: km.models.load_model(path)
    return lambda: made().load_weights(path)


@pytest.mark.parametrize("name", FILES)
def test_damaged_files_are_refused_or_read(genuine, tmp_path, name):
    """Whatever the damage, there is a model or a clear error, and nothing else is touched."""
    for other in os.listdir(genuine):
        (tmp_path / other).write_bytes((genuine / other).read_bytes())
    path, content = tmp_path / name, (genuine / name).read_bytes()
    rng = np.random.default_rng(FILES.index(name))
    before = peak(reset=True)
    refusals = 0
    for trial in range(60):
        broken = bytearray(content)
        if trial < 15:
            del broken[int(rng.integers(len(content))) :]
        else:
            for place in rng.integers(0, len(content), 1 + trial % 8):
                broken[place] ^= 1 << int(rng.integers(8))
        path.write_bytes(bytes(broken))
        with Watch(*(tmp_path / other for other in os.listdir(tmp_path))) as watch:
            try:
                loader(path)()
            except KerasMagicError:
                refusals += 1
        assert watch.touched == []
    assert refusals >= 15
    assert peak() - before < 100 * MEGABYTE
