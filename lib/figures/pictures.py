"""A finished figure as a picture and as words.

``show`` writes the digest from the arrays drawn, then an SVG that is the same byte for byte in every run on
one machine: text as text, coordinates to a tenth of a point, ink and paper written out so that an explorer
can hand them over to the theme. It refuses what would not be readable on a phone.
"""

from __future__ import annotations

import base64
import io
import re
from dataclasses import dataclass
from html import escape

import matplotlib
from matplotlib.text import Text
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator

from lib.evidence.badges import shown
from lib.figures.digests import digest, last_values

WIDTH = 5.0  # inches, every figure
SMALLEST_TEXT = 10.5  # points
INK, PAPER = "#222832", "#ffffff"
STYLE = {
    "figure.figsize": (WIDTH, 3.4),
    "figure.facecolor": PAPER,
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],
    "font.size": 11.5,
    "axes.labelsize": 11.5,
    "axes.titlesize": 11.5,
    "axes.titlelocation": "left",
    "xtick.labelsize": SMALLEST_TEXT,
    "ytick.labelsize": SMALLEST_TEXT,
    "legend.fontsize": SMALLEST_TEXT,
    "legend.frameon": False,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.8,
    "axes.grid": False,
    "lines.linewidth": 2.0,
    "lines.markersize": 5,
    "text.color": INK,
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "svg.fonttype": "none",
    "svg.hashsalt": "companion",
    "savefig.transparent": True,
}


@dataclass(frozen=True)
class Picture:
    """A finished figure: as the last line of a cell it is an image with its digest as alternative text.

    Parameters
    ----------
    finding : str
        One sentence: what is to be seen.
    digest : str
        The finding and the numbers behind it.
    svg : str
        The picture, transparent, in ink ``INK``.
    last : tuple of str
        For each labelled curve its last value, as far as it is repeatable.

    Examples
    --------
    >>> from lib.figures.pictures import Picture
    >>> image = Picture("A square.", "A square.", '<svg viewBox="0 0 9 9"></svg>').image()
    >>> image.endswith('alt="A square." class="lib-figure">')
    True
    """

    finding: str
    digest: str
    svg: str
    last: tuple[str, ...] = ()

    def image(self) -> str:
        """Write the picture as one HTML image on white ground, its digest as the alternative text.

        Returns
        -------
        str
            An ``img`` element which needs no other file.
        """
        ground = re.sub(
            r"(<svg[^>]*>)", rf'\1<rect width="100%" height="100%" fill="{PAPER}"/>', self.svg, count=1
        )
        data = base64.b64encode(ground.encode()).decode()
        alt = escape(self.digest, quote=True).replace("\n", "&#10;")
        return f'<img src="data:image/svg+xml;base64,{data}" alt="{alt}" class="lib-figure">'

    def _repr_mimebundle_(self, include=None, exclude=None):
        return {"text/plain": self.digest, "text/html": self.image()}


def show(fig, finding, *, rough=(), floor=1e-13) -> Picture:
    """Finish a figure: describe it in words, then draw it.

    Parameters
    ----------
    fig : matplotlib.figure.Figure
        From ``canvas``; every curve that matters has a label.
    finding : str
        One sentence: what is to be seen.
    rough : sequence of str
        Labels of curves whose digits no other machine repeats, such as single long random paths.
    floor : float
        Size below which a number is rounding noise.

    Returns
    -------
    Picture
        To be left as the last line of the cell.

    Raises
    ------
    ValueError
        When the finding is empty, nothing is labelled, or the figure breaks a rule of the style.

    Examples
    --------
    >>> from lib import figures
    >>> fig, ax = figures.canvas()
    >>> _ = ax.plot([0, 1, 2], [4, 2, 1], label="gradient flow", **figures.role("gradient flow"))
    >>> print(figures.show(fig, "The loss halves.").digest)
    The loss halves.
    Horizontal: x; vertical: y.
    gradient flow: 3 points, x from 0 to 2, y from 1 to 4, first 4, last 1.
    """
    described = digest(fig, finding, rough=rough, floor=floor)
    for axes in fig.axes:
        _plain_ticks(axes.xaxis)
        _plain_ticks(axes.yaxis)
    _check_style(fig)
    buffer = io.StringIO()
    with matplotlib.rc_context(STYLE):
        fig.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    svg = _lean(buffer.getvalue())
    return Picture(" ".join(finding.split()), described, svg, last_values(fig, rough=rough, floor=floor))


def tick(value) -> str:
    """Write a number as the axes do: with a true minus sign, without padding.

    Parameters
    ----------
    value : float or str
        A number, or a phrase such as "below 1e-13".

    Returns
    -------
    str
        The text.

    Examples
    --------
    >>> from lib.figures.pictures import tick
    >>> tick(1e-13), tick(-0.5)
    ('1e−13', '−0.5')
    """
    return shown(value).replace("-", "−")


def _plain_ticks(axis):
    """At most six labels, no minor ticks; decades as text where Matplotlib would set mathematics."""
    if axis.get_scale() == "log":
        axis.set_minor_locator(NullLocator())
        if axis.isDefault_majloc:
            axis.set_major_locator(LogLocator(numticks=7))
        if axis.isDefault_majfmt:
            axis.set_major_formatter(FuncFormatter(lambda value, position: tick(value)))
    elif axis.get_scale() == "linear" and axis.isDefault_majloc:
        axis.set_major_locator(MaxNLocator(nbins=5))


def _check_style(fig):
    """Refuse what could not be read on a phone, or not without TeX."""
    if fig.get_figwidth() != WIDTH:
        raise ValueError(
            f"a figure must be {WIDTH} in wide; received {fig.get_figwidth()}. Begin with canvas()."
        )
    for text in fig.findobj(Text):
        words = text.get_text()
        if "$" in words:
            raise ValueError(
                f"text in a figure must not need TeX; received {words!r}. Write Unicode: α∞, ℓ₁."
            )
        if words and text.get_visible() and text.get_fontsize() < SMALLEST_TEXT:
            raise ValueError(
                f"text in a figure must be at least {SMALLEST_TEXT} points, which a phone shows as pixels; "
                f"received {text.get_fontsize()} for {words!r}. Enlarge it."
            )


def _lean(svg) -> str:
    """The SVG without prologue, metadata, comments and unused ids; coordinates of paths to one decimal."""
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>|<!--.*?-->", "", svg, flags=re.S)
    # A style for "*" would reach the whole page where the SVG is inlined; on the root it is inherited.
    svg = re.sub(r"<defs>\s*<style[^>]*>.*?</style>\s*</defs>", "", svg, count=1, flags=re.S)
    svg = re.sub(r'<g id="[^"]*"', "<g", svg)
    head, body = svg.split(">", 1)
    head = re.sub(r'([\d.]+)pt"', r'\1"', head) + ' style="stroke-linejoin: round; stroke-linecap: butt">'
    body = re.sub(r' d="[^"]*"', lambda d: re.sub(r"-?\d+\.\d{2,}", _tenth, d[0]), body)
    return head + re.sub(r"\s*\n\s*", "\n", body).strip()


def _tenth(number) -> str:
    return f"{float(number[0]) + 0.0:.1f}".removesuffix(".0")
