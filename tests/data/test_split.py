"""Seeded choices: exact sizes, shares kept, and independent of what else is there."""

from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st

from foveate.data.split import shuffled, split_places, stratified

LABELS = st.lists(st.integers(0, 5), min_size=1, max_size=80)


@settings(deadline=None, max_examples=300)
@given(labels=LABELS, limit=st.integers(1, 100), seed=st.integers(0, 9))
def test_a_limit_is_met_exactly_and_keeps_the_shares(labels, limit, seed):
    names = [str(place) for place in range(len(labels))]
    chosen = stratified(labels, names, limit, seed)
    assert chosen == sorted(set(chosen)) and len(chosen) == min(limit, len(labels))
    got, all_of = Counter(labels[place] for place in chosen), Counter(labels)
    if limit >= len(all_of):
        assert set(got) == set(all_of)
    for label, total in all_of.items():
        share = len(chosen) * total / len(labels)
        # The floor of one image a class takes from the large classes, one each at most per class.
        assert share - len(all_of) <= got[label] <= max(1, share + 1)
    assert stratified(labels, names, limit, seed) == chosen


def test_no_class_loses_its_only_image_to_the_rounding():
    labels = [0, 0, 0, 1, 2]
    chosen = stratified(labels, list("abcde"), 3, seed=0)
    assert sorted(labels[place] for place in chosen) == [0, 1, 2]


def test_equal_classes_get_equal_parts():
    labels = [place % 10 for place in range(1000)]
    names = [str(place) for place in range(1000)]
    chosen = stratified(labels, names, 250, seed=0)
    assert set(Counter(labels[place] for place in chosen).values()) == {25}
    assert chosen != stratified(labels, names, 250, seed=1)


@settings(deadline=None)
@given(labels=LABELS, seed=st.integers(0, 9))
def test_train_and_val_part_everything(labels, seed):
    names = [f"img{place}" for place in range(len(labels))]
    train, val = split_places(labels, names, seed)
    assert sorted(train + val) == list(range(len(labels)))
    held = Counter(labels[place] for place in val)
    for label, total in Counter(labels).items():
        assert held[label] == (max(1, round(0.2 * total)) if total > 1 else 0)


def test_the_order_of_names_does_not_depend_on_the_others():
    names = [f"img{place}.png" for place in range(50)]
    order = [names[place] for place in shuffled(names, seed=5)]
    fewer = names[10:]
    assert [fewer[p] for p in shuffled(fewer, seed=5)] == [n for n in order if n in fewer]
    assert order != names and order != [names[p] for p in shuffled(names, seed=6)]
