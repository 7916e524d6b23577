"""The frozen teacher: any CLIP-like model in Hugging Face format, read by Hub name or folder.

The teacher gives embeddings of pictures and texts in one space (Radford et al., ICML 2021) and the per-token outputs of
its text tower. It is an argument of training and asking and never a part of a saved model; runs name it by `identity`.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from askscan.errors import WeightsError

DEFAULT_TEACHER = Path(__file__).parents[1] / "shipped" / "teacher"
"""The small CLIP of the package, trained on generated rooms."""

_HUB_FILES = ["*.json", "*.txt", "*.model", "*.safetensors", "pytorch_model.bin"]
_IDENTITY_FILES = ("config.json", "pytorch_model.bin", "tokenizer.json", "preprocessor_config.json")


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenFeatures:
    """Per-token outputs of the text tower after its final LayerNorm."""

    features: Float[Tensor, "q t d"]
    mask: Bool[Tensor, "q t"]
    """True for real tokens (start and end token included), False for padding."""


class Teacher:
    """A frozen CLIP-like model with its tokenizer and picture preprocessing."""

    def __init__(self, model: Any, tokenizer: Any, image_processor: Any, *, name: str, identity: str) -> None:
        self._model = model.eval().requires_grad_(False)
        self._tokenizer = tokenizer
        self._image_processor = image_processor
        self.name = name
        self.identity = identity
        """Content hash of weights, configuration and tokenizer: caches and runs are keyed by it."""
        self._siglip = model.config.model_type.startswith("siglip")

    @classmethod
    def load(cls, name_or_path: str | Path = "default", device: str | torch.device = "cpu") -> Teacher:
        """Read a teacher.

        Args:
            name_or_path: `default` (the small CLIP of this package), a folder, or a Hub name such as
                `openai/clip-vit-base-patch32`.
            device: Where it computes.

        Raises:
            WeightsError: Nothing by that name can be found, it is not CLIP-like, or its tokenizer came without a
                vocabulary (transformers returns two tokens instead of an error when it is offline).
        """
        from transformers import AutoConfig, AutoImageProcessor, AutoModel, AutoTokenizer
        from transformers.utils.logging import disable_progress_bar

        disable_progress_bar()
        name = str(name_or_path)
        folder = _local_folder(name)
        try:
            config = AutoConfig.from_pretrained(folder)
            if not hasattr(config, "vision_config") or not hasattr(config, "text_config"):
                raise WeightsError(f"teacher {name!r} is a {config.model_type!r} model; expected a CLIP-like one.")
            model = AutoModel.from_pretrained(folder, dtype=torch.float32)
            tokenizer = AutoTokenizer.from_pretrained(folder)
            image_processor = AutoImageProcessor.from_pretrained(folder, backend="pil")
        except (OSError, KeyError, ValueError, RuntimeError, json.JSONDecodeError) as error:
            if isinstance(error, WeightsError):
                raise
            reason = str(error).strip().splitlines()[0]
            raise WeightsError(
                f"teacher {name!r} cannot be read ({reason}); "
                "give `default`, a folder in Hugging Face format, or a Hub name."
            ) from error
        _check_tokenizer(name, tokenizer, config.text_config.vocab_size)
        return cls(model.to(device), tokenizer, image_processor, name=name, identity=identity_of(folder))

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return next(self._model.parameters()).device

    @cached_property
    def embed_width(self) -> int:
        """Channels of the space shared by pictures and texts."""
        return int(self.embed_texts(["a room"]).shape[1])

    @property
    def token_width(self) -> int:
        """Channels of the per-token outputs of the text tower."""
        return int(self._model.config.text_config.hidden_size)

    @property
    def max_tokens(self) -> int:
        """Positions of the text tower."""
        return int(self._model.config.text_config.max_position_embeddings)

    @torch.no_grad()
    def embed_texts(self, texts: Sequence[str]) -> Float[Tensor, "q d"]:
        """Projected text embeddings, float32, not normalised. Long texts are cut, the end token stays."""
        inputs = self._tokenize(texts)
        if self._siglip:
            del inputs["attention_mask"]  # it was trained to read its padding, and pools at the last of it
        output = self._model.get_text_features(**inputs)
        return _pooled(output).float()

    @torch.no_grad()
    def embed_images(self, images: Sequence[np.ndarray]) -> Float[Tensor, "i d"]:
        """Projected picture embeddings, float32, not normalised. Pictures are (h, w, 3) uint8."""
        squares = [_padded(image) for image in images]
        inputs = self._image_processor(images=squares, return_tensors="pt", input_data_format="channels_last")
        output = self._model.get_image_features(pixel_values=inputs["pixel_values"].to(self.device))
        return _pooled(output).float()

    @torch.no_grad()
    def encode_tokens(self, texts: Sequence[str]) -> TokenFeatures:
        """Per-token outputs of the last layer after its LayerNorm, padded to the longest text of the call."""
        inputs = self._tokenize(texts)
        mask = inputs.pop("attention_mask").bool()
        # CLIP's attention is causal, so padding after the end changes nothing before it; SigLIP was trained with it.
        features = self._model.text_model(**inputs).last_hidden_state
        return TokenFeatures(features=features.float(), mask=mask)

    def _tokenize(self, texts: Sequence[str]) -> dict[str, Tensor]:
        padding = "max_length" if self._siglip else True
        encoded = self._tokenizer(
            list(texts),
            padding=padding,
            truncation=True,
            max_length=self.max_tokens,
            return_tensors="pt",
            return_attention_mask=True,
        )
        names = ("input_ids", "attention_mask")
        return {name: encoded[name].to(self.device) for name in names}


def _local_folder(name: str) -> Path:
    """Folder of a teacher's files; a Hub name is fetched (or found in the local cache) first."""
    if name == "default":
        return DEFAULT_TEACHER
    if Path(name).is_dir():
        return Path(name)
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    try:
        return Path(snapshot_download(name, allow_patterns=_HUB_FILES))
    except (HfHubHTTPError, HFValidationError, LocalEntryNotFoundError, OSError) as error:
        reason = str(error).strip().splitlines()[0]
        raise WeightsError(
            f"teacher {name!r} is no folder here and cannot be had from the Hub ({reason}); "
            "give `default`, a folder in Hugging Face format, or a Hub name while online."
        ) from error


def identity_of(folder: Path) -> str:
    """Hash over the contents of the files that decide the embeddings."""
    digest = hashlib.sha256()
    names = sorted({*_IDENTITY_FILES, *(path.name for path in folder.glob("*.safetensors"))})
    for name in names:
        if (folder / name).is_file():
            digest.update(name.encode())
            with (folder / name).open("rb") as file:
                digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()[:16]


def _check_tokenizer(name: str, tokenizer: Any, vocab_size: int) -> None:
    """Refuse the nearly empty tokenizer that transformers silently makes where files are missing."""
    if len(tokenizer) < 0.5 * vocab_size:
        raise WeightsError(
            f"teacher {name!r}: its tokenizer has {len(tokenizer)} tokens but the model expects {vocab_size}; "
            "tokenizer files are missing (vocab.json and merges.txt, or tokenizer.json)."
        )


def _padded(image: np.ndarray) -> np.ndarray:
    """A square picture, its border repeated: CLIP's centre crop would drop a third of a 640 x 420 one."""
    missing = [max(image.shape[:2]) - size for size in image.shape[:2]]
    return np.pad(image, [*((n // 2, n - n // 2) for n in missing), (0, 0)], mode="edge")


def _pooled(output: Any) -> Tensor:
    """The projected feature: transformers 5 returns an object, earlier versions the tensor."""
    return output if isinstance(output, Tensor) else output.pooler_output
