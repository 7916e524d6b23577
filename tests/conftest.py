"""Shape annotations are checked at run time in every test, and the Triton interpreter is on where there is no GPU."""

import os

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

from pathlib import Path

import pytest
import torch
from jaxtyping import install_import_hook

if not torch.cuda.is_available():
    os.environ.setdefault("TRITON_INTERPRET", "1")

install_import_hook("askscan", "beartype.beartype")

DATA = Path(os.environ.get("ASKSCAN_TEST_DATA", Path(__file__).parents[2] / "shared" / "data"))


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder with real annotations and scans; the test skips where it is absent."""
    if not DATA.is_dir():
        pytest.skip(f"no real data at {DATA} (set ASKSCAN_TEST_DATA)")
    return DATA


@pytest.fixture
def generator() -> torch.Generator:
    torch.manual_seed(0)  # initial weights draw from the global generator
    return torch.Generator().manual_seed(0)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if not torch.cuda.is_available():
        for item in items:
            if "gpu" in item.keywords:
                item.add_marker(pytest.mark.skip(reason="needs a CUDA device"))
