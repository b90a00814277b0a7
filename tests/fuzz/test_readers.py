"""No damaged or foreign file breaks a reader: a sound answer or a documented error, nothing else.

`make fuzz` tries many more files.
"""

import catalog
import pytest
from harness import little_memory, try_reader
from hypothesis import HealthCheck, given, settings

QUICK = 12


SOUND = [name for name, one in sorted(catalog.READERS.items()) if one.sound is not None]


@pytest.mark.parametrize("name", SOUND)
def test_a_sound_file_is_read(name, tmp_path):
    one = catalog.READERS[name]
    one.read(one.sound, tmp_path)


@pytest.mark.parametrize("name", sorted(catalog.READERS))
def test_a_reader_answers_or_says_what_is_wrong(name, tmp_path_factory):
    one = catalog.READERS[name]

    @settings(
        max_examples=QUICK,
        deadline=None,
        database=None,
        derandomize=True,  # The same each time: what is new is for `make fuzz` to find.
        suppress_health_check=list(HealthCheck),
    )
    @given(one.strategy)
    def check(content):
        try_reader(one, content, tmp_path_factory.mktemp("fuzz"))

    with little_memory():
        check()
