"""Runs for other people: a folder that the Hugging Face Hub takes as it is, and pushing it there."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import yaml

from askscan.errors import ConfigError, WeightsError
from askscan.evaluate.card import write_card
from askscan.evaluate.runs import Run, description_of
from askscan.models.teacher import DEFAULT_TEACHER, identity_of
from askscan.train.checkpoint import RunFolder

_FILES = ("config.yaml", "model.safetensors", "answers.json")
_SCORES = ("scores.*.json",)


def write_hub_folder(run: Run, out: Path, *, licence: str, name: str | None = None) -> None:
    """Write a folder with all that `askscan.load` and `askscan evaluate` need, and a model card.

    A teacher that lies in a folder is put beside the weights, the package's too: a later version may bring another.
    One of the Hub is named.

    Args:
        run: Of this project.
        out: New folder; it appears complete or not at all.
        licence: Of the weights, by its name on the Hub.
        name: What the card calls it; default: the folder's name.

    Raises:
        ConfigError: The folder exists, or the run is one of the published code.
        WeightsError: The teacher's folder holds another one now.
    """
    if not run.folder.config.is_file():
        raise ConfigError(f"{run.name}: weights of the published code are not ours to pass on; train a run from them.")
    if out.exists():
        raise ConfigError(f"{out}: exists; give a new folder.")
    partial = out.with_name(f".{out.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    try:
        partial.mkdir(parents=True)
        files = [run.folder.path / file for file in _FILES]
        for file in (*files, *(found for pattern in _SCORES for found in sorted(run.folder.path.glob(pattern)))):
            if file.is_file():
                shutil.copy(file, partial / file.name)
        teacher = DEFAULT_TEACHER if run.teacher_name == "default" else Path(run.teacher_name)
        if teacher.is_dir():
            _add_teacher(run, teacher, partial)
        described = replace(run, folder=RunFolder(partial))
        write_card(described, partial / "README.md", licence=licence, name=name or out.name)
        partial.rename(out)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _add_teacher(run: Run, teacher: Path, folder: Path) -> None:
    """Copy the teacher, and have the configuration name the copy instead of a place on this machine."""
    if identity_of(teacher) != run.teacher_identity:
        raise WeightsError(f"{teacher}: is not the teacher of {run.name} ({run.teacher_identity}); put that one there.")
    shutil.copytree(teacher, folder / "teacher")
    about = description_of(RunFolder(folder)) | {"teacher_name": "teacher"}
    (folder / "config.yaml").write_text(yaml.safe_dump(about, sort_keys=False, width=120), encoding="utf-8")


def push(folder: Path, repo: str, *, private: bool = True) -> str:
    """Upload a folder of `write_hub_folder` to the Hub; returns its address.

    Args:
        folder: The folder.
        repo: `owner/name`; created where it does not exist.
        private: Only the owner sees a repository that is created.

    Raises:
        ConfigError: The Hub refuses (no token, no such owner, offline).
    """
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HFValidationError, HTTPError, LocalTokenNotFoundError  # type: ignore[attr-defined]

    try:
        api = HfApi()
        address = api.create_repo(repo, private=private, exist_ok=True)
        api.upload_folder(repo_id=repo, folder_path=folder, commit_message="A run of askscan")
    except (HTTPError, HFValidationError, LocalTokenNotFoundError, OSError) as error:
        reason = next(iter(str(error).strip().splitlines()), type(error).__name__)
        raise ConfigError(
            f"{repo}: cannot be pushed to the Hub ({reason}); if you are online, log in with `hf auth login`."
        ) from error
    return str(address)
