"""Valid files made wrong: by bytes, by words, and by the structure of what they say."""

import copy
import json
import re

from hypothesis import strategies as st

DEEP = json.loads("[" * 40 + "]" * 40)
ODD = [
    *(None, True, False, 0, 1, -1, 2, 3.5, 1e300, float("nan"), float("inf"), -float("inf")),
    *(2**31, -(2**31), 2**63, 10**9, 10**18, 10**400, "", "a", "0", "12", "\ud800", "a\0b"),
    *("../../a.png", "/dev/zero", "\N{SUPERSCRIPT TWO}", "x" * 3000, [], {}, [[]], {"": None}),
    *([0, 0, 1, 1], [1, "a", None, {}], {"id": 1}, DEEP),
]
"""Values that a file of another hand may have in place of a sound one."""

WORDS = [
    *(b"", b"0", b"-1", b"1e999", b"nan", b"inf", b"99999999999999999999", b"9" * 5000, b"\0"),
    *(b'"', b"'", b"<", b">", b"&a;", b"[", b"]" * 3, b"[" * 5000, b"{", b"}", b",", b"\n", b"\r"),
    *(b"\xff\xfe", b"\xc2", b"\xef\xbb\xbf", b"\xc2\xb2", b"true", b"none", b"../../etc"),
    *(b"x" * 140000, b"=", b"1970-01-01", b"0x10", b"1_0", b"/dev/zero"),
]  # fmt: skip
"""The same for the words of a text."""


@st.composite
def damaged(draw, content, text=False):
    """Draw a damaged version of a file: cut, flipped bits, spans lost, repeated or overwritten."""
    made = bytearray(content)
    deeds = ["cut", "flip", "flip", "overwrite", "lose", "repeat", "insert"] + ["word"] * 4 * text
    for _ in range(draw(st.integers(1, 3))):
        if not made:
            break
        deed, place = draw(st.sampled_from(deeds)), draw(st.integers(0, len(made) - 1))
        span = draw(st.sampled_from([1, 1, 2, 4, 8, 64, 512]))
        if deed == "cut":
            del made[place:]
        elif deed == "flip":
            made[place] ^= 1 << draw(st.integers(0, 7))
        elif deed == "overwrite":
            made[place : place + span] = draw(st.sampled_from([b"\0", b"\xff", b"\x7f"])) * span
        elif deed == "lose":
            del made[place : place + span]
        elif deed == "repeat":
            made[place:place] = made[place : place + span]
        elif deed == "insert":
            made[place:place] = draw(st.binary(min_size=1, max_size=8))
        else:
            found = list(re.finditer(rb"[\w.+-]+|[^\w\s]", bytes(made)))
            if found:
                start, end = found[place % len(found)].span()
                made[start:end] = WORDS[draw(st.integers(0, len(WORDS) - 1))]
    return bytes(made)


@st.composite
def changed(draw, tree):
    """Draw a tree in which some values are others, gone, renamed, or put twice."""
    tree = copy.deepcopy(tree)
    for _ in range(draw(st.integers(1, 3))):
        tree = _change(draw, tree)
    return tree


def _change(draw, tree):
    node, home, key = tree, None, None
    for _ in range(draw(st.integers(0, 8))):
        if not (isinstance(node, dict | list) and node):
            break
        home = node
        key = draw(st.sampled_from(list(node))) if isinstance(node, dict) else None
        key = draw(st.integers(0, len(node) - 1)) if key is None else key
        node = home[key]
    deed = draw(st.sampled_from(["other", "other", "other", "gone", "renamed", "twice"]))
    if home is None:
        return _odd(draw) if deed == "other" else tree
    if deed == "other":
        home[key] = _odd(draw)
    elif deed == "gone":
        del home[key]
    elif deed == "renamed" and isinstance(home, dict):
        home[draw(st.sampled_from(["", "a", "id", f"{key}s"]))] = home.pop(key)
    elif isinstance(home, list):
        home.insert(draw(st.integers(0, len(home))), copy.deepcopy(node))
    return tree


def _odd(draw):
    """Draw an odd value, which nothing else holds."""
    return copy.deepcopy(ODD[draw(st.integers(0, len(ODD) - 1))])


def chosen(*contents):
    """Return a strategy of these contents; it shows as their number, for they may be long."""
    return st.integers(0, len(contents) - 1).map(lambda place: contents[place])


def json_files(tree, limit=1 << 20):
    """Return a strategy of JSON files: a tree changed, or the bytes of a sound one damaged."""
    sound = json.dumps(tree).encode()
    return (
        changed(tree).map(lambda made: json.dumps(made).encode()[:limit])
        | damaged(sound, text=True)
        | chosen(b"[" * 100000, b'{"a":' * 100000, b"\xff" + sound, b"", b"\xef\xbb\xbf" + sound)
    )
