"""The built book in a browser, from disk, network off: console, hosts, width, formulas, sliders, search.

Reads the site in $BOOK_HTML, or else in _build/html. Without a site or a Chromium the tests are skipped; with
BROWSER_TEST=required they fail instead.
"""

import os
import re
import shutil
from pathlib import Path

import pytest

SITE = Path(os.environ.get("BOOK_HTML", Path(__file__).resolve().parents[2] / "_build/html"))
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
PAGES = sorted(
    path.relative_to(SITE).as_posix() for path in SITE.glob("*/*.html") if path.parts[-2] != "_static"
)
DESKTOP, PHONE = {"width": 1280, "height": 900}, {"width": 390, "height": 844}
OTHER_HOST = re.compile(r"^(?!file:|data:|blob:|about:)")

missing = (
    "no built book: run make book" if not PAGES else "no Chromium on this system" if not CHROMIUM else None
)
if missing and os.environ.get("BROWSER_TEST") != "required":
    pytest.skip(f"{missing}, then make test", allow_module_level=True)

# What a page shows that it should not, found in the page itself.
FORMULA_FAULTS = """async () => {
    if (!window.MathJax) return document.querySelector(".math") ? ["formulas without MathJax"] : [];
    await MathJax.startup.promise;
    const all = (selector) => [...document.querySelectorAll(selector)];
    const text = (selector) => all(selector).map((node) => node.textContent.trim());
    const raw = all(".math").filter((node) => !node.querySelector("mjx-container"));
    return [
        ...text("[data-mml-node='merror'], merror").map((error) => "TeX error: " + error),
        ...text("mtext[mathcolor='red'], [data-mml-node='mtext'][fill='red'], [data-mml-node] [fill='red']")
            .map((macro) => "undefined macro: " + macro),
        ...raw.map((node) => "formula not set: " + node.textContent),
    ];
}"""
PICTURE_FAULTS = """() => {
    const named = (node) => node.getAttribute("alt") ?? node.getAttribute("aria-label") ?? "";
    return [...document.querySelectorAll("article :is(img, [role='img']):not(mjx-container *)")].map(named)
        .filter((text) => text.trim().split(/\\s+/).length < 2 || /\\.(png|svg|jpe?g|webp)$/i.test(text));
}"""
TOO_WIDE = """() => {
    const width = document.documentElement.clientWidth;
    if (document.documentElement.scrollWidth <= width) return [];
    const scrolls = (node) => node
        && (getComputedStyle(node).overflowX !== "visible" || scrolls(node.parentElement));
    return [...document.querySelectorAll("article *")]
        .filter((node) => node.getBoundingClientRect().right > width + 1 && !scrolls(node.parentElement))
        .slice(0, 5).map((node) => `${node.tagName} ${node.className}: ${node.textContent.slice(0, 60)}`)
        .concat(["the document"]);
}"""


@pytest.fixture(scope="module")
def browser():
    assert missing is None, missing
    api = pytest.importorskip("playwright.sync_api")
    with api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        yield browser
        browser.close()


@pytest.fixture
def visit(browser):
    """Open a page of the book; what it complains about or asks other hosts for is collected in ``faults``."""
    contexts = []

    def opened(address, *, scheme="light", size=DESKTOP, script=True):
        context = browser.new_context(
            color_scheme=scheme, viewport=size, java_script_enabled=script, offline=True
        )
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(20_000)
        page.faults = []
        page.on("pageerror", lambda error: page.faults.append(f"error: {error}"))
        page.on("console", lambda said: said.type == "error" and page.faults.append(f"console: {said.text}"))
        page.on(
            "request", lambda asked: OTHER_HOST.match(asked.url) and page.faults.append(f"asks {asked.url}")
        )
        page.goto(f"file://{SITE.resolve()}/{address}", wait_until="load")
        return page

    yield opened
    for context in contexts:
        context.close()


def faults_of(page):
    """All that is wrong with a page as it is shown now."""
    found = [*page.faults, *page.evaluate(FORMULA_FAULTS)]
    found += [f"picture without alternative text: {text!r}" for text in page.evaluate(PICTURE_FAULTS)]
    return found + [f"wider than the screen: {text}" for text in page.evaluate(TOO_WIDE)]


@pytest.mark.parametrize("address", PAGES)
def test_a_page_is_whole_on_desktop_and_phone_in_light_and_dark(visit, address):
    for scheme, sizes in (("light", (DESKTOP, PHONE)), ("dark", (PHONE, DESKTOP))):
        page = visit(address, scheme=scheme, size=sizes[0])
        assert page.locator("html").get_attribute("data-theme") == scheme
        for size in sizes:
            page.set_viewport_size(size)
            assert faults_of(page) == [], f"{scheme}, {size['width']} px"


def explored():
    """Pages with an explorer on them."""
    return [
        address for address in PAGES if 'class="lib-explorer"' in (SITE / address).read_text(encoding="utf-8")
    ]


def shown(box):
    """What an explorer shows: the picture's drawing, what is read out, the sentence."""
    picture = box.locator("[role='img']")
    return (
        picture.inner_html(),
        picture.get_attribute("aria-label"),
        box.locator(".lib-explorer-finding").inner_text(),
    )


@pytest.mark.parametrize("address", explored())
@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_sliders_move_the_picture_by_keyboard_and_mouse_and_reset_brings_it_back(visit, address, size):
    page = visit(address, size=size)
    for box in page.locator(".lib-explorer").all():
        first = shown(box)
        sliders = box.locator("input[type='range']").all()
        assert sliders
        for slider in sliders:
            slider.focus()
            before, text = shown(box), slider.get_attribute("aria-valuetext")
            at_end = slider.evaluate("slider => slider.value === slider.max")
            page.keyboard.press("ArrowLeft" if at_end else "ArrowRight")
            assert slider.get_attribute("aria-valuetext") != text
            assert shown(box)[0] != before[0]
            before, text = shown(box), slider.get_attribute("aria-valuetext")
            at_end = slider.evaluate("slider => slider.value === slider.max")
            width = slider.bounding_box()["width"]
            slider.click(position={"x": 2 if at_end else width - 2, "y": slider.bounding_box()["height"] / 2})
            assert slider.get_attribute("aria-valuetext") != text
            assert shown(box)[0] != before[0]
        box.get_by_role("button", name="Reset").click()
        assert shown(box) == first
    assert page.faults == []


@pytest.mark.parametrize("address", explored())
def test_without_scripts_the_first_frame_stands_there(visit, address):
    page = visit(address, script=False, size=PHONE)
    for box in page.locator(".lib-explorer").all():
        assert box.locator("img").bounding_box()["height"] > 100
        assert len(box.locator("img").get_attribute("alt").split()) > 2
        assert box.locator(".lib-explorer-finding").is_visible()
        assert box.locator("input").count() == 0


def test_the_search_finds_pages(visit):
    page = visit("search.html?q=gradient")
    page.locator("#search-results li a").first.wait_for()
    assert page.faults == []


def test_the_root_leads_to_the_first_page(visit):
    page = visit("index.html")
    page.wait_for_url(re.compile("book/index.html"))
    assert page.locator("article h1").count() == 1
