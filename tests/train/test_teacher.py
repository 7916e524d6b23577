"""A few steps on made-up pictures: the loss falls, the folder loads, the right sentence is found."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from askscan.errors import ConfigError, DataError
from askscan.metrics.retrieval import cosine_similarity, recall_at
from askscan.models.teacher import Teacher
from askscan.train import teacher as teaching
from askscan.train.teacher import PictureTexts, TeacherConfig, build_tokenizer, contrastive_loss, moved, train_teacher

COLORS = {"red": (255, 0, 0), "green": (0, 255, 0), "blue": (0, 0, 255), "white": (255, 255, 255)}


def made_up() -> PictureTexts:
    rng = np.random.default_rng(0)
    images = [np.clip(rng.normal(rgb, 9, (32, 32, 3)), 0, 255).astype(np.uint8) for rgb in COLORS.values()]
    return PictureTexts(
        images=tuple(images),
        sentences=tuple((f"a {name} chair", f"there is a {name} table") for name in COLORS),
        questions=tuple((f"what color is the chair? {name}",) for name in COLORS),
    )


TINY = TeacherConfig(
    vocab_size=300, text_width=64, text_layers=1, vision_width=64, vision_layers=1, image_size=32, embed_width=16,
    steps=60, warmup_steps=5,
)  # fmt: skip


def test_learns_and_loads(tmp_path: Path) -> None:
    losses: list[float] = []
    train_teacher(made_up(), tmp_path / "teacher", TINY, progress=lambda step, loss: losses.append(loss))
    assert losses[-1] < 0.5 * losses[0]
    teacher = Teacher.load(tmp_path / "teacher")
    texts = teacher.embed_texts([f"a {name} chair" for name in COLORS])
    images = teacher.embed_images(made_up().images)
    assert recall_at(cosine_similarity(texts, images), torch.arange(4), ks=(1,))["R@1"] >= 75
    assert not (tmp_path / "teacher.partial").exists()
    assert not train_teacher(made_up(), tmp_path / "teacher", TINY)  # there is nothing to do
    for data, config in (
        (made_up(), replace(TINY, steps=61)),
        (replace(made_up(), images=made_up().images[::-1]), TINY),
    ):
        with pytest.raises(ConfigError, match="not empty"):
            train_teacher(data, tmp_path / "teacher", config)


def test_a_stopped_training_goes_on_as_if_it_had_not_been(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(teaching, "_SAVE_EVERY_S", -1.0)  # after every step
    assert train_teacher(made_up(), tmp_path / "whole", TINY)
    seen: list[int] = []

    def stop(step: int, loss: float) -> None:
        seen.append(step)
        if step == 40 and seen.count(40) == 1:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train_teacher(made_up(), tmp_path / "cut", TINY, progress=stop)
    assert not (tmp_path / "cut").exists()
    assert train_teacher(made_up(), tmp_path / "cut", TINY, progress=stop)
    assert seen == [*range(5, 41, 5), *range(40, 61, 5)]  # from step 39, the last one that was saved
    names = {path.name for path in (tmp_path / "cut").iterdir()}
    assert names == {path.name for path in (tmp_path / "whole").iterdir()} and "last.pt" not in names
    assert all((tmp_path / "cut" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes() for name in names)


def content(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_what_another_teacher_left_unfinished_is_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(teaching, "_SAVE_EVERY_S", -1.0)

    def stop(step: int, loss: float) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train_teacher(made_up(), tmp_path / "cut", TINY, progress=stop)
    before = content(tmp_path / "cut.partial")
    assert "last.pt" in before
    for data, config in (
        (made_up(), replace(TINY, seed=1)),
        (replace(made_up(), images=made_up().images[::-1]), TINY),
    ):
        with pytest.raises(ConfigError, match=r"cut\.partial: holds unfinished training of other.*give a new folder"):
            train_teacher(data, tmp_path / "cut", config)
        assert content(tmp_path / "cut.partial") == before
    assert not (tmp_path / "cut").exists()


def test_a_folder_of_the_users_that_is_called_partial_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "clip.partial").mkdir()
    (tmp_path / "clip.partial" / "thesis.txt").write_text("years of work")
    with pytest.raises(ConfigError, match=r"clip\.partial: is not empty and holds no unfinished training; give a new"):
        train_teacher(made_up(), tmp_path / "clip", TINY)
    assert content(tmp_path / "clip.partial") == {"thesis.txt": b"years of work"}


@pytest.mark.parametrize(
    "damaged",
    [
        [],
        {},
        {"model": 0},
        {"model": {}},  # torch says that in several lines
        {"model": ..., "optimizer": []},
        {"model": ..., "optimizer": ..., "schedule": 0},
        {"model": ..., "optimizer": ..., "schedule": ..., "rng": None},
        {"model": ..., "optimizer": ..., "schedule": ..., "rng": ..., "steps": None},
    ],
)
def test_a_damaged_state_is_one_sentence(damaged: object, tmp_path: Path) -> None:
    model = torch.nn.Linear(2, 2)
    optimizer = torch.optim.AdamW(model.parameters())
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 1.0)
    parts, rng = {"model": model, "optimizer": optimizer, "schedule": schedule}, np.random.default_rng(0)
    sound = {name: part.state_dict() for name, part in parts.items()} | {"rng": rng.bit_generator.state, "steps": 3}
    torch.save(sound, tmp_path / "last.pt")
    assert teaching._resume(tmp_path / "last.pt", parts, rng) == 3
    if isinstance(damaged, dict):
        damaged = {name: sound[name] if value is ... else value for name, value in damaged.items()}
    torch.save(damaged, tmp_path / "last.pt")
    with pytest.raises(DataError, match=r"last\.pt: cannot be read \(.+\); delete it to start over") as refused:
        teaching._resume(tmp_path / "last.pt", parts, rng)
    assert len(str(refused.value).splitlines()) == 1


@pytest.mark.parametrize("damage", [b"", b"PK", b"[]", b"\x80\x02]q\x00."])
def test_a_state_that_is_no_state_is_one_sentence(damage: bytes, tmp_path: Path) -> None:
    (tmp_path / "last.pt").write_bytes(damage)
    with pytest.raises(DataError, match=r"\A.*last\.pt: cannot be read \(.+\); delete it to start over\.\Z"):
        teaching._resume(tmp_path / "last.pt", {}, np.random.default_rng(0))


def test_tokenizer_knows_its_words_and_reads_any_text() -> None:
    tokenizer = build_tokenizer(iter(["a brown chair next to the desk"] * 9), 400)
    assert tokenizer.decode(tokenizer("Brown CHAIR")["input_ids"], skip_special_tokens=True).strip() == "brown chair"
    assert tokenizer.unk_token_id not in tokenizer("zebra ± 漢字 😀")["input_ids"]
    ids = tokenizer("chair " * 200, truncation=True, max_length=77)["input_ids"]
    assert len(ids) == 77 and ids[-1] == tokenizer.eos_token_id


def test_loss_is_the_log_of_the_batch_for_equal_embeddings() -> None:
    loss = contrastive_loss(torch.ones(8, 4), torch.ones(8, 2, 4), torch.tensor(0.0))
    assert abs(float(loss) - np.log(8)) < 1e-5


def test_pictures_are_turned_never_mirrored(monkeypatch: pytest.MonkeyPatch, generator: torch.Generator) -> None:
    pictures = torch.rand(16, 3, 8, 8, generator=generator)
    monkeypatch.setattr(teaching, "_SCALES", (1.0, 1.0))
    monkeypatch.setattr(teaching, "_SHIFT", 0.0)
    turns = []
    for before, after in zip(pictures, moved(pictures, np.random.default_rng(0)), strict=True):
        same = [torch.allclose(torch.rot90(before, k, (1, 2)), after, atol=1e-4) for k in range(4)]
        assert sum(same) == 1
        turns.append(same.index(True))
    assert set(turns) == {0, 1, 2, 3}


@pytest.mark.parametrize(
    "wrong",
    [{"batch_size": 0}, {"text_layers": 0}, {"steps": -1}, {"patch_size": 0}, {"learning_rate": 0.0}, {"seed": -1}],
)
def test_numbers_that_make_no_teacher_are_named(wrong: dict[str, float]) -> None:
    (name,) = wrong
    with pytest.raises(ConfigError, match=rf"{name}.* must be"):
        TeacherConfig(**wrong)
