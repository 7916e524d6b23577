"""Training of the default teacher: a small CLIP on top-down pictures and sentences of a collection.

CLIP (Radford et al., ICML 2021): two towers, a symmetric contrastive loss with a learned temperature. Texts are single
sentences, several sentences of one scene in a row, and questions followed by their answers, so that the text tower
knows the words of questions as well.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from numpy import ndarray
from torch import Tensor
from torch.nn import functional as F

from askscan.errors import ConfigError, DataError
from askscan.files import claim, replacing
from askscan.plain import to_plain

SPECIAL_TOKENS = ("<pad>", "<unk>", "<start>", "<end>")
MAX_TOKENS = 77
"""Positions of the text tower, as CLIP's."""
_SCALES = (0.85, 1.1)
"""Sides of the part of a picture that is shown in training."""
_SHIFT = 0.08
"""How far its middle lies from the picture's at most, in half pictures."""
_MANIFEST, _STATE = "training.json", "last.pt"
"""What a teacher was trained on and how; where an unfinished training stands."""
_SAVE_EVERY_S = 20.0


@dataclass(frozen=True, slots=True, kw_only=True)
class TeacherConfig:
    """Size and training of the small CLIP. The defaults give weights below 8 MB in 16 bits."""

    vocab_size: int = 1536
    """Byte-pair tokens, special ones included."""
    text_width: int = 192
    text_layers: int = 3
    vision_width: int = 192
    vision_layers: int = 4
    image_size: int = 192
    """Side of the square picture, pixels."""
    patch_size: int = 16
    embed_width: int = 192
    """Channels of the shared space."""
    steps: int = 6000
    batch_size: int = 128
    """Pictures a step."""
    texts_per_picture: int = 4
    learning_rate: float = 1e-3
    weight_decay: float = 0.05
    warmup_steps: int = 300
    seed: int = 0

    def __post_init__(self) -> None:
        """Check what would fail late."""
        for name in (field.name for field in fields(self)):
            if name not in ("learning_rate", "weight_decay", "warmup_steps", "seed") and getattr(self, name) < 1:
                raise ConfigError(f"{name} must be at least 1, not {getattr(self, name)}.")
        if self.learning_rate <= 0 or min(self.weight_decay, self.warmup_steps, self.seed) < 0:
            raise ConfigError("learning_rate must be > 0; weight_decay, warmup_steps and seed must be >= 0.")
        if self.image_size % self.patch_size:
            raise ConfigError(f"image_size {self.image_size} is no multiple of patch_size {self.patch_size}.")
        if self.text_width % 64 or self.vision_width % 64:
            raise ConfigError("text_width and vision_width must be multiples of 64 (the width of a head).")


@dataclass(frozen=True, slots=True, kw_only=True)
class PictureTexts:
    """What the teacher learns from: one picture and its texts per scene."""

    images: tuple[np.ndarray, ...]
    """(h, w, 3) uint8, square."""
    sentences: tuple[tuple[str, ...], ...]
    """Per scene, at least one."""
    questions: tuple[tuple[str, ...], ...]
    """Per scene: question and answer as one text; may be empty."""


def build_tokenizer(texts: Iterator[str], vocab_size: int) -> Any:
    """Train a lower-case byte-level BPE tokenizer in Hugging Face format."""
    from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
    from transformers import PreTrainedTokenizerFast

    pad, unknown, start, end = SPECIAL_TOKENS
    tokenizer = Tokenizer(models.BPE(unk_token=unknown))
    tokenizer.normalizer = normalizers.Sequence([normalizers.NFKC(), normalizers.Lowercase()])
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        special_tokens=list(SPECIAL_TOKENS),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    ids = [(token, tokenizer.token_to_id(token)) for token in (start, end)]
    tokenizer.post_processor = processors.TemplateProcessing(single=f"{start} $A {end}", special_tokens=ids)
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token=pad,
        unk_token=unknown,
        bos_token=start,
        eos_token=end,
        model_max_length=MAX_TOKENS,
    )


def build_clip(config: TeacherConfig, tokenizer: Any) -> Any:
    """A randomly initialised CLIPModel of the configured size."""
    from transformers import CLIPConfig, CLIPModel

    def tower(width: int, layers: int) -> dict[str, int]:
        heads = width // 64
        return {
            "hidden_size": width,
            "intermediate_size": 4 * width,
            "num_hidden_layers": layers,
            "num_attention_heads": heads,
            "projection_dim": config.embed_width,
        }

    text = tower(config.text_width, config.text_layers) | {
        "vocab_size": len(tokenizer),
        "max_position_embeddings": MAX_TOKENS,
        "bos_token_id": tokenizer.bos_token_id,
        "eos_token_id": tokenizer.eos_token_id,
        "pad_token_id": tokenizer.pad_token_id,
    }
    vision = tower(config.vision_width, config.vision_layers) | {
        "image_size": config.image_size,
        "patch_size": config.patch_size,
    }
    clip = CLIPConfig(text_config=text, vision_config=vision, projection_dim=config.embed_width)
    torch.manual_seed(config.seed)
    return CLIPModel(clip)


class TextSampler:
    """Random texts of scenes as token ids, from sentences and questions that were tokenized once."""

    def __init__(self, data: PictureTexts, tokenizer: Any, max_tokens: int) -> None:
        def encode(texts: Sequence[str]) -> list[list[int]]:
            return tokenizer(list(texts), add_special_tokens=False)["input_ids"] if texts else []

        self._sentences = [encode(texts) for texts in data.sentences]
        self._questions = [encode(texts) for texts in data.questions]
        self._start, self._end, self._pad = tokenizer.bos_token_id, tokenizer.eos_token_id, tokenizer.pad_token_id
        self._max_tokens = max_tokens

    def draw(self, scenes: Int[ndarray, "b"], num_texts: int, rng: np.random.Generator) -> Int[ndarray, "bq t"]:
        """`num_texts` texts of each scene, padded to the longest of all.

        A text is a question with its answer (1 in 4), or one to three sentences in a row.
        """
        texts = [self._one(int(scene), *draw) for scene in scenes for draw in rng.random((num_texts, 5))]
        ids = np.full((len(texts), max(map(len, texts))), self._pad, np.int64)
        for row, text in enumerate(texts):
            ids[row, : len(text)] = text
        return ids

    def _one(self, scene: int, kind: float, count: float, *picks: float) -> list[int]:
        sentences, questions = self._sentences[scene], self._questions[scene]
        if questions and kind < 0.25:
            tokens = questions[int(picks[0] * len(questions))]
        else:
            chosen = dict.fromkeys(int(pick * len(sentences)) for pick in picks[: 1 + int(3 * count)])
            tokens = [token for i in chosen for token in sentences[i]]
        return [self._start, *tokens[: self._max_tokens - 2], self._end]


def contrastive_loss(image: Tensor, texts: Tensor, scale: Tensor) -> Tensor:
    """Symmetric InfoNCE between b pictures (b d) and j texts of each (b j d), the mean over j."""
    image = F.normalize(image.float(), dim=-1)
    texts = F.normalize(texts.float(), dim=-1)
    target = torch.arange(len(image), device=image.device)
    losses = []
    for j in range(texts.shape[1]):
        logits = scale.exp().clamp(max=100.0) * image @ texts[:, j].T
        losses.append(0.5 * (F.cross_entropy(logits, target) + F.cross_entropy(logits.T, target)))
    return torch.stack(losses).mean()


def moved(pictures: Float[Tensor, "b c h w"], rng: np.random.Generator) -> Float[Tensor, "b c h w"]:
    """Square pictures, each quarter-turned, scaled and shifted at random.

    Sentences never name the sides of the picture, so a turn leaves them true; a mirror would not.
    """
    turn = rng.integers(4, size=len(pictures)) * (np.pi / 2)
    scale = rng.uniform(*_SCALES, len(pictures))
    shift = rng.uniform(-_SHIFT, _SHIFT, (len(pictures), 2))
    cos, sin = scale * np.cos(turn), scale * np.sin(turn)
    rows = [np.stack([cos, -sin, shift[:, 0]], 1), np.stack([sin, cos, shift[:, 1]], 1)]
    theta = torch.from_numpy(np.stack(rows, 1)).to(pictures.device, torch.float32)
    grid = F.affine_grid(theta, list(pictures.shape), align_corners=False)
    return F.grid_sample(pictures.float(), grid, padding_mode="border", align_corners=False)


def train_teacher(
    data: PictureTexts,
    out: Path,
    config: TeacherConfig,
    *,
    device: torch.device | str = "cpu",
    progress: Callable[[int, float], None] | None = None,
) -> bool:
    """Train a small CLIP and write it to `out` as a Hugging Face folder (16-bit weights).

    A training that was stopped goes on from where it stood up to 20 seconds before, which `out`.partial keeps.

    Args:
        data: Pictures and texts of the training scenes.
        out: A folder that does not exist yet, is empty, or holds the same teacher.
        config: Size and schedule.
        device: Where to train.
        progress: Called after every step with the step's number and the loss.

    Returns:
        Whether there was something to do: not if `out` holds this teacher already.

    Raises:
        ConfigError: `out` or `out`.partial holds something else; nothing in them was touched.
        DataError: What an earlier call left cannot be read.
    """
    from transformers import CLIPImageProcessorPil
    from transformers.utils.logging import disable_progress_bar

    about, partial = _about(data, config), out.with_name(out.name + ".partial")
    if _is_of(out, about):
        return False
    if out.exists() and any(out.iterdir()):
        raise ConfigError(f"{out}: is not empty and holds no teacher of these settings and texts; give a new folder.")
    claim(partial, _MANIFEST, about, what="unfinished training")
    processor = CLIPImageProcessorPil(
        size={"shortest_edge": config.image_size},
        crop_size={"height": config.image_size, "width": config.image_size},
    )
    every_text = [text for scene in (*data.sentences, *data.questions) for text in scene]
    tokenizer = build_tokenizer(iter(every_text), config.vocab_size)
    model = build_clip(config, tokenizer).to(device)
    images = processor(images=list(data.images), return_tensors="pt", input_data_format="channels_last")["pixel_values"]
    _optimise(model, tokenizer, images.to(device, torch.bfloat16), data, config, partial / _STATE, progress)

    disable_progress_bar()
    model.half().cpu().save_pretrained(partial)
    tokenizer.save_pretrained(partial)
    processor.save_pretrained(partial)
    (partial / _STATE).unlink(missing_ok=True)
    if out.exists():
        out.rmdir()
    os.replace(partial, out)
    return True


def _about(data: PictureTexts, config: TeacherConfig) -> dict[str, Any]:
    """Plain values that decide a teacher."""
    digest = hashlib.blake2b(repr((data.sentences, data.questions)).encode(), digest_size=8)
    for image in data.images:
        digest.update(image.tobytes())
    return {"config": to_plain(config), "data": digest.hexdigest()}


def _is_of(folder: Path, about: Mapping[str, Any]) -> bool:
    try:
        return bool(json.loads((folder / _MANIFEST).read_bytes()) == about)
    except (OSError, ValueError):
        return False


def _optimise(
    model: Any,
    tokenizer: Any,
    images: Tensor,
    data: PictureTexts,
    config: TeacherConfig,
    state: Path,
    progress: Callable[[int, float], None] | None,
) -> None:
    rng = np.random.default_rng(config.seed)
    decayed = [p for p in model.parameters() if p.ndim > 1]
    plain = [p for p in model.parameters() if p.ndim <= 1]
    groups = [{"params": decayed, "weight_decay": config.weight_decay}, {"params": plain, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=config.learning_rate, betas=(0.9, 0.98), fused=True)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: _warmup_cosine(step, config))
    batch_size = min(config.batch_size, len(images))
    texts = TextSampler(data, tokenizer, MAX_TOKENS)
    parts = {"model": model, "optimizer": optimizer, "schedule": schedule}
    first, saved_at = _resume(state, parts, rng), time.monotonic()
    model.train()
    for step in range(first, config.steps):
        scenes = rng.choice(len(images), batch_size, replace=False)
        ids = torch.from_numpy(texts.draw(scenes, config.texts_per_picture, rng)).to(images.device)
        pixels = moved(images[torch.from_numpy(scenes).to(images.device)], rng)
        with torch.autocast(images.device.type, torch.bfloat16, enabled=images.device.type == "cuda"):
            image = model.get_image_features(pixel_values=pixels.to(model.dtype)).pooler_output
            mask = (ids != tokenizer.pad_token_id).long()
            text = model.get_text_features(input_ids=ids, attention_mask=mask).pooler_output
        loss = contrastive_loss(image, text.unflatten(0, (batch_size, -1)), model.logit_scale)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        if progress is not None and (step % 5 == 4 or step + 1 == config.steps):
            progress(step + 1, float(loss.detach()))
        if time.monotonic() - saved_at > _SAVE_EVERY_S:
            with replacing(state) as temporary:
                standing = {name: part.state_dict() for name, part in parts.items()}
                torch.save(standing | {"rng": rng.bit_generator.state, "steps": step + 1}, temporary)
            saved_at = time.monotonic()
    model.eval()


def _resume(state: Path, parts: Mapping[str, Any], rng: np.random.Generator) -> int:
    """Bring everything to where an earlier call stopped; the steps that it did."""
    if not state.is_file():
        return 0
    try:
        saved = torch.load(state, map_location="cpu", weights_only=True)
        for name, part in parts.items():
            part.load_state_dict(saved[name])
        rng.bit_generator.state = saved["rng"]
        return int(saved["steps"])
    except Exception as error:  # damaged content raises a dozen types
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise DataError(f"{state}: cannot be read ({reason:.100}); delete it to start over.") from error


def _warmup_cosine(step: int, config: TeacherConfig) -> float:
    if step < config.warmup_steps:
        return (step + 1) / config.warmup_steps
    done = (step - config.warmup_steps) / max(1, config.steps - config.warmup_steps)
    return 0.5 * (1.0 + math.cos(math.pi * done))
