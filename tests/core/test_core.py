"""Errors, checks and optional imports."""

import math

import pytest
import torch

from foveate.core import (
    MissingExtraError,
    Words,
    check_choice,
    check_feature_map,
    check_flag,
    check_positive_int,
    check_ratio,
    check_sides,
    expected,
    require,
    suggest,
)


def test_errors_have_one_form():
    assert expected("DAS", "channels >= 1", 0) == "DAS expects channels >= 1; got 0"
    assert expected("f", "a name", "x", "y") == "f expects a name; got 'x'; y"
    assert expected("f", "one", Words("two of them")) == "f expects one; got two of them"


def test_near_names_come_first():
    assert suggest("resnet_18", ["resnet18", "vgg"]).startswith("did you mean 'resnet18'?")
    assert suggest("zzz", ["b", "a"]) == "known: a, b"
    assert suggest("zzz", map(str, range(40)), limit=3) == "known: 0, 1, 10 and 37 more"


@pytest.mark.parametrize("value", [True, 1.0, "1", None])
def test_only_integers_count_as_integers(value):
    with pytest.raises(TypeError, match="integer n"):
        check_positive_int("f", "n", value)


@pytest.mark.parametrize("value", [0, -0.1, 1.01, math.inf, math.nan])
def test_ratios_lie_above_zero_and_up_to_one(value):
    with pytest.raises(ValueError, match=r"a in \(0, 1\]"):
        check_ratio("f", "a", value)
    assert check_ratio("f", "a", 1) == 1.0


@pytest.mark.parametrize("value", [0, 1, "no", None, 1.0])
def test_only_true_and_false_are_flags(value):
    with pytest.raises(TypeError, match=r"f expects True or False for b; got .* \("):
        check_flag("f", "b", value)
    assert check_flag("f", "b", True) is True and check_flag("f", "b", False) is False


def test_sides_are_a_sequence_of_positive_integers():
    assert check_sides("f", "s", [3, 1]) == (3, 1)
    for value in (5, (), [], "20", None):
        with pytest.raises(ValueError, match="f expects s as a sequence of sides; got"):
            check_sides("f", "s", value)
    with pytest.raises(ValueError, match="side in s >= 1; got 0"):
        check_sides("f", "s", (2, 0))
    with pytest.raises(TypeError, match="integer side in s"):
        check_sides("f", "s", (2.5,))


def test_choices_and_maps():
    check_choice("f", "c", "a", ("a", "b"))
    with pytest.raises(ValueError, match="known c"):
        check_choice("f", "c", "d", ("a", "b"))
    check_feature_map("f", torch.rand(1, 2, 3, 4), 2)
    with pytest.raises(TypeError, match="a tensor"):
        check_feature_map("f", [1], 2)


def test_a_missing_package_names_its_extra():
    with pytest.raises(MissingExtraError, match=r'f needs the package nonsuch; .*"foveate\[x\]"'):
        require("nonsuch.sub", "x", "f")
    assert require("json", "x", "f").loads("1") == 1
