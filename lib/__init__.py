"""Which of the solutions that fit does the algorithm pick, and what does noise change?

The rooms follow the one picture of the book:

    problem (X, y)  ×  geometry (potential)  ×  algorithm (flow, descent, diffusion)  →  the point chosen

Each is a module, imported by name: ``from lib import problems, potentials, bias``.
"""
