"""The report as a browser shows it: nothing sticks out, nothing fails, nothing is asked of the network."""

import os
import shutil

import pytest

from pellucid.report.page import write_run

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed, so no page is looked at"),
]


@pytest.fixture(scope="module")
def browser():
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed: no page is looked at")
    arguments = ["--disable-gpu", "--disable-quic", "--disable-background-networking", "--disable-component-update"]
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        arguments.append("--no-sandbox")  # Chromium's own sandbox does not work for root
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=CHROMIUM, args=arguments)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def report(make_run, digits, tmp_path_factory):
    return write_run(make_run(tmp_path_factory.mktemp("browser")), digits)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [375, 1280])
def test_fits_loads_and_is_silent(browser, report, width, scheme):
    page = browser.new_page(viewport={"width": width, "height": 812}, color_scheme=scheme)
    said, asked = [], []
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("request", lambda request: asked.append(request.url))
    page.goto(report.as_uri())
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.evaluate("[...document.images].length") == 24 + 24 + 4
    assert page.evaluate("[...document.images].every(image => image.complete && image.naturalWidth > 0)")
    assert not said
    assert [url for url in asked if not url.startswith("data:")] == [report.as_uri()]
    assert (
        page.evaluate("getComputedStyle(document.body).backgroundColor")
        == ({"light": "rgb(251, 251, 249)", "dark": "rgb(20, 24, 29)"}[scheme])
    )
    page.close()


def test_text_can_be_told_from_its_ground(browser, report):
    """WCAG's contrast of at least 4.5 to 1 for text, in both schemes."""
    measure = """() => {
        const light = (colour) => {
            const [r, g, b] = colour.match(/[\\d.]+/g).slice(0, 3).map(v => v / 255)
                .map(v => v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
            return 0.2126 * r + 0.7152 * g + 0.0722 * b;
        };
        const ground = (element) => {
            for (let e = element; e; e = e.parentElement) {
                const colour = getComputedStyle(e).backgroundColor;
                if (colour !== "rgba(0, 0, 0, 0)") return colour;
            }
        };
        return [...document.querySelectorAll("p, dt, dd, th, td, h1, h2, h3, a, code, li")].map(element => {
            const [a, b] = [light(getComputedStyle(element).color), light(ground(element))].sort((x, y) => y - x);
            return (a + 0.05) / (b + 0.05);
        });
    }"""
    for scheme in ("light", "dark"):
        page = browser.new_page(color_scheme=scheme)
        page.goto(report.as_uri())
        ratios = page.evaluate(measure)
        assert len(ratios) > 100
        assert min(ratios) >= 4.5
        page.close()


def test_a_table_is_sorted_by_pressing_its_head(browser, report):
    page = browser.new_page()
    page.goto(report.as_uri())
    table = page.locator("#classes table")
    recall = "[...document.querySelectorAll('#classes tbody tr')].map(row => parseFloat(row.cells[2].textContent))"
    before = page.evaluate(recall)
    table.get_by_role("button", name="recall %").click()
    assert page.evaluate(recall) == sorted(before) != before
    table.get_by_role("button", name="recall %").click()
    assert page.evaluate(recall) == sorted(before, reverse=True)
    assert table.locator("th[aria-sort=descending]").count() == 1
    page.close()


def test_the_page_reads_without_scripts(browser, report):
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(report.as_uri())
    assert page.get_by_role("heading", level=1).inner_text() == "convnet on digits"
    assert page.locator("#classes tbody tr").count() == 10
    context.close()


def test_a_picture_is_enlarged_by_a_click_and_the_arrow_keys_go_on(browser, report):
    page = browser.new_page(viewport={"width": 390, "height": 844})
    page.goto(report.as_uri())
    buttons = page.locator("#mistakes button.enlarge")
    buttons.first.focus()
    page.keyboard.press("Enter")
    viewer = page.locator("#viewer")
    assert viewer.is_visible()
    assert page.evaluate("document.querySelector('#viewer img').getBoundingClientRect().width") > 200
    caption = page.locator("#viewer-caption")
    assert caption.inner_text().startswith(buttons.first.get_attribute("title"))
    assert "label:" in caption.inner_text()
    page.keyboard.press("ArrowRight")
    assert caption.inner_text().startswith(buttons.nth(1).get_attribute("title"))
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("ArrowLeft")
    assert caption.inner_text().startswith(buttons.last.get_attribute("title")), "from the first to the last"
    page.get_by_role("button", name="Next").click()
    assert caption.inner_text().startswith(buttons.first.get_attribute("title"))
    page.keyboard.press("Escape")
    assert not viewer.is_visible()
    assert page.evaluate("document.activeElement === document.querySelector('#mistakes button.enlarge')")
    page.close()


def test_charts_fit_a_phone_and_settings_at_their_defaults_are_folded(browser, report):
    page = browser.new_page(viewport={"width": 390, "height": 844})
    page.goto(report.as_uri())
    for section in ("confusion", "reliability"):
        assert page.evaluate(f"document.querySelector('#{section} figure img').getBoundingClientRect().right") <= 390
    rest = page.locator("#training details dl")
    assert not rest.is_visible()
    page.get_by_text("Settings at their defaults, preprocessing and versions").click()
    assert rest.is_visible()
    page.close()
