"""The command line: parse, call, and turn errors into sentences.

Exit codes: 0 done; 2 the user can mend it (one sentence on stderr); 1 a bug of ours (with its traceback).
"""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Callable, Sequence
from typing import Any

import tyro

from askscan.errors import UserError

_DESCRIPTION = "Ask a 3D scan of a room a question; get the answer and the place it refers to."

# What the operating system says where the user can do something about it.
_MENDABLE_ERRNO = {
    errno.ENOSPC: "the disk is full; free some space and run the same command again",
    errno.EDQUOT: "the disk quota is used up; free some space and run the same command again",
    errno.EACCES: "no permission; choose another folder or change its rights",
    errno.EPERM: "not permitted; choose another folder or change its rights",
    errno.EROFS: "the file system is read-only; choose another folder",
    errno.ENOENT: "no such file or folder",
    errno.ENOTDIR: "a part of the path is a file, not a folder",
    errno.EISDIR: "it is a folder; a file was expected",
    errno.ENAMETOOLONG: "the name is too long",
}


def commands() -> dict[str, Callable[..., Any]]:
    """Every command by its name, in the order in which a project uses them."""
    from askscan.cli import ablation, about, asking, collections, demo, evaluation, mapping, training

    return {
        "ask": asking.ask,
        "demo": demo.demo,
        "rooms": collections.rooms,
        "prepare": collections.prepare,
        "render": collections.render,
        "teacher": training.teacher,
        "pretrain": training.pretrain,
        "train": training.train,
        "evaluate": evaluation.evaluate,
        "predict": evaluation.predict,
        "score": evaluation.score,
        "embed": evaluation.embed,
        "map": mapping.language_map,
        "report": evaluation.report,
        "ablate": ablation.ablate,
        "export": about.export,
        "bench": about.bench,
        "doctor": about.doctor,
    }


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code."""
    arguments = sys.argv[1:] if arguments is None else list(arguments)
    if arguments[:1] == ["--version"]:
        from askscan import __version__

        print(f"askscan {__version__}")
        return 0
    try:
        tyro.extras.subcommand_cli_from_dict(
            commands(),
            prog="askscan",
            description=_DESCRIPTION,
            args=arguments,
            config=(tyro.conf.FlagCreatePairsOff,),
        )
        sys.stdout.flush()
    except UserError as error:
        return _complain(str(error))
    except BrokenPipeError:  # whoever reads what is printed, such as `head`, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # or Python complains when it ends
        return 141  # as shells count it: 128 + SIGPIPE
    except OSError as error:
        if error.errno not in _MENDABLE_ERRNO:
            raise
        return _complain(f"{error.filename or 'a file'}: {_MENDABLE_ERRNO[error.errno]}.")
    except KeyboardInterrupt:
        _complain("stopped, with nothing left half written; the same command goes on where it can.", start="\n")
        return 130
    return 0


def _complain(sentence: str, start: str = "") -> int:
    """Tell the user; of the processes of a training on this host, which all find the same, only the first does."""
    if os.environ.get("LOCAL_RANK", "0") == "0":
        print(f"{start}askscan: {sentence}", file=sys.stderr)
    return 2
