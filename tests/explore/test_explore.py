"""The explorer: frames stored as differences, words for each, and sliders that move in a browser."""

import base64
import html
import json
import re
import shutil
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lib import figures
from lib.explore import explore
from lib.explore._explore import _edits, _spoken, _themed

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
CSS = Path(__file__).parents[2] / "book" / "_static" / "custom.css"


def draw(alpha=1.0, gamma=0.0, *, height=3.2, finding=None):
    fig, ax = figures.canvas(height)
    ax.plot([0, 1, 2], [alpha, alpha / 2, alpha / 3 + gamma], label="flow", **figures.role("gradient flow"))
    if gamma:
        ax.plot([2], [gamma], label="noise", **figures.role("SGF", points=True))
    ax.text(1, 2.5, f"γ = {gamma:g}")
    ax.set(xlim=(0, 2), ylim=(0, 3), xlabel="time t")
    return figures.show(fig, finding or f"α = {alpha:g}, γ = {gamma:g}: it ends at {alpha / 3 + gamma:.3g}.")


ALPHA, GAMMA = [1.0, 2.0], [0, 0.5, 1.0]


@pytest.fixture(scope="module")
def explorer():
    labels = {"alpha": "start size α", "gamma": "noise γ"}
    return explore(draw, alpha=ALPHA, gamma=GAMMA, labels=labels, first={"alpha": 2.0, "gamma": 0.5})


def stored(explorer):
    """What the script finds on the page."""
    return json.loads(re.search(r'<script type="application/json">(.*?)</script>', explorer.html(), re.S)[1])


# --- frames ---------------------------------------------------------------------------------------


@given(base=st.lists(st.integers(0, 5)), frame=st.lists(st.integers(0, 5)))
def test_edits_turn_the_first_frame_into_any_other(base, frame):
    lines = list(base)
    for start, stop, instead in reversed(_edits(base, frame)):
        lines[start:stop] = instead
    assert lines == frame


def test_every_frame_comes_back_from_what_is_stored(explorer):
    data = stored(explorer)
    frames = [draw(alpha, gamma) for alpha in ALPHA for gamma in GAMMA]
    for frame, changes in zip(frames, data["frames"], strict=True):
        lines = list(data["base"])
        for start, stop, instead in reversed(changes):
            lines[start:stop] = instead
        assert "\n".join(data["lines"][k] for k in lines) == _themed(frame.svg)
    assert data["findings"] == [frame.finding for frame in frames]
    assert data["frames"][explorer.start] == []


def test_shared_lines_are_stored_once(explorer):
    alone = sum(len(picture.svg) for picture in explorer.pictures)
    assert len(json.dumps(stored(explorer))) < 0.5 * alone


def test_frames_follow_the_theme(explorer):
    drawing = "".join(stored(explorer)["lines"])
    assert "currentColor" in drawing
    assert figures.INK not in drawing
    assert "<style" not in drawing


def test_the_output_does_not_depend_on_the_run(explorer):
    again = explore(
        draw, alpha=ALPHA, gamma=GAMMA, labels=explorer.labels, first={"alpha": 2.0, "gamma": 0.5}
    )
    assert again._repr_mimebundle_() == explorer._repr_mimebundle_()


# --- without script, without picture ----------------------------------------------------------------


def test_without_script_the_first_frame_is_an_image_with_its_words(explorer):
    text = explorer.html()
    assert text.startswith('<div class="lib-explorer">\n<img src="data:image/svg+xml;base64,')
    still = re.sub("<script.*?</script>", "", text, flags=re.S)
    first = draw(2.0, 0.5)
    assert html.unescape(re.search('alt="([^"]*)"', still)[1]) == first.digest
    assert base64.b64decode(re.search('base64,([^"]*)', still)[1]).startswith(b"<svg")
    assert f">{first.finding}</p>" in still
    assert "<input" not in still
    assert "http" not in re.sub('base64,[^"]*', "", still)


def test_nothing_drawn_can_end_the_script():
    picture = figures.Picture("f", "f", '<svg viewBox="0 0 1 1"><text>a</text>\n</script></svg>')
    text = explore(lambda a: picture, a=[1]).html()
    assert text.count("</script>") == 2


def test_the_plain_text_tells_every_frame(explorer):
    words = explorer.text().splitlines()
    assert words[0] == "An explorer with 6 frames: start size α = 1, 2; noise γ = 0, 0.5, 1. The first:"
    assert words[1] == "α = 2, γ = 0.5: it ends at 1.17."
    assert words[-6:][1] == "α = 1, γ = 0.5: it ends at 0.833. [0.833, 0.5]"


def test_spoken_text_spells_what_a_screen_reader_may_skip():
    assert _spoken("noise γ") == "noise gamma"
    assert _spoken("2γ, β₂, α∞, ℓ₁, λ") == "2 gamma, beta 2, alpha infinity, l 1, lambda"


# --- the door -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "received 0 and 1"),
        ({"a": [1], "b": [1], "c": [1]}, "received 3 and 1"),
        ({"a": []}, "received 1 and 0"),
        ({"a": range(61)}, "received 1 and 61"),
        ({"a": [1], "labels": {"b": "x"}}, r"must name sliders; received \['b'\]"),
        ({"a": [1], "first": {"a": 2}}, r"first must be on the grid of a, \[1\]; received 2"),
    ],
)
def test_bad_grids_get_a_sentence(options, message):
    with pytest.raises(ValueError, match=message):
        explore(draw, **options)


def test_bad_frames_get_a_sentence():
    with pytest.raises(TypeError, match="draw must be a function"):
        explore(3, a=[1])
    with pytest.raises(TypeError, match=r"must return a Picture; received int for \(1,\)"):
        explore(lambda a: a, a=[1]).html()
    with pytest.raises(ValueError, match="at most 160 characters; received 200"):
        explore(lambda a: draw(finding="x" * 200), a=[1]).html()
    with pytest.raises(ValueError, match="must have one size"):
        explore(lambda height: draw(height=height), height=[3, 4]).html()


# --- alive ----------------------------------------------------------------------------------------


def test_outside_a_kernel_there_is_no_widget(explorer):
    assert set(explorer._repr_mimebundle_()) == {"text/plain", "text/html"}


def test_the_live_sliders_move_the_picture_and_reset_it(explorer):
    box = explorer.widget()
    picture, alpha, gamma, finding, reset = box.children
    start = picture.value
    assert (alpha.label, gamma.label) == ("2", "0.5")
    gamma.index = 2
    assert picture.value == draw(2.0, 1.0).image() != start
    assert finding.value.startswith("α = 2, γ = 1")
    reset.click()
    assert picture.value == start


@pytest.fixture(scope="module")
def page(explorer, tmp_path_factory):
    if CHROMIUM is None:
        pytest.skip("no Chromium on this machine: the explorer's script is not tried out")
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    path = tmp_path_factory.mktemp("page") / "page.html"
    text = f"<!doctype html><meta charset=utf-8><style>{CSS.read_text()}</style>{2 * explorer.html()}"
    path.write_text(text, encoding="utf-8")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        page = browser.new_page(viewport={"width": 390, "height": 800})
        page.goto(path.as_uri())
        yield page
        browser.close()


def test_in_a_browser_the_keyboard_moves_one_explorer_and_not_its_twin(page):
    one, twin = (page.locator(".lib-explorer").nth(k) for k in (0, 1))
    still = twin.locator(".lib-explorer-picture").inner_html()
    gamma = one.get_by_label("noise γ")
    height = one.bounding_box()["height"]
    before = one.locator(".lib-explorer-picture").inner_html()
    gamma.focus()
    page.keyboard.press("ArrowRight")
    assert one.locator(".lib-explorer-finding").inner_text() == "α = 2, γ = 1: it ends at 1.67."
    assert gamma.get_attribute("aria-valuetext") == "noise gamma = 1"
    assert one.get_by_role("img").get_attribute("aria-label") == "alpha = 2, gamma = 1: it ends at 1.67."
    assert one.locator("output").all_inner_texts() == ["2", "1"]
    page.keyboard.press("Home")
    page.keyboard.press("Shift+Tab")
    page.keyboard.press("ArrowLeft")
    assert one.locator(".lib-explorer-finding").inner_text() == "α = 1, γ = 0: it ends at 0.333."
    assert one.bounding_box()["height"] == height
    assert twin.locator(".lib-explorer-picture").inner_html() == still
    one.get_by_role("button", name="Reset").click()
    assert one.locator(".lib-explorer-picture").inner_html() == before
    assert page.evaluate("document.activeElement.textContent") == "Reset"


def test_in_a_browser_every_frame_is_the_picture_that_was_drawn(page, explorer):
    one = page.locator(".lib-explorer").first
    for k, picture in enumerate(explorer.pictures):
        for slider, index in enumerate(divmod(k, len(GAMMA))):
            one.locator("input").nth(slider).fill(str(index))
        shown, drawn = page.evaluate(
            """([node, svg]) => {
              const bare = (html) => html.replace(/(id="|#)e1-/g, "$1").replace(' aria-hidden="true"', "");
              const box = document.createElement("div");
              box.innerHTML = svg;
              return [bare(node.innerHTML), box.innerHTML];
            }""",
            [one.locator(".lib-explorer-picture").element_handle(), _themed(picture.svg)],
        )
        assert shown == drawn
    one.get_by_role("button", name="Reset").click()


def test_in_a_browser_targets_are_large_and_names_unique(page):
    assert page.locator(".lib-explorer-row").count() == 4
    for row in page.locator(".lib-explorer-row").all():
        assert row.bounding_box()["height"] >= 44
    button = page.get_by_role("button").first.bounding_box()
    assert button["width"] >= 64
    assert button["height"] >= 36
    ids = page.evaluate("[...document.querySelectorAll('[id]')].map(e => e.id)")
    assert len(ids) == len(set(ids))
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_in_print_the_sliders_are_gone_and_the_picture_stays(page):
    page.emulate_media(media="print")
    assert not page.locator(".lib-explorer-row").first.is_visible()
    assert page.locator(".lib-explorer-picture svg").first.is_visible()
    page.emulate_media(media="screen")
