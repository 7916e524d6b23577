"""BLEU, METEOR, ROUGE-L, CIDEr and SPICE of answers, as the public ScanQA scorer has them (Azuma et al. 2022).

All by pycocoevalcap (Chen et al. 2015), on our tokens. METEOR and SPICE are Java programs: they are left out where
`java` or SPICE's language models are not found, or where Java stops.
"""

from __future__ import annotations

import contextlib
import io
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from askscan.metrics.ptb_tokens import tokenize

Texts = dict[int, list[str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class LanguageScores:
    """What could be computed, and why the rest could not."""

    figures: dict[str, float]
    """x100."""
    notes: tuple[str, ...]


def language_scores(answers: Sequence[str], truths: Sequence[Sequence[str]], *, java: bool = True) -> LanguageScores:
    """Scores of one answer per question against the right ones.

    Args:
        answers: One per question, at least one.
        truths: The right answers of each question, at least one.
        java: Try METEOR and SPICE.

    >>> scores = language_scores(["brown", "on the desk"], [["brown"], ["on desk", "the desk"]], java=False)
    >>> {name: round(value, 2) for name, value in scores.figures.items() if name in ("BLEU-1", "ROUGE-L")}
    {'BLEU-1': 100.0, 'ROUGE-L': 91.5}
    """
    from pycocoevalcap.bleu.bleu import Bleu
    from pycocoevalcap.cider.cider import Cider
    from pycocoevalcap.rouge.rouge import Rouge

    found: Texts = {row: [tokenize(answer)] for row, answer in enumerate(answers)}
    right: Texts = {row: [tokenize(answer) for answer in truth] for row, truth in enumerate(truths)}
    bleu = Bleu(4).compute_score(right, found, verbose=0)[0]
    figures = {f"BLEU-{n}": 100.0 * value for n, value in enumerate(bleu, 1)}
    notes = []
    for name, program in (("METEOR", _meteor), ("ROUGE-L", Rouge), ("CIDEr", Cider), ("SPICE", _spice)):
        needs_java = name in ("METEOR", "SPICE")
        if needs_java and not java:
            continue
        reason = _missing(name) if needs_java else ""
        if reason:
            notes.append(f"{name} is left out: {reason}.")
        else:
            if needs_java:
                print(f"{name} runs in Java, which can take minutes; `--no-java` skips it.", file=sys.stderr)
            scorer = program()
            try:
                with contextlib.redirect_stdout(io.StringIO()):
                    figures[name] = 100.0 * float(scorer.compute_score(right, found)[0])
            except (OSError, ValueError, subprocess.CalledProcessError) as error:
                if not needs_java:
                    raise
                if name == "METEOR" and scorer.lock.locked():
                    scorer.lock.release()  # it still holds it, and would wait for it for ever when it is dropped
                    with contextlib.suppress(OSError):
                        scorer.meteor_p.stdin.close()
                notes.append(f"{name} is left out: Java stopped ({type(error).__name__}); has it 2 GB of memory?")
    return LanguageScores(figures=figures, notes=tuple(notes))


def java_problem() -> str:
    """Why Java programs cannot run here; empty: they can. A `java` may only say where to get one."""
    if shutil.which("java") is None:
        return "no `java` was found; install one"
    try:
        subprocess.run(["java", "-version"], check=True, capture_output=True, timeout=60)
    except (OSError, subprocess.SubprocessError):
        return "`java -version` fails; install a Java that runs"
    return ""


def _missing(name: str) -> str:
    """What a Java metric lacks here; empty: nothing."""
    if problem := java_problem():
        return problem
    if name == "SPICE" and not any((_package() / "spice" / "lib").glob("stanford-corenlp-*-models.jar")):
        return "it needs language models; `python -m pycocoevalcap.spice.get_stanford_models` downloads them"
    return ""


def _package() -> Path:
    import pycocoevalcap

    return Path(next(iter(pycocoevalcap.__path__)))


def _meteor() -> Any:
    from pycocoevalcap.meteor.meteor import Meteor

    return Meteor()


def _spice() -> Any:
    from pycocoevalcap.spice.spice import Spice

    return Spice()
