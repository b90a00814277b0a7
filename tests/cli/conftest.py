"""Run the command line in this process."""

import pytest

from foveate.cli import main


@pytest.fixture
def foveate(capsys):
    """Run ``foveate WORDS``; returns the exit code, stdout and stderr."""

    def run(*words):
        with pytest.raises(SystemExit) as caught:
            main([str(word) for word in words])
        out = capsys.readouterr()
        return caught.value.code or 0, out.out, out.err

    return run
