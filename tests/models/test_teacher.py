"""The teacher interface on randomly initialised models of the real architectures and on a small one of ours."""

from pathlib import Path

import numpy as np
import pytest
import torch

from askscan.errors import WeightsError
from askscan.models.teacher import Teacher


def write_clip(folder: Path, tokenizer_files: Path) -> Path:
    """A small random CLIP with the real tokenizer."""
    import shutil

    from transformers import CLIPConfig, CLIPModel

    for file in tokenizer_files.iterdir():
        shutil.copy(file, folder / file.name)
    torch.manual_seed(0)
    tower = {"hidden_size": 32, "intermediate_size": 64, "num_attention_heads": 2}
    ids = {"vocab_size": 49408, "bos_token_id": 49406, "eos_token_id": 49407, "pad_token_id": 49407}
    config = CLIPConfig(
        text_config=tower | ids | {"num_hidden_layers": 2},
        vision_config=tower | {"num_hidden_layers": 1, "patch_size": 32},
        projection_dim=24,
    )
    CLIPModel(config).save_pretrained(folder)
    return folder


@pytest.fixture
def folder(tmp_path: Path, real_data: Path) -> Path:
    return write_clip(tmp_path, real_data / "clip_tokenizer")


def test_embeddings_do_not_depend_on_batch_mates(folder: Path) -> None:
    teacher = Teacher.load(folder)
    texts = ["a chair", "there is a brown wooden table next to the tall white bookshelf in the corner"]
    together = teacher.embed_texts(texts)
    assert together.shape == (2, 24) and teacher.embed_width == 24
    for i, text in enumerate(texts):
        torch.testing.assert_close(together[i : i + 1], teacher.embed_texts([text]), rtol=1e-5, atol=1e-5)


def test_tokens_end_with_the_pooled_token_and_long_texts_keep_it(folder: Path) -> None:
    teacher = Teacher.load(folder)
    tokens = teacher.encode_tokens(["a chair", "chair " * 300])
    assert tokens.features.shape == (2, 77, 32)
    assert tokens.mask.sum(1).tolist() == [4, 77]
    projected = teacher._model.text_projection(tokens.features[1, 76])
    torch.testing.assert_close(projected, teacher.embed_texts(["chair " * 300])[0], rtol=1e-5, atol=1e-5)


def test_images_change_embeddings(folder: Path) -> None:
    teacher = Teacher.load(folder)
    rng = np.random.default_rng(0)
    images = [rng.integers(0, 255, (224, 224, 3), dtype=np.uint8) for _ in range(2)]
    embedded = teacher.embed_images(images)
    assert embedded.shape == (2, 24)
    assert (embedded[0] - embedded[1]).abs().max() > 1e-4


def test_nothing_of_a_wide_picture_is_cropped_away(folder: Path) -> None:
    teacher = Teacher.load(folder)
    wide = np.random.default_rng(0).integers(0, 255, (210, 320, 3), dtype=np.uint8)
    other = wide.copy()
    other[:, :40] = 255  # beyond the centre crop
    embedded = teacher.embed_images([wide, other, np.pad(wide, [(55, 55), (0, 0), (0, 0)], mode="edge")])
    assert (embedded[0] - embedded[1]).abs().max() > 1e-4
    torch.testing.assert_close(embedded[0], embedded[2])


def test_identity_follows_the_content(folder: Path) -> None:
    before = Teacher.load(folder).identity
    assert Teacher.load(folder).identity == before
    weights = folder / "model.safetensors"
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(bytes(content))
    assert Teacher.load(folder).identity != before


def test_missing_tokenizer_is_refused(folder: Path) -> None:
    for name in ("vocab.json", "merges.txt", "tokenizer.json"):
        (folder / name).unlink()
    with pytest.raises(WeightsError, match=r"tokenizer|cannot be read"):
        Teacher.load(folder)


def test_unknown_name_is_refused() -> None:
    with pytest.raises(WeightsError, match="no/such-teacher"):
        Teacher.load("no/such-teacher")


def test_a_language_model_is_no_teacher(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"model_type": "bert"}')
    with pytest.raises(WeightsError, match=r"bert.*CLIP-like"):
        Teacher.load(tmp_path)
