"""One finished study for every test of the report."""

import pytest
from tests_report_tools import write_study


@pytest.fixture
def study(tmp_path):
    return write_study(tmp_path / "study")
