"""What is read is what was written, or the file is refused."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from askscan.models.tensor_file import load_tensors, save_tensors

TENSORS = {
    "w": torch.arange(12.0).reshape(3, 4).t(),
    "half": torch.ones(3, dtype=torch.bfloat16),
    "count": torch.tensor(3),
    "none": torch.zeros(0, 2),
    "mask": torch.tensor([True, False]),
}


def test_what_is_read_is_what_was_written(tmp_path: Path) -> None:
    checksum = save_tensors(tmp_path / "a.safetensors", TENSORS, {"step": "7"})
    file = load_tensors(tmp_path / "a.safetensors")
    assert (file.about, file.checksum) == ({"step": "7"}, checksum)
    assert file.tensors.keys() == TENSORS.keys()
    assert all(torch.equal(file.tensors[name], TENSORS[name]) for name in TENSORS)
    assert save_tensors(tmp_path / "a.safetensors", TENSORS, {"step": "8"}) != checksum


def test_every_flipped_bit_of_the_content_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    save_tensors(path, TENSORS, {"step": "7"})
    content = path.read_bytes()
    start = 8 + int.from_bytes(content[:8], "little")
    num_bits = 8 * sum(tensor.nbytes for tensor in TENSORS.values())
    for bit in range(num_bits):
        harmed = bytearray(content)
        harmed[start + bit // 8] ^= 1 << bit % 8
        path.write_bytes(harmed)
        with pytest.raises(ValueError, match="its checksum is that of other content"):
            load_tensors(path)
    path.write_bytes(content.replace(b'"7"', b'"6"'))
    with pytest.raises(ValueError, match="its checksum is that of other content"):
        load_tensors(path)


def test_files_of_other_programs_have_no_checksum(tmp_path: Path) -> None:
    save_file({"w": torch.ones(2)}, tmp_path / "a.safetensors", {"format": "pt"})
    file = load_tensors(tmp_path / "a.safetensors")
    assert (file.about, file.checksum) == ({"format": "pt"}, None)
    with pytest.raises(ValueError, match="no such file"):
        load_tensors(tmp_path / "b.safetensors")
