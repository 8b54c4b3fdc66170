"""Replay every notebook as it would run elsewhere: other processors' arithmetic, and other last bits.

    python tests/replay/elsewhere.py [--jobs N] [--only NAME ...] [NOTEBOOK ...]

The stored outputs have to hold to the letter in each: what does not was never fixed by the mathematics.
OpenBLAS is told to compute as on another processor, NumPy to leave out the instructions that only some have;
of these the machine does those it can. The last bits of every random number stand for all the others.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from numpy._core._multiarray_umath import __cpu_dispatch__, __cpu_features__

ROOT = Path(__file__).resolve().parents[2]
DISPATCHED = [name for name in __cpu_dispatch__ if __cpu_features__.get(name)]
UNSET = ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE", "NPY_DISABLE_CPU_FEATURES", "LAST_BITS", "FRESH_SEED")


def settings() -> dict[str, dict[str, str]]:
    """Name and environment of each arithmetic this machine can do."""
    wide = {name for name in DISPATCHED if "AVX512" in name or name == "X86_V4"}
    found = {"Prescott, NumPy's baseline": ("Prescott", DISPATCHED)}
    if __cpu_features__.get("AVX2"):
        found |= {"Haswell, no AVX-512": ("Haswell", sorted(wide)), "Zen": ("Zen", [])}
    if __cpu_features__.get("AVX512F"):
        found |= {"SkylakeX": ("SkylakeX", [])}
    named = {
        name: {"OPENBLAS_CORETYPE": core} | ({"NPY_DISABLE_CPU_FEATURES": " ".join(off)} if off else {})
        for name, (core, off) in found.items()
    }
    return named | {f"last bits, seed {seed}": {"LAST_BITS": str(seed)} for seed in (1, 2)}


def kernels(folder, variables) -> dict[str, str]:
    """The environment in which kernels import ``other_numbers`` first; ``folder`` becomes their profile."""
    startup = Path(folder, "profile_default", "startup")
    startup.mkdir(parents=True)
    here = str(Path(__file__).parent)
    text = f"import sys\nsys.path.append({here!r})\nimport other_numbers\ndel other_numbers, sys\n"
    (startup / "00-numbers.py").write_text(text, encoding="utf-8")
    kept = {name: value for name, value in os.environ.items() if name not in UNSET}
    return kept | {"IPYTHONDIR": str(folder)} | variables


def replay(variables, jobs, notebooks) -> bool:
    """Compare the notebooks' outputs, run with these variables, with what is stored."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        command = [sys.executable, "-m", "pytest", "-q", "-n", str(jobs), "--dist", "loadfile", "--no-header"]
        command += ["--nbval", "--nbval-current-env", "--nbval-sanitize-with=notebooks/nbval.cfg"]
        command += ["-p", "no:cacheprovider", *notebooks]
        return subprocess.run(command, cwd=ROOT, env=kernels(folder, variables), check=False).returncode == 0


def main(argv=None) -> int:
    """Replay in every arithmetic, one after the other; 1 if any output differs."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--only", nargs="+", choices=list(settings()), default=list(settings()))
    parser.add_argument("notebooks", nargs="*", default=["notebooks"])
    options = parser.parse_args(argv)
    same = {}
    for name in options.only:
        print(f"--- {name} ---", flush=True)
        same[name] = replay(settings()[name], options.jobs, options.notebooks)
    for name, fine in same.items():
        print(f"{'as stored' if fine else 'OTHER'}: {name}")
    return 0 if all(same.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
