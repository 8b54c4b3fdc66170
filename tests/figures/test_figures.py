"""The look of the figures, the words behind them, and the form in which they are stored."""

import base64
import html
import re
from itertools import combinations

import numpy as np
import pytest

from lib import figures
from lib.figures.digests import last_values
from lib.figures.pictures import STYLE

LIGHT, DARK = "#ffffff", "#14181e"


def drawn(y=(4.0, 2.0, 1.0), *, label="gradient flow"):
    fig, ax = figures.canvas()
    ax.plot(range(len(y)), y, label=label, **figures.role("gradient flow"))
    return fig, ax


def line(fig, label, **options):
    """The digest's line about one curve."""
    words = figures.show(fig, "A finding.", **options).digest.splitlines()
    return next(word for word in words if word.startswith(f"{label}: "))


# --- the output -----------------------------------------------------------------------------------


def test_a_figure_is_one_image_whose_alternative_text_is_its_digest():
    picture = figures.show(drawn()[0], 'It halves: "½ < 1".')
    bundle = picture._repr_mimebundle_()
    assert set(bundle) == {"text/plain", "text/html"}
    found = re.fullmatch(
        r'<img src="data:image/svg\+xml;base64,([^"]*)" alt="([^"]*)" class="lib-figure">',
        bundle["text/html"],
    )
    assert html.unescape(found[2]) == bundle["text/plain"] == picture.digest
    svg = base64.b64decode(found[1]).decode()
    assert svg.startswith("<svg")
    assert '<rect width="100%" height="100%" fill="#ffffff"/>' in svg
    assert "<rect width" not in picture.svg  # transparent, for an explorer


def test_the_same_figure_is_the_same_bytes():
    pictures = [figures.show(drawn()[0], "Again.") for _ in range(2)]
    assert pictures[0] == pictures[1]
    assert not re.search(r"\d\d:\d\d|<metadata|Matplotlib|<!--", pictures[0].svg)


def test_coordinates_are_short_inside_paths_and_nothing_else_is_touched():
    fig, ax = drawn()
    ax.fill_between([0, 1], [0, 0], [1, 1], alpha=figures.FILL_OPACITY)
    svg = figures.show(fig, "A fill.").svg
    assert "opacity: 0.08" in svg
    assert all(not re.search(r"\d\.\d\d", d) for d in re.findall(r' d="([^"]*)"', svg))


def test_all_ink_is_written_out_so_that_a_theme_can_replace_it():
    fig, ax = drawn()
    ax.annotate("here", (1, 2), (1.5, 3), arrowprops={"arrowstyle": "-|>", "color": figures.INK})
    figures.legend(ax)
    svg = figures.show(fig, "Ink.").svg
    texts = re.findall("<text[^>]*>", svg)
    assert len(texts) > 5
    assert all("fill: #222832" in text for text in texts)
    assert "#000000" not in svg
    assert "<style" not in svg


def test_a_static_picture_uses_the_width_a_phone_has():
    assert 'width="360"' in figures.show(drawn()[0], "Wide.").svg


# --- the digest -----------------------------------------------------------------------------------


def test_a_digest_holds_ranges_and_ends_at_three_digits():
    fig, ax = drawn([4.0, 9.87654, 1.23456])
    ax.set(xlabel="time t", ylabel="loss L", yscale="log")
    assert figures.show(fig, "It  rises,\nthen falls.").digest == (
        "It rises, then falls.\n"
        "Horizontal: time t; vertical: loss L (log scale).\n"
        "gradient flow: 3 points, x from 0 to 2, y from 1.23 to 9.88, first 4, last 1.23."
    )


def test_a_digest_sees_a_change_in_the_third_digit_and_not_in_the_tenth():
    base, changed, noise = (line(drawn([1, y])[0], "gradient flow") for y in (2.0, 2.01, 2.0000000001))
    assert base != changed
    assert base == noise


def drawn_points(draw):
    """The digest's line about what ``draw(ax)`` labels "it"."""
    fig, ax = figures.canvas()
    draw(ax)
    return line(fig, "it").removeprefix("it: ")


@pytest.mark.parametrize(
    ("draw", "words"),
    [
        (
            lambda ax: ax.scatter([1, 2], [3, 4], label="it"),
            "2 points, x from 1 to 2, y from 3 to 4, first 3, last 4.",
        ),
        (
            lambda ax: ax.bar([1, 2], [3, 4], label="it"),
            "2 points, x from 1 to 2, y from 3 to 4, first 3, last 4.",
        ),
        (
            lambda ax: ax.barh([1, 2], [3, 4], label="it"),
            "2 points, x from 1 to 2, y from 3 to 4, first 3, last 4.",
        ),
        (
            lambda ax: ax.errorbar([1, 2], [3, 4], [1, 1], label="it"),
            "2 points, x from 1 to 2, y from 3 to 4",
        ),
        (lambda ax: ax.stairs([3, 4], [0, 1, 2], label="it"), "2 points, x from 0.5 to 1.5, y from 3 to 4"),
        (lambda ax: ax.fill([0, 1, 1], [2, 2, 3], label="it"), "x from 0 to 1, y from 2 to 3."),
        (lambda ax: ax.fill_between([0, 1], [1, 2], [3, 4], label="it"), "x from 0 to 1, y from 1 to 4."),
        (lambda ax: ax.hlines([1, 2], 0, 5, label="it"), "x from 0 to 5, y from 1 to 2."),
        (lambda ax: ax.axhline(0.25, label="it"), "the line y = 0.25."),
        (lambda ax: ax.axvline(0.25, label="it"), "the line x = 0.25."),
        (lambda ax: ax.axline((0, 0), slope=1, label="it"), "a straight line."),
        (lambda ax: ax.imshow([[1.0, 2.0], [3.0, np.nan]], label="it"), "3 cells, from 1 to 3."),
        (lambda ax: ax.plot([1, 2, 3], [np.nan, 5, 6], label="it"), "2 points, x from 2 to 3, y from 5 to 6"),
        (lambda ax: ax.plot([7], [8], label="it"), "1 point, x 7, y 8."),
        (lambda ax: figures.dots(ax, [1, 2], [3, 4], label="it"), "2 points, x from 1 to 2, y from 3 to 4"),
        (
            lambda ax: figures.band(ax, [0, 9], [1, 2], [3, 5], "SGD", label="it"),
            "band over x from 0 to 9, first from 1 to 3, last from 2 to 5.",
        ),
    ],
)
def test_a_digest_reads_every_kind_of_artist(draw, words):
    assert drawn_points(draw).startswith(words)


def test_rounding_noise_has_no_digits_in_a_digest():
    words = line(drawn([1.0, -2.4e-15, 0.0])[0], "gradient flow")
    assert words.endswith("y from below 1e-13 to 1, first 1, last below 1e-13.")
    assert "2.4e-15" in line(drawn([1.0, 2.4e-15])[0], "gradient flow", floor=0.0)


def test_rough_curves_show_no_digits():
    fig, ax = drawn(label="one run")
    ax.plot([0, 1], [5, 6], label="mean")
    assert line(fig, "one run", rough=["one run"]) == "one run: 3 points."
    assert last_values(fig, rough=["one run"]) == ("6",)
    with pytest.raises(ValueError, match="must name labelled curves"):
        figures.show(fig, "No.", rough=["another run"])


def test_panels_are_told_one_after_the_other():
    fig, (above, below) = figures.canvas(5, rows=2, heights=[2, 1], sharex=True)
    above.plot([0, 1], [2, 3], label="a")
    below.plot([0, 1], [4, 5], label="b")
    words = figures.show(fig, "Two.").digest.splitlines()
    assert [word.split(". ")[0] for word in words[1::2]] == ["Panel 1 of 2", "Panel 2 of 2"]


# --- what is refused ------------------------------------------------------------------------------


def test_a_figure_without_words_is_refused():
    with pytest.raises(ValueError, match="finding must be a sentence"):
        figures.show(drawn()[0], "  ")
    with pytest.raises(ValueError, match="must have a labelled curve"):
        figures.show(drawn(label=None)[0], "Nothing.")


def test_what_a_phone_cannot_show_is_refused():
    fig, ax = drawn()
    ax.set_title(r"$\alpha$")
    with pytest.raises(ValueError, match="must not need TeX"):
        figures.show(fig, "TeX.")
    fig, ax = drawn()
    ax.text(1, 1, "small", fontsize=8)
    with pytest.raises(ValueError, match=r"at least 10\.5 points.*received 8"):
        figures.show(fig, "Small.")
    fig, ax = drawn()
    fig.set_figwidth(8)
    with pytest.raises(ValueError, match=r"5\.0 in wide; received 8"):
        figures.show(fig, "Wide.")


def test_bad_arguments_get_a_sentence():
    with pytest.raises(ValueError, match="role must be one of gradient flow"):
        figures.role("adam")
    with pytest.raises(ValueError, match="height"):
        figures.canvas(-1)
    with pytest.raises(ValueError, match="at most 24 characters"):
        figures.theorem_panel(figures.canvas()[1], {"a label that is far too long": [1.0]}, 1e-10)
    with pytest.raises(ValueError, match="at least 0"):
        figures.theorem_panel(figures.canvas()[1], {"claim": [-1.0]}, 1e-10)


# --- the style ------------------------------------------------------------------------------------


def test_log_axes_have_few_plain_ticks():
    fig, ax = drawn([1e-13, 1e-6, 1.0])
    ax.set_yscale("log")
    svg = figures.show(fig, "Decades.").svg
    texts = re.findall(r">([^<>]*)</text>", svg)
    assert "1e−6" in texts or "1e−5" in texts
    assert 3 <= sum("e−" in text for text in texts) <= 7


def test_a_marker_alone_or_at_the_end():
    assert figures.role("SGF")["markevery"] == [-1]
    assert figures.role("SGF", points=True)["linestyle"] == "none"
    assert figures.role("SGF") == figures.role("stochastic flow")


def test_colour_tells_the_noise_and_line_or_marker_tells_discrete():
    flow, descent = figures.role("gradient flow"), figures.role("gradient descent")
    assert flow["color"] == descent["color"]
    assert (flow["linestyle"], descent["linestyle"]) == ("-", "none")
    assert descent["markerfacecolor"] == "none"


def test_a_cloud_is_one_path():
    fig, ax = drawn()
    figures.dots(ax, np.linspace(0, 2, 50), np.linspace(1, 4, 50), label="runs")
    svg = figures.show(fig, "Runs.").svg
    cloud = next(
        path
        for path in re.findall("<path[^>]*>", svg)
        if "stroke-linecap: round" in path and "#222832" in path
    )
    assert cloud.count("M ") == cloud.count("L ") == 50


def test_a_theorem_panel_decides_by_the_worst_claim_and_the_nearest_control():
    rows = {"this run": [8.1e-16, 0.0, 3.3e-16], "half the exponent": [2e-3, 4e-3]}
    fig, ax = figures.canvas(3.3)
    figures.theorem_panel(ax, rows, 1e-10)
    picture = figures.show(fig, "Exact.")
    texts = re.findall(r">([^<>]*)</text>", picture.svg)
    assert {"● this run", "| half the exponent", "&lt; 1e−13", "0.002", "limit 1e−10"} <= set(texts)
    assert "half the exponent: 2 cases, from 0.002 to 0.004, limit 1e-10." in picture.digest
    assert "8.1" not in picture.digest
    assert ax.get_xlim() == (1e-17, 0.1)


def test_a_theorem_panel_grows_to_hold_its_controls():
    _, ax = figures.canvas(3.3)
    figures.theorem_panel(ax, {"claim": [1e-15], "far": [30.0]}, 1e-10)
    assert ax.get_xlim()[1] == 100.0


# --- colours that everybody can tell apart -----------------------------------------------------------


def linear(colour):
    rgb = np.array([int(colour[k : k + 2], 16) for k in (1, 3, 5)]) / 255
    return np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)


def contrast(one, other):
    """WCAG 2 contrast ratio of two linear colours."""
    light, dark = sorted((float(c @ [0.2126, 0.7152, 0.0722]) for c in (one, other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def over(colour, ground, opacity):
    """A colour painted over a ground, mixed as screens do, in sRGB."""
    mixed = [
        round(opacity * int(colour[k : k + 2], 16) + (1 - opacity) * int(ground[k : k + 2], 16))
        for k in (1, 3, 5)
    ]
    return "#" + "".join(f"{value:02x}" for value in mixed)


# Machado, Oliveira & Fernandes (2009), severity 1, on linear RGB.
BLINDNESS = {
    "none": np.eye(3),
    "protanopia": [
        [0.152286, 1.052583, -0.204868],
        [0.114503, 0.786281, 0.099216],
        [-0.003882, -0.048116, 1.051998],
    ],
    "deuteranopia": [
        [0.367322, 0.860646, -0.227968],
        [0.280085, 0.672501, 0.047413],
        [-0.01182, 0.04294, 0.968881],
    ],
    "tritanopia": [
        [1.255528, -0.076749, -0.178779],
        [-0.078411, 0.930809, 0.147602],
        [0.004733, 0.691367, 0.3039],
    ],
}
TO_XYZ = np.array(
    [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.072175], [0.0193339, 0.119192, 0.9503041]]
)


def lab(rgb):
    t = TO_XYZ @ np.clip(rgb, 0, 1) / TO_XYZ.sum(1)
    f = np.where(t > (6 / 29) ** 3, np.cbrt(t), t / (3 * (6 / 29) ** 2) + 4 / 29)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


def delta_e(one, other):
    """CIEDE2000 between two Lab colours (Sharma, Wu & Dalal 2005, equations 2 to 22)."""
    (L1, a1, b1), (L2, a2, b2) = one, other
    mean = (np.hypot(a1, b1) + np.hypot(a2, b2)) / 2
    stretch = 1.5 - 0.5 * np.sqrt(mean**7 / (mean**7 + 25.0**7))
    C1, C2 = np.hypot(stretch * a1, b1), np.hypot(stretch * a2, b2)
    h1, h2 = (np.degrees(np.arctan2(b, stretch * a)) % 360 for a, b in ((a1, b1), (a2, b2)))
    turn = (h2 - h1 + 180) % 360 - 180
    dL, dC, dH = L2 - L1, C2 - C1, 2 * np.sqrt(C1 * C2) * np.sin(np.radians(turn / 2))
    L, C, h = (L1 + L2) / 2, (C1 + C2) / 2, h1 + turn / 2
    cos = lambda degrees: np.cos(np.radians(degrees))  # noqa: E731
    T = 1 - 0.17 * cos(h - 30) + 0.24 * cos(2 * h) + 0.32 * cos(3 * h + 6) - 0.2 * cos(4 * h - 63)
    S_L = 1 + 0.015 * (L - 50) ** 2 / np.sqrt(20 + (L - 50) ** 2)
    S_C, S_H = 1 + 0.045 * C, 1 + 0.015 * C * T
    turned = np.sin(np.radians(60 * np.exp(-(((h % 360 - 275) / 25) ** 2))))
    R = -2 * np.sqrt(C**7 / (C**7 + 25.0**7)) * turned
    return np.sqrt((dL / S_L) ** 2 + (dC / S_C) ** 2 + (dH / S_H) ** 2 + R * dC / S_C * dH / S_H)


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [  # from the table of Sharma, Wu & Dalal (2005)
        ((50, 2.6772, -79.7751), (50, 0, -82.7485), 2.0425),
        ((50, 2.5, 0), (73, 25, -18), 27.1492),
        ((60.2574, -34.0099, 36.2677), (60.4626, -34.1751, 39.4387), 1.2644),
        ((2.0776, 0.0795, -1.135), (0.9033, -0.0636, -0.5514), 0.9082),
    ],
)
def test_the_colour_difference_agrees_with_its_published_values(one, other, expected):
    assert delta_e(one, other) == pytest.approx(expected, abs=5e-5)


@pytest.mark.parametrize("ground", [LIGHT, DARK])
@pytest.mark.parametrize("name", figures.PALETTE)
def test_lines_stand_out_on_both_grounds(name, ground):
    assert contrast(linear(figures.PALETTE[name]), linear(ground)) >= 3
    assert contrast(linear(figures.INK), linear(LIGHT)) >= 4.5


@pytest.mark.parametrize("ground", [LIGHT, DARK])
@pytest.mark.parametrize("name", ["flow", "stochastic flow"])
def test_lines_stand_out_on_the_fill_of_a_level_set(name, ground):
    fill = over(figures.PALETTE["flow"], ground, figures.FILL_OPACITY)
    assert contrast(linear(figures.PALETTE[name]), linear(fill)) >= 3


@pytest.mark.parametrize(
    ("kind", "least", "measured"),
    [("none", 15, 17.7), ("deuteranopia", 10, 11.1), ("protanopia", 10, 11.3), ("tritanopia", 9, 9.8)],
)
def test_any_two_colours_can_be_told_apart(kind, least, measured):
    seen = {name: lab(np.array(BLINDNESS[kind]) @ linear(colour)) for name, colour in figures.PALETTE.items()}
    nearest = min(delta_e(seen[a], seen[b]) for a, b in combinations(seen, 2))
    assert nearest >= least
    assert nearest == pytest.approx(measured, abs=0.15)


def test_no_text_of_the_style_is_below_the_smallest():
    assert (
        min(
            value
            for key, value in STYLE.items()
            if key.endswith("size") and "marker" not in key and "fig" not in key
        )
        >= 10.5
    )
