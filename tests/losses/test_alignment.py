from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from askscan.errors import ConfigError
from askscan.losses.alignment import (
    AlignmentTerms,
    AlignmentWeights,
    PretrainWeights,
    contrastive_alignment,
    cosine_alignment,
    info_nce,
)
from askscan.losses.detection import DetectionTerms


def cosine(a: Tensor, b: Tensor) -> float:
    return float((a @ b) / (a.norm() * b.norm()))


def test_cosine_matches_a_loop_and_skips_masked_texts(generator: torch.Generator) -> None:
    scene, texts = torch.randn(3, 8, generator=generator), torch.randn(3, 4, 8, generator=generator)
    mask = torch.tensor([[1, 1, 1, 1], [1, 0, 0, 0], [0, 1, 0, 1]]).bool()
    terms = cosine_alignment(scene, texts, mask, texts[:, :1], mask[:, :1])
    values = [1 - cosine(scene[i], texts[i, j]) for i in range(3) for j in range(4) if mask[i, j]]
    assert float(terms.text) == pytest.approx(sum(values) / 7, rel=1e-5)
    assert float(terms.image) == pytest.approx((values[0] + values[4]) / 2, rel=1e-5)


def slow_info_nce(scene: Tensor, texts: Tensor, mask: Tensor, index: list[int], temperature: float) -> float:
    losses = []
    real = [(i, j) for i in range(len(texts)) for j in range(texts.shape[1]) if mask[i, j]]
    for i, j in real:
        own = math.exp(cosine(scene[i], texts[i, j]) / temperature)
        others = [k for k in range(len(scene)) if index[k] != index[i]]
        scenes = sum(math.exp(cosine(scene[k], texts[i, j]) / temperature) for k in others)
        sentences = sum(math.exp(cosine(scene[i], texts[k, m]) / temperature) for k, m in real if k in others)
        losses.append((-math.log(own / (own + scenes)) - math.log(own / (own + sentences))) / 2)
    return sum(losses) / len(losses)


def test_info_nce_matches_a_loop(generator: torch.Generator) -> None:
    scene, texts = torch.randn(4, 8, generator=generator), torch.randn(4, 3, 8, generator=generator)
    mask = torch.rand(4, 3, generator=generator) < 0.7
    index = [0, 1, 0, 2]  # one scene occurs twice
    loss = info_nce(scene, texts, mask, torch.tensor(index), torch.tensor(math.log(0.2)))
    assert float(loss) == pytest.approx(slow_info_nce(scene, texts, mask, index, 0.2), rel=1e-4)


def test_own_sentences_are_no_negatives(generator: torch.Generator) -> None:
    scene, texts = torch.randn(2, 8, generator=generator), torch.randn(2, 1, 8, generator=generator)
    one, mask = torch.tensor(0.0), torch.ones(2, 3, dtype=torch.bool)
    single = info_nce(scene[:1], texts[:1].expand(1, 3, 8), mask[:1], torch.tensor([0]), one)
    assert float(single) == pytest.approx(0.0, abs=1e-6), "one scene alone has nobody to be told from"
    twice = info_nce(scene[[0, 0]], texts[[0, 0]], mask[:, :1], torch.tensor([5, 5]), one)
    assert float(twice) == pytest.approx(0.0, abs=1e-6)


def test_gradients_are_finite_with_one_scene(generator: torch.Generator) -> None:
    scene = torch.randn(1, 8, generator=generator, requires_grad=True)
    temperature = torch.tensor(-2.0, requires_grad=True)
    mask = torch.ones(1, 2, dtype=torch.bool)
    info_nce(scene, torch.randn(1, 2, 8, generator=generator), mask, torch.tensor([0]), temperature).backward()
    assert scene.grad is not None and bool(scene.grad.isfinite().all())
    assert temperature.grad is not None and bool(temperature.grad.isfinite())


def test_contrastive_terms_are_those_of_texts_and_images(generator: torch.Generator) -> None:
    scene, texts = torch.randn(3, 8, generator=generator), torch.randn(3, 2, 8, generator=generator)
    images, mask = torch.randn(3, 1, 8, generator=generator), torch.ones(3, 2, dtype=torch.bool)
    index, t = torch.arange(3), torch.tensor(-1.0)
    terms = contrastive_alignment(scene, texts, mask, images, mask[:, :1], scene_index=index, log_temperature=t)
    assert torch.equal(terms.text, info_nce(scene, texts, mask, index, t))
    assert torch.equal(terms.image, info_nce(scene, images, mask[:, :1], index, t))


def test_weights_are_shares() -> None:
    terms = AlignmentTerms(text=torch.tensor(1.0), image=torch.tensor(3.0))
    assert float(terms.total(AlignmentWeights())) == 2.0
    assert float(terms.total(AlignmentWeights(text=3.0, image=1.0))) == 1.5
    assert float(terms.total(AlignmentWeights(text=1.0, image=0.0))) == 1.0
    for bad in ({"text": 0.0, "image": 0.0}, {"text": -0.1, "image": 1.0}):
        with pytest.raises(ConfigError, match="alignment weights"):
            AlignmentWeights(**bad)


def test_total_of_pretraining() -> None:
    zero = torch.zeros(())
    detection = DetectionTerms(
        vote=torch.tensor(2.0), objectness=zero, center=zero, heading_class=zero,
        heading_residual=zero, size_class=zero, size_residual=zero, semantic=zero,
    )  # fmt: skip
    alignment = AlignmentTerms(text=torch.tensor(1.0), image=torch.tensor(1.0))
    assert float(PretrainWeights().total(detection, alignment)) == pytest.approx(10 * (2 + 0.1))
    changed = replace(PretrainWeights(), scale=1.0, alignment_share=0.5, detection_share=0.25)
    assert float(changed.total(detection, alignment)) == pytest.approx(0.5 + 0.5)
