"""Class names and prompts in the form the detector was trained on."""

import pytest

from foveate.explain.regions.words import check_prompt, names_of, write_prompt


@pytest.mark.parametrize(
    ("name", "names"),
    [
        ("Cat", ["cat"]),
        ("golden_retriever", ["golden retriever"]),
        ("St._Bernard", ["st bernard"]),
        ("tabby, Tabby cat; Tabby", ["tabby", "tabby cat"]),
        ("jack-o'-lantern", ["jack-o'-lantern"]),
        ("crane (bird)", ["crane bird"]),
        ("Müller Ärger", ["müller ärger"]),
        ("a/b:c!", ["a b c"]),
        ("...", []),
        ("n99999999", []),
    ],
)
def test_names_lose_what_a_detector_cannot_read(name, names):
    assert names_of(name) == names


def test_imagenet_ids_are_looked_up():
    assert names_of("n02123045") == ["tabby", "tabby cat"]


@pytest.mark.parametrize(
    ("prompt", "name", "text"),
    [
        ("{class}", "Cat", "cat."),
        ("A {class}.", "big_dog", "a big dog."),
        ("a {class}. collar", "pug, mops", "a pug. a mops. collar."),
        ("dog. Dog.  dog .", None, "dog."),
        ("{class} on a {class}", "cat", "cat on a cat."),
        ("{class}", None, None),
        ("{class}. dog", "?", None),
        ("dog", "cat", "dog."),
    ],
)
def test_prompts_are_phrases_in_lower_case_that_end_in_dots(prompt, name, text):
    assert write_prompt(check_prompt("x", prompt), name) == text


@pytest.mark.parametrize("prompt", ["", " . ", "a {clas}", "{}", "{class", 3, None])
def test_prompts_that_ask_for_nothing_are_refused(prompt):
    with pytest.raises(ValueError, match="GroundedSam expects a prompt such as"):
        check_prompt("GroundedSam", prompt)
