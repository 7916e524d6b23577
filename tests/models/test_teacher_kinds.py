"""Other CLIP-like teachers by the same interface, with random weights: ViT-B/32, ViT-L/14, SigLIP."""

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from askscan.models.teacher import Teacher

IDS = {"vocab_size": 49408, "bos_token_id": 0, "eos_token_id": 2}
"""As the published configurations have them; the tokenizer's own end token is 49407."""


def write_clip(folder: Path, tokenizer_files: Path, text: dict[str, Any], vision: dict[str, Any], width: int) -> Path:
    from transformers import CLIPConfig, CLIPModel

    for file in tokenizer_files.iterdir():
        shutil.copy(file, folder / file.name)
    torch.manual_seed(0)
    CLIPModel(CLIPConfig(text_config=text | IDS, vision_config=vision, projection_dim=width)).save_pretrained(folder)
    return folder


def write_siglip(folder: Path) -> Path:
    """A small SigLIP with a tokenizer of whole words, padded as SigLIP's."""
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast, SiglipConfig, SiglipImageProcessor, SiglipModel

    words = ["<pad>", "</s>", "<unk>", "a", "chair", "red", "table", "room"]
    tokenizer = Tokenizer(models.WordLevel({word: i for i, word in enumerate(words)}, unk_token="<unk>"))
    tokenizer.normalizer, tokenizer.pre_tokenizer = normalizers.Lowercase(), pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.TemplateProcessing(single="$A </s>", special_tokens=[("</s>", 1)])
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="<pad>", eos_token="</s>", unk_token="<unk>", model_max_length=16
    )
    fast.save_pretrained(folder)
    tower = {"hidden_size": 32, "intermediate_size": 64, "num_attention_heads": 2, "num_hidden_layers": 2}
    torch.manual_seed(0)
    config = SiglipConfig(
        text_config=tower | {"vocab_size": len(words), "max_position_embeddings": 16},
        vision_config=tower | {"image_size": 32, "patch_size": 16},
    )
    SiglipModel(config).save_pretrained(folder)
    SiglipImageProcessor(size={"height": 32, "width": 32}).save_pretrained(folder)
    return folder


def check(teacher: Teacher, embed_width: int, token_width: int, max_tokens: int) -> None:
    texts = ["a chair", "a red table next to the wall " * 30]
    assert (teacher.embed_width, teacher.token_width, teacher.max_tokens) == (embed_width, token_width, max_tokens)
    together = teacher.embed_texts(texts)
    assert together.shape == (2, embed_width)
    for i, text in enumerate(texts):
        torch.testing.assert_close(together[i : i + 1], teacher.embed_texts([text]), rtol=1e-4, atol=1e-5)
    tokens = teacher.encode_tokens(texts)
    assert tokens.features.shape == (2, max_tokens, token_width)
    assert int(tokens.mask[1].sum()) == max_tokens and 3 <= int(tokens.mask[0].sum()) <= 4
    rng = np.random.default_rng(0)
    pictures = [rng.integers(0, 255, shape, dtype=np.uint8) for shape in ((64, 64, 3), (320, 320, 3))]
    images = teacher.embed_images(pictures)
    assert images.shape == (2, embed_width) and (images[0] - images[1]).abs().max() > 1e-5


def test_vit_l_14_widths(tmp_path: Path, real_data: Path) -> None:
    """ViT-L/14's widths and patches, two layers deep."""
    text = {"hidden_size": 768, "intermediate_size": 3072, "num_attention_heads": 12, "num_hidden_layers": 1}
    vision = {"hidden_size": 1024, "intermediate_size": 4096, "num_attention_heads": 16, "num_hidden_layers": 1}
    folder = write_clip(tmp_path, real_data / "clip_tokenizer", text, vision | {"patch_size": 14}, 768)
    check(Teacher.load(folder), 768, 768, 77)


def test_siglip_reads_its_padding(tmp_path: Path) -> None:
    teacher = Teacher.load(write_siglip(tmp_path))
    check(teacher, 32, 32, 16)
    ids = torch.tensor([[3, 4, 1] + [0] * 13])
    expected = teacher._model.get_text_features(input_ids=ids).pooler_output  # as it was trained: nothing masked
    torch.testing.assert_close(teacher.embed_texts(["a chair"]), expected)


@pytest.mark.slow
def test_the_real_architecture_with_the_real_tokenizer(tmp_path: Path, real_data: Path) -> None:
    """ViT-B/32 at full size: 151 million random weights."""
    from transformers import CLIPConfig, CLIPModel

    for file in (real_data / "clip_tokenizer").iterdir():
        shutil.copy(file, tmp_path / file.name)
    torch.manual_seed(0)
    model = CLIPModel(CLIPConfig.from_pretrained(tmp_path))
    assert sum(parameter.numel() for parameter in model.parameters()) == 151_277_313
    model.save_pretrained(tmp_path)
    del model
    check(Teacher.load(tmp_path), 512, 512, 77)
