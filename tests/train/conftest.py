import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))  # stand_ins is also run as a script, in processes of its own

import stand_ins

from askscan.data.folder import DataFolder


@pytest.fixture(scope="session")
def data(tmp_path_factory: pytest.TempPathFactory) -> DataFolder:
    """A data folder with nine small prepared scenes, their texts and pictures."""
    return stand_ins.write_data(tmp_path_factory.mktemp("data"))


@pytest.fixture
def teacher() -> stand_ins.StandInTeacher:
    return stand_ins.StandInTeacher()
