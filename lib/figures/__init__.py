"""The look of every figure of the book, and the one call that shows one.

Behind the door: ``pictures``, what is shown and stored; ``digests``, the data behind a picture as text.
"""

from lib.figures._figure import (
    BAND_OPACITY,
    FILL_OPACITY,
    INK,
    PALETTE,
    PAPER,
    Picture,
    band,
    canvas,
    dots,
    legend,
    role,
    show,
    theorem_panel,
)

__all__ = [
    "BAND_OPACITY",
    "FILL_OPACITY",
    "INK",
    "PALETTE",
    "PAPER",
    "Picture",
    "band",
    "canvas",
    "dots",
    "legend",
    "role",
    "show",
    "theorem_panel",
]
