"""Fifty thousand sentences and eight hundred pictures through a CLIP, killed on the way."""

import json
import os
import random
import signal
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tests.models.test_teacher import write_clip

from askscan.models.teacher import Teacher
from askscan.train.embeddings import EmbeddingCache

NUM_SENTENCES, NUM_PICTURES = 50_000, 800


def sentences(real_data: Path) -> list[str]:
    files = sorted((real_data / "scanqa").glob("*.json"))
    texts = [entry["question"] for file in files for entry in json.loads(file.read_text())]
    return [f"{texts[i % len(texts)]} ({i // len(texts)})" for i in range(NUM_SENTENCES)]


@pytest.mark.slow
def test_a_killed_pass_goes_on(tmp_path: Path, real_data: Path) -> None:
    (tmp_path / "clip").mkdir()
    teacher = Teacher.load(write_clip(tmp_path / "clip", real_data / "clip_tokenizer"))
    texts = sentences(real_data)
    rng = np.random.default_rng(0)
    pictures = [tmp_path / f"{i:03}.jpg" for i in range(NUM_PICTURES)]
    for path in pictures:
        Image.fromarray(rng.integers(0, 255, (32, 32, 3), dtype=np.uint8)).save(path)
    moments, kills = random.Random(0), 0
    while kills < 6:
        child = os.fork()
        if child == 0:
            cache = EmbeddingCache(tmp_path / "killed", teacher)
            cache.sentences(texts)
            cache.pictures(pictures)
            os._exit(0)
        time.sleep(moments.uniform(1.0, 6.0))
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        kills += 1
    done = len(list((tmp_path / "killed" / teacher.identity).glob("*.safetensors")))
    assert done > 0, "nothing was kept of six passes"
    progress: list[tuple[int, int]] = []
    killed = EmbeddingCache(tmp_path / "killed", teacher, lambda at, of: progress.append((at, of)))
    whole = EmbeddingCache(tmp_path / "whole", teacher)
    np.testing.assert_array_equal(killed.sentences(texts), whole.sentences(texts))
    assert not progress or progress[0][1] < NUM_SENTENCES  # it went on, it did not begin again
    np.testing.assert_array_equal(killed.pictures(pictures), whole.pictures(pictures))
