"""Class names in the words that a text-prompted detector understands."""

from __future__ import annotations

import re

from foveate.core import Words, expected, require

_WORDNET = re.compile(r"n\d{8}")
SLOT = "{class}"


def names_of(class_name: str) -> list[str]:
    """Return the names that a class goes by, in lower case and without punctuation.

    Underscores count as spaces, commas and semicolons part synonyms, and an ImageNet id is
    looked up.

    Raises:
        MissingExtraError: If an ImageNet id is to be looked up and timm is not installed.

    Example:
        >>> names_of("Saint_Bernard, St. Bernard")
        ['saint bernard', 'st bernard']
        >>> names_of("n01440764")
        ['tench', 'tinca tinca']
    """
    if _WORDNET.fullmatch(class_name):
        info = require("timm.data", "models", "naming ImageNet's classes").ImageNetInfo()
        try:
            class_name = str(info.label_name_to_description(class_name, detailed=False))
        except (KeyError, ValueError):
            return []
    parts = re.split(r"[,;]", class_name.replace("_", " ").lower())
    # A dot would end the phrase; other marks mean nothing to a detector.
    cleaned = [
        " ".join(re.sub(r"[^\w\s'-]", " ", re.sub(r"\.", "", part)).split()) for part in parts
    ]
    return [name for name in dict.fromkeys(cleaned) if name]


def check_prompt(who: str, prompt: str) -> str:
    """Return ``prompt`` if it asks for something.

    Raises:
        ValueError: If it is no text, empty, or has braces around another word.
    """
    rest = prompt.replace(SLOT, "x") if isinstance(prompt, str) else ""
    if not rest.strip(" .") or "{" in rest or "}" in rest:
        rule = f"a prompt such as 'a photo of a {SLOT}', phrases parted by dots"
        got = prompt if isinstance(prompt, str) else Words(type(prompt).__name__)
        raise ValueError(expected(who, rule, got))
    return prompt


def write_prompt(prompt: str, class_name: str | None) -> str | None:
    """Fill in the class in Grounding DINO's form: lower case, dots after phrases.

    Args:
        prompt: Phrases parted by dots; each that holds ``{class}`` is asked for each name of the
            class.
        class_name: The class, or None.

    Returns:
        The text; None where the prompt asks for the class and it has no name.

    Example:
        >>> write_prompt("a {class}. Collar", "tabby, tabby_cat")
        'a tabby. a tabby cat. collar.'
    """
    names = names_of(class_name) if class_name else []
    if SLOT in prompt and not names:
        return None
    phrases: list[str] = []
    for phrase in prompt.split("."):
        phrases += [phrase.replace(SLOT, name) for name in names] if SLOT in phrase else [phrase]
    cleaned = [" ".join(phrase.lower().split()) for phrase in phrases]
    return ". ".join(phrase for phrase in dict.fromkeys(cleaned) if phrase) + "."
