from pathlib import Path

import numpy as np
import pytest
import stand_ins
import torch
from PIL import Image

from askscan.errors import DataError
from askscan.train import embeddings
from askscan.train.embeddings import SENTENCE_PREFIX, EmbeddingCache


def test_texts_are_embedded_once(tmp_path: Path, teacher: stand_ins.StandInTeacher):
    texts = ["a red chair", "two beds", "a red chair"]
    first = EmbeddingCache(tmp_path, teacher).sentences(texts)
    assert teacher.num_texts == 2
    again = EmbeddingCache(tmp_path, teacher).sentences(["two beds", "a lamp"])
    assert teacher.num_texts == 3
    np.testing.assert_array_equal(first[0], first[2])
    np.testing.assert_array_equal(first[1], again[0])
    expected = teacher.embed_texts([SENTENCE_PREFIX + "a lamp"])[0]
    torch.testing.assert_close(torch.from_numpy(again[1]), expected)


def test_tokens_are_ragged_and_in_order(tmp_path: Path, teacher: stand_ins.StandInTeacher):
    texts = ["what is it", "where", "how many chairs are there"]
    for _ in range(2):
        tokens = EmbeddingCache(tmp_path, teacher).tokens(texts)
        assert tokens.count.tolist() == [3, 1, 5]
        assert tokens.features.dtype == np.float16
        expected = teacher.encode_tokens(["where"]).features[0].half()
        np.testing.assert_array_equal(tokens.features[3:4], expected.numpy())


def test_an_interrupted_pass_goes_on(tmp_path: Path, teacher: stand_ins.StandInTeacher, monkeypatch):
    monkeypatch.setitem(embeddings._BATCH, "sentences", 2)
    monkeypatch.setattr(embeddings, "_BATCHES_PER_SHARD", 1)
    texts = [f"text number {i}" for i in range(10)]

    def stop(done: int, total: int) -> None:
        if done >= 6:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        EmbeddingCache(tmp_path, teacher, stop).sentences(texts)
    teacher.num_texts = 0
    EmbeddingCache(tmp_path, teacher).sentences(texts)
    assert teacher.num_texts == 4


def test_another_teacher_has_its_own_cache(tmp_path: Path, teacher: stand_ins.StandInTeacher):
    EmbeddingCache(tmp_path, teacher).sentences(["a"])
    teacher.identity = "another"
    EmbeddingCache(tmp_path, teacher).sentences(["a"])
    assert teacher.num_texts == 2


def test_pictures_are_known_by_content(tmp_path: Path, teacher: stand_ins.StandInTeacher):
    paths = [tmp_path / f"{i}.png" for i in range(3)]
    for path, color in zip(paths, ("red", "blue", "red"), strict=True):
        Image.new("RGB", (4, 4), color).save(path)
    pictures = EmbeddingCache(tmp_path / "cache", teacher).pictures(paths)
    assert teacher.num_pictures == 2
    np.testing.assert_array_equal(pictures[0], pictures[2])
    assert not np.array_equal(pictures[0], pictures[1])
    with pytest.raises(DataError, match=r"none.png.*askscan render"):
        EmbeddingCache(tmp_path / "cache", teacher).pictures([tmp_path / "none.png"])
    (tmp_path / "bad.jpg").write_text("no picture")
    with pytest.raises(DataError, match=r"bad.jpg: not a picture"):
        EmbeddingCache(tmp_path / "cache", teacher).pictures([tmp_path / "bad.jpg"])


def test_a_damaged_shard_is_named(tmp_path: Path, teacher: stand_ins.StandInTeacher):
    cache = EmbeddingCache(tmp_path, teacher)
    cache.sentences(["a", "b"])
    (shard,) = (tmp_path / "stand-in").glob("sentences-*.safetensors")
    shard.write_bytes(shard.read_bytes()[:-4])
    with pytest.raises(DataError, match=r"sentences-.*damaged.*delete it"):
        cache.sentences(["a"])
