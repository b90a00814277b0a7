"""Folders that somebody tampered with: one clear error, nothing run, nothing large allocated."""

import contextlib
import copy
import hashlib
import importlib
import json
import os
import pickle
import struct

import nets_of_others
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import foveate
from foveate.core.strict_json import LARGEST, plain, read_json
from foveate.models.ceiling import building

MODEL, WEIGHTS = "model.json", "model.safetensors"
DOCUMENTED = (ValueError, FileNotFoundError, ImportError)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The bytes of both files of a sound folder, with two insertions and a change of strides."""
    model = foveate.create_model(
        "resnet18", "gsop", host="last_stride_1", num_classes=4, width=0.125
    )
    foveate.insert_(model, "das", ["layer2"], start="identity", example=torch.zeros(1, 3, 64, 64))
    folder = foveate.save(model, tmp_path_factory.mktemp("whole"))
    return (folder / MODEL).read_bytes(), (folder / WEIGHTS).read_bytes()


@pytest.fixture
def folder(whole, tmp_path):
    """A sound folder of one's own."""
    (tmp_path / MODEL).write_bytes(whole[0])
    (tmp_path / WEIGHTS).write_bytes(whole[1])
    return tmp_path


def change(folder, edit):
    """Edit model.json."""
    tree = json.loads((folder / MODEL).read_text())
    edit(tree)
    (folder / MODEL).write_text(json.dumps(tree))


def refused(folder, words, kind=ValueError):
    with pytest.raises(kind, match=words) as caught:
        foveate.load(folder)
    assert len(str(caught.value)) < 3000


class Sentinel:
    """What leaves a file where it was unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (os.system, (f"touch {self.path}",))


def test_the_folder_is_sound_as_it_is(folder):
    assert len(foveate.surgery.inserted(foveate.load(folder))) == 5


@pytest.mark.parametrize("place", [3, 9, 200, -20000, -1])
def test_a_flipped_bit_of_the_weights_is_noticed(folder, place):
    content = bytearray((folder / WEIGHTS).read_bytes())
    content[place] ^= 1
    (folder / WEIGHTS).write_bytes(content)
    refused(folder, "safetensors")
    if place < 0:
        refused(folder, r"SHA-256 [0-9a-f]{64}; got '[0-9a-f]{64}'; .* is damaged")


def test_cut_and_empty_files_are_refused(folder, whole):
    for name, content in zip((MODEL, WEIGHTS), whole, strict=True):
        for length in (0, 1, 7, 8, 9, 100, len(content) // 2, len(content) - 1):
            (folder / name).write_bytes(content[:length])
            if content[:length].rstrip() == content.rstrip():
                continue
            refused(folder, f"load expects .*{name}|safetensors")
        (folder / name).write_bytes(content)
    (folder / WEIGHTS).write_bytes(whole[1] + b"more")
    refused(folder, "safetensors")
    (folder / WEIGHTS).unlink()
    refused(folder, "a folder with model.safetensors", FileNotFoundError)
    (folder / WEIGHTS).mkdir()
    refused(folder, "a folder with model.safetensors", FileNotFoundError)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[" * 100_000, "nested too deep"),
        ('{"a":' * 40 + "1" + "}" * 40, "nested deeper than 32"),
        ('{"format": 2, "format": 1}', "'format' twice"),
        ('{"format": NaN}', "NaN, which is no number"),
        ('{"format": -Infinity}', "Infinity, which is no number"),
        ('{"format": 1e999}', "too large"),
        ('{"format": ' + "9" * 5000 + "}", "5000 digits"),
        ('{"format": "' + "x" * 5000 + '"}', "a text of 5,000 characters"),
        (" " * (LARGEST + 1), "at most 4,194,304 bytes"),
        ("[]", "an object"),
        ("null", "an object"),
        ("{}", "'format' in model.json"),
        ('{"format": true}', "a whole number"),
        ('{"format": 3}', "format 1 or 2; got 3; update foveate"),
        ('{"format": 1}', "'model' in model.json"),
        ("\ufeff{}", "BOM"),
    ],
)
def test_json_that_is_no_model_is_refused(folder, text, words):
    (folder / MODEL).write_text(text)
    refused(folder, words)
    (folder / MODEL).write_bytes(b"\xff\xfe" + text[:50].encode("utf-16-le"))
    refused(folder, "a readable model.json")


def test_bombs_in_the_header_of_the_weights_are_refused(folder, whole):
    for length in (2**63 - 1, 2**64 - 1, 10**9, len(whole[1]) - 7):
        (folder / WEIGHTS).write_bytes(struct.pack("<Q", length) + whole[1][8:])
        refused(folder, "announce a header of")
    claims = {"a": {"dtype": "F32", "shape": [2**40], "data_offsets": [0, 2**42]}}
    deep = b'{"a":' + b"[" * 5000 + b"]" * 5000 + b"}"
    for header in (json.dumps(claims).encode(), deep, b"{}", b"nothing"):
        (folder / WEIGHTS).write_bytes(struct.pack("<Q", len(header)) + header)
        refused(folder, "safetensors")


def test_pickles_are_refused_by_name_and_never_read(folder, tmp_path):
    trap = tmp_path / "trap"
    for write in (torch.save, lambda one, path: path.write_bytes(pickle.dumps(one))):
        write(Sentinel(trap), folder / WEIGHTS)
        refused(folder, r"got a pickle, as torch\.save writes it, which can run code")
        (folder / MODEL).rename(folder / "kept")
        write(Sentinel(trap), folder / MODEL)
        refused(folder, "a readable model.json")
        (folder / "kept").rename(folder / MODEL)
    assert not trap.exists()


def test_names_and_links_do_not_lead_out_of_the_folder(folder, tmp_path_factory):
    outside = tmp_path_factory.mktemp("outside") / "secret.safetensors"
    outside.write_bytes((folder / WEIGHTS).read_bytes())
    way = os.path.relpath(outside, folder)
    names = (way, str(outside), "..", "", ".", "a/b.safetensors", "a\\b.safetensors", MODEL)
    for name in (*names, "C:x.safetensors", "x\0.safetensors", "~/x.safetensors"):
        change(folder, lambda tree, name=name: tree["weights"].update(file=name))
        refused(folder, "a bare name that ends in")
    change(folder, lambda tree: tree["weights"].update(file=WEIGHTS))
    foveate.load(folder)
    (folder / WEIGHTS).unlink()
    (folder / WEIGHTS).symlink_to(outside)
    refused(folder, "got a link to .*secret; copy the file itself".replace("secret", "secret.*"))
    (folder / WEIGHTS).unlink()
    (folder / "kept.safetensors").write_bytes(outside.read_bytes())
    (folder / WEIGHTS).symlink_to("kept.safetensors")
    foveate.load(folder)
    text = outside.with_name("other.json")
    (folder / MODEL).rename(text)
    (folder / MODEL).symlink_to(text)
    refused(folder, "got a link to")


def test_the_cache_of_the_hub_which_links_to_its_blobs_is_read(folder, tmp_path):
    blobs, snapshot = tmp_path / "m" / "blobs", tmp_path / "m" / "snapshots" / "abc"
    blobs.mkdir(parents=True)
    snapshot.mkdir(parents=True)
    for name in (MODEL, WEIGHTS):
        (folder / name).rename(blobs / f"{name}-blob")
        (snapshot / name).symlink_to(f"../../blobs/{name}-blob")
    foveate.load(snapshot)


IMPORTS = (
    "os:system",
    "builtins:exec",
    "subprocess:run",
    "nets_of_others:make_net",
    "antigravity:x",
)


@pytest.mark.parametrize("path", IMPORTS)
def test_an_import_path_is_not_even_imported_without_consent(folder, path, monkeypatch):
    real = importlib.import_module

    def imported(name, *_):
        assert name.startswith("foveate"), f"{name} was imported"
        return real(name)

    spec = {"import": path, "arguments": {"command": "true"}}
    change(folder, lambda tree: tree.update(model=spec))
    monkeypatch.setattr("importlib.import_module", imported)
    refused(folder, f"your consent to import '{path}'")


def test_a_network_that_was_handed_over_gives_no_consent(folder, tmp_path):
    """Nor does saving it again, though the folder names what makes it."""
    planted = tmp_path / "planted"
    spec = {"import": "os:system", "arguments": {"command": f"touch {planted}"}}
    change(folder, lambda tree: tree.update(model=spec))
    fresh = foveate.create_model("resnet18", num_classes=4, width=0.125)
    del fresh.foveate_spec
    for base in (copy.deepcopy(fresh), lambda command: copy.deepcopy(fresh)):
        model = foveate.load(folder, base=base)
        with contextlib.suppress(ValueError, ImportError):
            foveate.save(model, tmp_path / "again")
        assert not planted.exists()


def test_a_number_where_the_network_has_a_weight_is_refused(folder):
    from safetensors.torch import load_file, save_file

    weights = load_file(folder / WEIGHTS)
    weights["fc.weight"] = torch.zeros(weights["fc.weight"].shape, dtype=torch.int64)
    save_file(weights, folder / WEIGHTS)
    content = (folder / WEIGHTS).read_bytes()
    entry = {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    change(folder, lambda tree: tree["weights"].update(entry))
    refused(folder, r"fc\.weight")


def test_with_consent_it_must_be_called_and_return_a_network(folder):
    for path, words in (
        ("nets_of_others:not_a_net", "returns a torch.nn.Module; got str"),
        ("nets_of_others:NUMBER", "something to call"),
        ("nets_of_others:Plain.nothing", "nothing of that name"),
    ):
        change(folder, lambda tree, path=path: tree.update(model={"import": path, "arguments": {}}))
        with pytest.raises(DOCUMENTED, match=words):
            foveate.load(folder, trust=path)
    for path in ("os", "os.system", "os:system()", "../x:y", "", ":", "os:", "ös:x", "os:system\n"):
        change(folder, lambda tree, path=path: tree.update(model={"import": path, "arguments": {}}))
        with pytest.raises(ValueError, match="an import path such as"):
            foveate.load(folder, trust=path)
    assert nets_of_others.NUMBER == 7


@pytest.mark.parametrize(
    "values",
    [
        {"width": 1e9},
        {"width": 1e300},
        {"width": 300},
        {"num_classes": 10**12},
        {"num_classes": 10**17},
        {"num_classes": 2 * 10**6},
        {"in_chans": 10**9},
    ],
)
def test_what_asks_for_more_memory_than_the_weights_is_refused(folder, values, monkeypatch):
    made = []
    real = torch.empty
    monkeypatch.setattr(torch, "empty", lambda *a, **k: made.append(real(*a, **k)) or made[-1])
    change(folder, lambda tree: tree["model"].update(values))
    refused(folder, "a network for the .* numbers of its weights|builds a network")
    assert sum(one.numel() for one in made if not one.is_meta) < 2**27


def test_attentions_and_their_options_cannot_ask_for_it_either(folder):
    def widen(tree):
        for site in tree["insertions"][0]["sites"]:
            site["channels"] = 10**9

    change(folder, widen)
    refused(folder, "a network for the")


def test_lists_that_options_make_are_bounded_too(folder):
    """What is no tensor is not counted."""
    with pytest.raises(ValueError, match="paths <= 16"):
        foveate.create_attention("sk", 64, paths=10**11)


def test_the_ceiling_sees_every_way_to_make_a_tensor():
    large = 2**28
    ways = (
        lambda: torch.zeros(large),
        lambda: torch.randn(large),
        lambda: torch.arange(large),
        lambda: torch.zeros(1).new_empty(large),
        lambda: torch.zeros(1).repeat(large),
        lambda: torch.nn.Linear(2**14, 2**14),
        lambda: [torch.zeros(2**20) for _ in range(100)],
        lambda: torch.full((2**14, 2**14), 1.0),
    )
    for way in ways:
        with pytest.raises(ValueError, match="a network for the 10 numbers"), building(10, "load"):
            way()
    with building(2**20, "load"):
        torch.nn.Linear(2**10, 2**10)


def test_the_first_format_cannot_ask_for_a_download_or_more(folder, monkeypatch):
    spec = {
        **{"name": "resnet10t", "attention": None, "where": None, "start": "paper"},
        **{"num_classes": 4, "stem": "imagenet", "width": 0.25, "in_chans": 3, "sites": []},
    }

    def called(*_, **arguments):
        assert not arguments.get("pretrained")
        raise ValueError("reached")

    monkeypatch.setattr("foveate.models.store.create_model", called)
    for wrong, words in (
        ({"pretrained": True}, "known fields"),
        ({"options": {"pretrained": True}}, "options of an attention"),
        ({"options": {"example": 1}}, "options of an attention"),
        ({"example": [1, 3, 10**6, 10**6]}, "an example of at most"),
        ({"example": [1, 3, 1536, 1536]}, "an example of at most"),
        ({"sites": 3}, "a list of texts"),
        ({}, "reached"),
    ):
        first = {"format": 1, "model": {**spec, "options": {}, **wrong}}
        (folder / MODEL).write_text(json.dumps(first))
        if words != "options of an attention":
            refused(folder, words)
    monkeypatch.undo()
    first = {"format": 1, "model": {**spec, "options": {"pretrained": True}}}
    (folder / MODEL).write_text(json.dumps(first))
    refused(folder, "options of an attention")
    for name in ("hf-hub:someone/net", "local-dir:/tmp", "hf_hub:x.y", "resnet10t/../x"):
        change(
            folder, lambda tree, name=name: tree["model"].update(name=name, width=1.0, options={})
        )
        refused(folder, "a model of timm")


def places(tree, path=()):
    """Every place in a tree of JSON."""
    yield path
    if isinstance(tree, dict):
        for name in tree:
            yield from places(tree[name], (*path, name))
    elif isinstance(tree, list):
        for number in range(len(tree)):
            yield from places(tree[number], (*path, number))


SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(10**19), 10**19),
    st.floats(),
    st.text(max_size=12),
    st.sampled_from(
        ["", "layer1", "fc", "das", "se", "emca", "dcnv2", "foveate", "os:system", *IMPORTS]
    ),
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3)
    ),
    max_leaves=6,
)


@settings(
    max_examples=40,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(data=st.data())
def test_any_change_of_the_json_is_loaded_or_one_documented_error(folder, whole, data):
    check_fuzzed(folder, whole, data)


@pytest.mark.slow
@settings(
    max_examples=600,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(data=st.data())
def test_very_many_changes_are(folder, whole, data):
    check_fuzzed(folder, whole, data)


def check_fuzzed(folder, whole, data):
    tree = json.loads(whole[0])
    for _ in range(data.draw(st.integers(1, 2))):
        path = data.draw(st.sampled_from(sorted(places(tree), key=str)))
        at, kind = tree, data.draw(st.sampled_from(["put", "drop", "copy"]))
        for part in path[:-1]:
            at = at[part]
        if not path:
            tree = data.draw(VALUES)
        elif kind == "drop":
            del at[path[-1]]
        elif kind == "copy" and isinstance(at, list):
            at.append(copy.deepcopy(at[path[-1]]))
        else:
            at[path[-1]] = data.draw(VALUES)
    (folder / MODEL).write_text(json.dumps(tree))
    (folder / WEIGHTS).write_bytes(whole[1])
    with contextlib.suppress(DOCUMENTED):
        foveate.load(folder)


@settings(
    max_examples=40,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(data=st.data())
def test_any_change_of_the_bytes_is_one_documented_error(folder, whole, data):
    name = data.draw(st.sampled_from([MODEL, WEIGHTS]))
    content = bytearray(whole[(MODEL, WEIGHTS).index(name)])
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, min(len(content) - 1, 3000)))
        content[place] ^= data.draw(st.integers(1, 255))
    for other, sound in zip((MODEL, WEIGHTS), whole, strict=True):
        (folder / other).write_bytes(content if other == name else sound)
    try:
        foveate.load(folder)
    except DOCUMENTED:
        pass
    else:
        assert name == MODEL  # a name or a version may change its letters


def test_what_json_does_not_hold_is_refused():
    assert plain({"a": (1, [2.5, None])}, "save") == {"a": [1, [2.5, None]]}
    for value in (float("nan"), {1: 2}, {"a": torch.nn.ReLU}, b"", {1, 2}):
        with pytest.raises(TypeError, match="texts, finite numbers"):
            plain(value, "save")


def test_read_json_reads_what_is_sound(tmp_path):
    (tmp_path / "x.json").write_text('{"a": [1, -2.5e3, "\\u00e9", null, true]}')
    assert read_json(tmp_path / "x.json", "test") == {"a": [1, -2500.0, "é", None, True]}
