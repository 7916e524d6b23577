import dataclasses
from dataclasses import fields, is_dataclass, replace
from typing import Any

import pytest
import yaml

from askscan.errors import ConfigError
from askscan.plain import first_difference, from_plain, to_plain
from askscan.train.config import AnswerConfig, LoopConfig, PretrainConfig
from askscan.train.recipes import RECIPES, recipe


@pytest.mark.parametrize("name", RECIPES)
@pytest.mark.parametrize("stage", ["pretrain", "answers"])
def test_every_recipe_survives_yaml(name: str, stage: str):
    config = getattr(recipe(name), stage)
    text = yaml.safe_dump(to_plain(config))
    assert from_plain(type(config), yaml.safe_load(text)) == config


def test_published_hyper_parameters():
    paper = recipe("paper")
    assert paper.pretrain.inputs.num_points == 40_000
    assert paper.answers.inputs.num_points == 30_000
    assert paper.pretrain.augment is None
    assert paper.answers.augment is not None
    assert (paper.answers.augment.crop_min_points, paper.answers.augment.crop_tries) == (30_000, 200)
    assert (paper.pretrain.optim.learning_rate, paper.answers.optim.learning_rate) == (1e-4, 5e-4)
    assert paper.answers.optim.decay_epochs == (15, 23)
    assert (paper.pretrain.optim.clip_norm, paper.answers.optim.clip_norm) == (None, 1.0)
    for stage in (paper.pretrain, paper.answers):
        assert (stage.loop.num_epochs, stage.loop.scenes_per_step, stage.loop.texts_per_scene) == (50, 16, 1)
        assert not stage.inputs.color
    assert paper.pretrain.weights.alignment_share == 0.1
    assert paper.answers.weights.answer == 0.1
    fast = recipe("paper-fast")
    assert fast.answers.loop.texts_per_scene == fast.pretrain.loop.texts_per_scene == 8
    assert fast.answers.optim == paper.answers.optim


def test_recipes_for_use_see_colors_and_positions():
    for name in ("rooms", "tiny"):
        config = recipe(name).answers
        assert config.inputs.color
        assert config.model.scene.encoder.positions
        assert config.model.fusion.object_mask
        assert recipe(name).pretrain.model.scene == config.model.scene  # so that weights move over


def test_an_unknown_recipe_lists_the_known_ones():
    with pytest.raises(ConfigError, match=r"'nope'; known are paper, paper-fast, rooms, tiny"):
        recipe("nope")


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"lopp": {}}, "unknown field 'lopp'"),
        ({"loop": {"num_epochs": "many"}}, r"loop.num_epochs: expected int, got 'many'"),
        ({"loop": {"precision": "8"}}, "'8' is not one of"),
        ({"optim": {"decay_epochs": 3}}, "expected a list"),
        ({"loop": 5}, "expected the fields of LoopConfig"),
        ({"inputs": {"color": True}}, "inputs.color is True but the backbone's is False"),
        ({"model": {"contrastive": True}}, "contrastive"),
        ({"views": -1}, "views must be at least 0, not -1"),
        ({"views": 2, "weights": {"alignment": {"image": 0}}}, "views are pictures"),
    ],
)
def test_wrong_values_are_named(values: Any, message: str):
    with pytest.raises(ConfigError, match=message):
        from_plain(PretrainConfig, values)


@pytest.mark.parametrize("field", ["num_epochs", "scenes_per_step", "log_every", "num_steps"])
def test_counts_must_be_positive(field: str):
    with pytest.raises(ConfigError, match=field):
        replace(LoopConfig(), **{field: 0})


def test_the_first_difference_is_named():
    old, new = to_plain(AnswerConfig()), to_plain(AnswerConfig(question_only=True))
    assert first_difference(old, old) is None
    assert first_difference(old, new) == "question_only: False there, True asked for"


def test_every_field_is_documented():
    import inspect

    def check(record: Any) -> None:
        source = inspect.getsource(type(record))
        for field in fields(record):
            after = source.split(f"\n    {field.name}:", 1)[1]
            assert '"""' in after.split("\n    @")[0].split("\n", 3)[1] or '"""' in after[:400], field.name
            if is_dataclass(value := getattr(record, field.name)):
                check(value)

    for name in RECIPES:
        check(recipe(name).pretrain)
        check(recipe(name).answers)


def test_every_field_is_read_somewhere():
    """No dead options: each name occurs as an attribute in the package."""
    import re
    from pathlib import Path

    import askscan

    text = "\n".join(path.read_text() for path in Path(askscan.__file__).parent.rglob("*.py"))
    names: set[str] = set()

    def collect(cls: Any) -> None:
        for field in dataclasses.fields(cls):
            names.add(field.name)
            if is_dataclass(value := getattr(cls, field.name, None)):
                collect(value)

    for name in RECIPES:
        collect(recipe(name).pretrain)
        collect(recipe(name).answers)
    dead = {name for name in names if not re.search(rf"\.{name}\b", text)}
    assert not dead
