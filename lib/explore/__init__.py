"""One call, two lives: sliders that are live in a kernel and frames that move in the built page."""

from lib.explore._explore import Explorer, explore

__all__ = ["Explorer", "explore"]
