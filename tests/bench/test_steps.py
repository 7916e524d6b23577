from __future__ import annotations

import subprocess
import sys

import pytest

TINY = """
import torch
from askscan.bench.scenes import Size
from askscan.bench.steps import CPU_VARIANTS, Bench, peak_host_gib
bench = Bench(torch.device("cpu"), Size(num_scenes=48, num_answers=500), 2)
for variant in CPU_VARIANTS:
    list(bench.training(variant, reference=False))
print(peak_host_gib())
"""


@pytest.mark.slow
def test_the_tiny_recipe_trains_within_1_gb_of_host_memory():
    """Both trainings at their own batch size, on 48 rooms of 50,000 points, with everything that they import."""
    done = subprocess.run([sys.executable, "-c", TINY], capture_output=True, text=True, check=True, timeout=300)
    assert float(done.stdout.split()[-1]) * 1.073741824 < 1.0
