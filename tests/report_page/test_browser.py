"""The report page in headless Chromium: every page opens without an error, filters, and passes axe's checks."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import sync_playwright

from harness.conformance import suite_claims
from harness.report_page import command, model, run_folders

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome") or shutil.which("chromium-browser")
pytestmark = [
    pytest.mark.skipif(not CHROMIUM, reason="no Chromium on PATH"),
    pytest.mark.timeout(600),  # likewise
]
SLOW = 240_000  # milliseconds: a browser on a busy machine
PATH = {"path": "Envoy Gateway 1.7.5 to 1.9.0", "order": "definitions first", "sent": "900", "lost": "1"}
BACK = {"path": "Envoy Gateway 1.7.5 to 1.9.0, back", "order": "definitions first", "sent": "800", "lost": "0"}
SUITE = {"run": "inside", "passed": "74", "failed": "1", "skipped": "20", "held": "73", "broken": "2"}
PAGES = (
    "",
    "claims",
    "claims?outcome=broken",
    "runs",
    "run/0",
    "cell/0",
    "claim/0",
    "changes",
    "compare/0/1",
    "support",
)


@pytest.fixture(scope="module")
def browser():
    with sync_playwright() as playwright:
        one = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"], timeout=SLOW)
        context = one.new_context()
        context.set_default_timeout(SLOW)
        yield context
        one.close()


@pytest.fixture
def address(written, verdict, tmp_path: Path) -> str:
    runs = [
        written(1, verdict("a"), verdict("b", "broken"), verdict("c", "skipped", reason="no")),
        written(2, verdict("a", "broken"), verdict("b")),
        written(
            3, verdict("d", area="upgrades"), facts={"upgrade to": "eg-1.9.0"}, tables={"upgrade paths": [PATH, BACK]}
        ),
        written(4, verdict("UDPRoute", area=suite_claims.AREA), tables={suite_claims.TABLE: [SUITE]}),
    ]
    file = tmp_path / "page.html"
    file.write_text(command.render_page(model.page(*run_folders.read_runs(runs), "2026-11-27T22:00:00+00:00")))
    return file.as_uri()


def test_every_page_opens_and_is_accessible(browser, address):
    page = browser.new_page()
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    found = {}
    for name in PAGES:
        page.goto(f"{address}#/{name}")
        violations = Axe().run(page).response["violations"]
        found[name] = (page.inner_text("h1"), [one["id"] for one in violations])
    page.close()

    assert errors == []
    assert {name: ids for name, (_, ids) in found.items() if ids} == {}
    assert len({title for title, _ in found.values()}) == len(PAGES) - 1  # two of them are the claims
    assert not [name for name, (title, _) in found.items() if title == "There is no such page"]


def test_claim_names_its_witnesses_and_evidence(browser, written, verdict, tmp_path: Path):
    """Also of a run whose evidence is in another place than the newest's."""
    runs = [written(1, verdict("a", evidence="artifacts/old/")), written(2, verdict("a", evidence="artifacts/new/"))]
    file = tmp_path / "page.html"
    file.write_text(command.render_page(model.page(*run_folders.read_runs(runs), "2026-11-27T22:00:00+00:00")))
    page = browser.new_page()
    texts = []
    for claim in ("claim/0/0", "claim/0/1"):
        page.goto(f"{file.as_uri()}#/{claim}")
        texts.append(page.inner_text("main"))
    page.close()

    assert "All evidence: 20261127T010000Z-kind-set-a/artifacts/old/" in texts[0]
    assert "All evidence: 20261127T020000Z-kind-set-a/artifacts/new/" in texts[1]
    assert all("Witnesses: client, waypoint access log" in text for text in texts)


def test_upgrades_have_a_table(browser, address):
    """On the page of the matrix: a row for each way, with the verdicts of the run and what was lost."""
    page = browser.new_page()
    page.goto(f"{address}#/")
    rows = page.locator("table", has_text="Upgrades there and back").locator("tbody tr").all_inner_texts()
    page.close()

    assert [row.split("\t")[:7] for row in rows] == [
        [PATH["path"], PATH["order"], "1.34", "held 1 held", "1.50", "900", "1"],
        [BACK["path"], BACK["order"], "1.34", "held 1 held", "1.50", "800", "0"],
    ]


def test_conformance_has_a_table(browser, address):
    """On the page of the matrix: a row for each run of the suite."""
    page = browser.new_page()
    page.goto(f"{address}#/")
    rows = page.locator("table", has_text="What the suite counts").locator("tbody tr").all_inner_texts()
    page.close()

    assert [row.split("\t")[1:7] for row in rows] == [["1.34", "inside", "74", "1", "20", "73"]]


def test_dark_colours_have_contrast(browser, address):
    page = browser.new_page()
    page.emulate_media(color_scheme="dark")
    page.goto(f"{address}#/run/0")
    violations = Axe().run(page, options={"runOnly": ["color-contrast"]}).response["violations"]
    background = page.evaluate("getComputedStyle(document.body).backgroundColor")
    page.close()

    assert violations == []
    assert background == "rgb(20, 24, 31)"


def test_filter_is_part_of_the_address(browser, address):
    page = browser.new_page()
    page.goto(f"{address}#/run/0")
    page.select_option("#outcome", "broken")
    filtered, link = page.inner_text("[role=status]"), page.url
    page.goto("about:blank")
    page.goto(link)
    again = page.inner_text("[role=status]")
    page.close()

    assert filtered == again == "1 of 3 claims"
    assert link.endswith("#/run/0?outcome=broken")


def test_narrow_screen_does_not_scroll_sideways(browser, address):
    page = browser.new_page()
    page.set_viewport_size({"width": 360, "height": 700})
    widths = {}
    for name in PAGES:
        page.goto(f"{address}#/{name}")
        widths[name] = page.evaluate("document.documentElement.scrollWidth")
    page.close()

    assert max(widths.values()) <= 360, widths
