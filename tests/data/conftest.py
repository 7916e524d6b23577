from pathlib import Path

import pytest
from tests.data.tiny import write_tiny_collection

from askscan.data.folder import DataFolder


@pytest.fixture
def tiny(tmp_path: Path) -> DataFolder:
    """A writable collection of three small scenes, two train and one val."""
    write_tiny_collection(tmp_path, 3)
    return DataFolder(tmp_path)


@pytest.fixture
def real_folder(real_data: Path, tmp_path: Path) -> DataFolder:
    """The real annotation files at their places in a data folder (links)."""
    (tmp_path / "scannet").mkdir()
    for place, target in (("qa", "scanqa"), ("sqa3d", "sqa3d"), ("scannet/meta_data", "scannet_meta")):
        (tmp_path / place).symlink_to((real_data / target).resolve(), target_is_directory=True)
    return DataFolder(tmp_path)
