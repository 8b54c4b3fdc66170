"""One call, two lives: sliders that are live in a notebook and move by themselves on the page.

``explore(draw, alpha=[...], gamma=[...])`` draws one picture for every combination. In a kernel they are
shown by widgets. For the page they are stored as text: SVG lines that many frames share are stored once, each
frame as its difference from the first, and a script in the output itself makes the sliders. Without script,
or in a notebook that is not trusted, the first frame stays as an image with its alternative text.
"""

from __future__ import annotations

import difflib
import json
import re
import sys
import unicodedata
from dataclasses import dataclass
from functools import cached_property
from html import escape
from itertools import product
from pathlib import Path

from lib.figures.pictures import INK, PAPER, Picture

MOST_FRAMES, MOST_SLIDERS, LONGEST_FINDING = 60, 2, 160
SCRIPT = Path(__file__).with_name("explorer.js")


def explore(draw, *, labels=None, first=None, **grids):
    """Show a picture that moves with one or two sliders.

    Parameters
    ----------
    draw : callable
        ``draw(**values)`` returns a ``Picture``, from ``figures.show``; same size, axis limits and legend for
        all values. Its finding, at most 160 characters, is the sentence below the picture.
    labels : dict of str to str, optional
        What stands beside each slider, such as {"alpha": "start size α"}; by default the name, in Greek if it
        is a Greek letter.
    first : dict, optional
        The values of the first frame, which is also the printed one; by default the first of each grid.
    **grids
        The values of each slider: one or two names, at most 60 combinations.

    Returns
    -------
    Explorer
        To be left as the last line of the cell.

    Raises
    ------
    TypeError
        When ``draw`` is not callable or does not return a ``Picture``.
    ValueError
        For an empty grid, too many sliders or frames, a long finding, pictures of different size.

    Examples
    --------
    >>> from lib import explore, figures
    >>> def draw(gamma):
    ...     fig, ax = figures.canvas()
    ...     ax.plot([0, 1], [1, gamma], label="flow", **figures.role("gradient flow"))
    ...     return figures.show(fig, f"γ = {gamma:g}: it ends at {gamma:g}.")
    >>> print(explore.explore(draw, gamma=[0.5, 0.25]).text())
    An explorer with 2 frames: γ = 0.5, 0.25. The first:
    γ = 0.5: it ends at 0.5.
    Horizontal: x; vertical: y.
    flow: 2 points, x from 0 to 1, y from 0.5 to 1, first 1, last 0.5.
    All frames, with the last value of each curve:
    γ = 0.5: it ends at 0.5. [0.5]
    γ = 0.25: it ends at 0.25. [0.25]
    """
    if not callable(draw):
        raise TypeError(
            f"draw must be a function; received {draw!r:.60}. Pass one that returns figures.show(...)."
        )
    grids = {name: list(values) for name, values in grids.items()}
    frames = 1
    for values in grids.values():
        frames *= len(values)
    if not 1 <= len(grids) <= MOST_SLIDERS or not 1 <= frames <= MOST_FRAMES:
        raise ValueError(
            f"an explorer must have 1 or {MOST_SLIDERS} sliders and 1 to {MOST_FRAMES} frames; received "
            f"{len(grids)} and {frames}. Shorten the grids."
        )
    labels, first = dict(labels or {}), dict(first or {})
    if unknown := (set(labels) | set(first)) - set(grids):
        raise ValueError(
            f"labels and first must name sliders; received {sorted(unknown)}. They are {list(grids)}."
        )
    start = []
    for name, values in grids.items():
        if name in first and first[name] not in values:
            raise ValueError(
                f"first must be on the grid of {name}, {values}; received {first[name]}. Choose one."
            )
        start.append(values.index(first[name]) if name in first else 0)
    named = {name: labels.get(name, _greek(name)) for name in grids}
    return Explorer(draw, grids, named, tuple(start))


@dataclass(frozen=True)
class Explorer:
    """A grid of pictures with its sliders; made by ``explore``.

    Parameters
    ----------
    draw : callable
        Draws one frame.
    grids : dict of str to list
        Values of the sliders.
    labels : dict of str to str
        Their labels.
    first : tuple of int
        Indices of the first frame.

    Examples
    --------
    >>> from lib.explore import Explorer
    >>> Explorer(draw=print, grids={"a": [1, 2], "b": [3, 4, 5]}, labels={}, first=(1, 2)).start
    5
    """

    draw: object
    grids: dict
    labels: dict
    first: tuple

    @cached_property
    def pictures(self) -> list[Picture]:
        """All frames, the last slider moving fastest."""
        pictures = []
        for values in product(*self.grids.values()):
            picture = self.draw(**dict(zip(self.grids, values, strict=True)))
            if not isinstance(picture, Picture):
                raise TypeError(
                    f"draw must return a Picture; received {type(picture).__name__} for {values}. "
                    "End it with return figures.show(fig, finding)."
                )
            if len(picture.finding) > LONGEST_FINDING:
                raise ValueError(
                    f"a frame's finding must have at most {LONGEST_FINDING} characters; received "
                    f"{len(picture.finding)}: {picture.finding!r}. Shorten it."
                )
            pictures.append(picture)
        sizes = {_size(picture.svg) for picture in pictures}
        if len(sizes) > 1:
            raise ValueError(f"all frames must have one size; received {sorted(sizes)}. Fix the height.")
        return pictures

    @property
    def start(self) -> int:
        """Number of the first frame."""
        frame = 0
        for k, values in zip(self.first, self.grids.values(), strict=True):
            frame = frame * len(values) + k
        return frame

    def text(self) -> str:
        """Describe the explorer in words.

        Returns
        -------
        str
            The first frame's digest; then for each frame its finding and the last value of each curve.
        """
        grids = "; ".join(
            f"{self.labels[name]} = {', '.join(map(_value_text, values))}"
            for name, values in self.grids.items()
        )
        lines = [f"An explorer with {len(self.pictures)} frames: {grids}. The first:"]
        lines += [self.pictures[self.start].digest, "All frames, with the last value of each curve:"]
        lines += [f"{p.finding} [{', '.join(p.last)}]" if p.last else p.finding for p in self.pictures]
        return "\n".join(lines)

    def html(self) -> str:
        """Write the explorer as HTML that needs no other file.

        Returns
        -------
        str
            The first frame as an image, its finding, all frames as data, the script that makes the sliders.
        """
        picture = self.pictures[self.start]
        data = json.dumps(self._data(), ensure_ascii=False, separators=(",", ":")).replace("</", "<\\/")
        return (
            f'<div class="lib-explorer">\n{picture.image()}\n'
            f'<p class="lib-explorer-finding">{escape(picture.finding)}</p>\n'
            f'<script type="application/json">{data}</script>\n'
            f"<script>{SCRIPT.read_text(encoding='utf-8')}</script>\n</div>"
        )

    def _data(self) -> dict:
        """Frames as edits of the first one, over one table of lines."""
        number: dict[str, int] = {}
        indexed = [
            [number.setdefault(line, len(number)) for line in _themed(picture.svg).split("\n")]
            for picture in self.pictures
        ]
        base = indexed[self.start]
        sliders = [
            {"label": label, "spoken": _spoken(label), "values": [_value_text(v) for v in self.grids[name]]}
            for name, label in self.labels.items()
        ]
        return {
            "sliders": sliders,
            "first": list(self.first),
            "findings": [picture.finding for picture in self.pictures],
            "spoken": [_spoken(picture.finding) for picture in self.pictures],
            "lines": list(number),
            "base": base,
            "frames": [_edits(base, frame) for frame in indexed],
        }

    def widget(self):
        """Make the live sliders; needs ipywidgets and a kernel.

        Returns
        -------
        ipywidgets.VBox
            Picture, sliders, reset button and finding.
        """
        import ipywidgets

        picture, finding = ipywidgets.HTML(), ipywidgets.HTML()
        sliders = [
            ipywidgets.SelectionSlider(
                options=[(_value_text(v), k) for k, v in enumerate(values)],
                index=at,
                description=self.labels[name],
                style={"description_width": "10em"},
                layout={"width": "480px"},
            )
            for (name, values), at in zip(self.grids.items(), self.first, strict=True)
        ]

        def show(change=None):
            frame = 0
            for slider in sliders:
                frame = frame * len(slider.options) + slider.index
            picture.value = self.pictures[frame].image()
            finding.value = escape(self.pictures[frame].finding)

        def reset(button):
            for slider, at in zip(sliders, self.first, strict=True):
                slider.index = at

        button = ipywidgets.Button(description="Reset")
        button.on_click(reset)
        for slider in sliders:
            slider.observe(show, "index")
        show()
        return ipywidgets.VBox([picture, *sliders, finding, button])

    def _repr_mimebundle_(self, include=None, exclude=None):
        bundle = {"text/plain": self.text(), "text/html": self.html()}
        shell = sys.modules["IPython"].get_ipython() if "IPython" in sys.modules else None
        if getattr(shell, "kernel", None) is not None:
            view = "application/vnd.jupyter.widget-view+json"
            bundle[view] = self.widget()._repr_mimebundle_()[view]
        return bundle


def _greek(name) -> str:
    """Write a slider's name as a label: α for "alpha", "step size" for "step_size"."""
    letter = {"lambda": "lamda"}.get(name, name).upper()
    try:
        return unicodedata.lookup(f"GREEK SMALL LETTER {letter}")
    except KeyError:
        return name.replace("_", " ")


def _spoken(text) -> str:
    """Spell what a screen reader may skip: Greek letters, subscripts, ∞ and ℓ."""

    def word(character):
        name = unicodedata.name(character, "")
        if match := re.fullmatch(r"GREEK (?:SMALL|CAPITAL) LETTER (\w+)", name):
            return match[1].lower().replace("lamda", "lambda")
        if name.startswith("SUBSCRIPT"):
            return unicodedata.normalize("NFKC", character)
        return {"∞": "infinity", "ℓ": "l"}.get(character)

    said = ""
    for character in text:
        spelled = word(character)
        said += character if spelled is None else (" " if said[-1:].isalnum() else "") + spelled
    return said


def _value_text(value) -> str:
    """Write a slider's value."""
    return value if isinstance(value, str) else f"{value:g}"


def _themed(svg) -> str:
    """Hand ink and paper over to the page's theme, light or dark."""
    return svg.replace(INK, "currentColor").replace(PAPER, "var(--pst-color-background, #fff)")


def _edits(base, frame) -> list[list]:
    """What turns one list into the other, as [from, to, what stands there instead], in order."""
    if len(base) == len(frame):
        differs = [a != b for a, b in zip(base, frame, strict=True)] + [False]
        runs, start = [], None
        for k, different in enumerate(differs):
            if different and start is None:
                start = k
            elif not different and start is not None:
                runs.append([start, k, frame[start:k]])
                start = None
        return runs
    matcher = difflib.SequenceMatcher(None, base, frame, autojunk=False)
    return [[i, j, frame[k:m]] for tag, i, j, k, m in matcher.get_opcodes() if tag != "equal"]


def _size(svg) -> str:
    return re.search(r'viewBox="([^"]*)"', svg)[1]
