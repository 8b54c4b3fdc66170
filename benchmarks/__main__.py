"""Run the workloads named on the command line, or all of them, and print the table."""

import os
import sys
from importlib import import_module

# One thread for everybody, before any numerical library is loaded; and one core where the system allows it,
# because a just-in-time compiler sizes its thread pool by the cores that it sees.
for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[name] = "1"
os.environ["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"
os.environ |= {"JAX_ENABLE_X64": "1", "JAX_PLATFORMS": "cpu"}
# A restriction to old processors, left in the environment, would hold back NumPy and not the compilers.
for name in ("OPENBLAS_CORETYPE", "NPY_DISABLE_CPU_FEATURES"):
    os.environ.pop(name, None)
if hasattr(os, "sched_setaffinity"):
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})

WORKLOADS = {
    "A": "descent",
    "B": "diffusion",
    "B'": "identity",
    "C": "bias",
    "C'": "bias_large",
    "C''": "bias_many",
    "D": "mirror",
    "E": "lasso",
    "G": "limits",
    "M": "meanfield",
}


def main(names):
    """Print the table of the workloads named, by letter or by file; of all of them if none is."""
    from benchmarks.timing import conditions, table

    unknown = set(names) - WORKLOADS.keys() - set(WORKLOADS.values())
    if unknown:
        known = ", ".join(f"{letter} or {file}" for letter, file in WORKLOADS.items())
        sys.exit(f"No workload {', '.join(sorted(unknown))}; choose among {known}.")
    print(conditions(), flush=True)
    rows = []
    for letter, file in WORKLOADS.items():
        if not names or letter in names or file in names:
            module = import_module(f"benchmarks.{file}")
            print(f"\n{letter}  {module.__doc__.splitlines()[0]}", flush=True)
            rows += module.rows()
    print("\n" + table(rows))


if __name__ == "__main__":
    main(sys.argv[1:])
