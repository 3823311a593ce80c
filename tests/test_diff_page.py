"""The HTML diff in a real headless Chromium: it loads, filters, opens rows, stays fluid, runs nothing of a model's."""

import shutil
import time
from dataclasses import replace

import pytest
from playwright.sync_api import sync_playwright

from orca2.diff.diff import Change, Diff, Group
from orca2.diff.output import Shifts
from orca2.diff.page import as_html

NONE = Shifts(strategies=[], quality=({}, {}))
EVIL = '<script>document.title = "taken"</script><img src=x onerror="document.title = \'taken\'"></script><!-- '
BROWSER = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")

pytestmark = pytest.mark.skipif(
    BROWSER is None, reason="no Chromium here: install Debian's chromium to run these tests"
)


def change(number, before="Answer: 1", after="Answer: 2", **fields):
    turns = [[{"role": "user", "content": f"Question {number}?"}, {"role": "assistant", "content": text}]
             for text in (before, after)]  # fmt: skip
    sides = [{"task": "t", "messages": spoken} for spoken in turns]
    values = {
        "status": "changed", "row_id": f"{number:064x}", "sample_index": 0, "task": f"task_{number % 3}",
        "strategy": "step_by_step", "cause": "template", "detail": "templates/strategies/step_by_step.j2 line 7",
        "fields": ("messages",), "before": sides[0], "after": sides[1],
    }  # fmt: skip
    return Change(**values | fields)


def page_of(changes, **fields):
    found = Diff(before="HEAD~1 (0123456)", after="HEAD (89abcde)", stage="erase", shown=list(changes), **fields)
    for c in changes:
        found.counts[Group(c.status, c.task, c.strategy, c.cause, c.detail)] += 1
        found.fields.update(c.fields)
    return as_html(found, NONE)


@pytest.fixture(scope="module")
def browser():
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=BROWSER, args=["--no-sandbox"])
        yield running
        running.close()


@pytest.fixture
def opened(browser, tmp_path):
    """Open a page without any network; what its console says is checked at the end."""
    context = browser.new_context(offline=True, viewport={"width": 1400, "height": 1000})
    page = context.new_page()
    said = []
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))

    def opening(html):
        (tmp_path / "diff.html").write_text(html, "utf-8")
        page.goto((tmp_path / "diff.html").as_uri())
        return page

    yield opening
    context.close()
    assert said == []


def items(page):
    return page.locator("#list .item")


def test_it_loads_with_its_summary_and_opens_the_first_row(opened):
    page = opened(page_of([change(1), change(2)]))
    assert page.title() == "orca2 diff HEAD~1 (0123456) → HEAD (89abcde)"
    assert "2 changed" in page.locator("header").inner_text()
    assert page.locator("table").first.inner_text().startswith("why")
    assert items(page).count() == 2
    assert page.locator("#row h2").inner_text() == f"changed: {1:064x}"


def test_filters_narrow_the_list_and_say_how_far(opened):
    page = opened(
        page_of([change(n) for n in range(9)] + [change(99, status="added", cause="source", before="", after="new")])
    )
    page.select_option("#task", "task_1")
    assert page.locator("#matches").inner_text() == "3 of 10 rows"
    page.select_option("#task", "\0")
    page.select_option("#status", "added")
    assert items(page).count() == 1
    page.select_option("#status", "\0")
    page.fill("#text", "question 7")
    assert page.locator("#matches").inner_text() == "1 of 10 rows"
    page.fill("#text", "no such thing")
    assert page.locator("#row").inner_text() == "No row passes these filters."
    page.fill("#text", f"{3:064x}")
    assert page.locator("#row h2").inner_text() == f"changed: {3:064x}"


def test_a_row_is_opened_by_a_click_and_by_the_keys_with_its_words_marked(opened):
    page = opened(page_of([change(1), change(2, before="the old cat sat", after="the new cat sat here")]))
    items(page).nth(1).click()
    assert page.locator("#row del").all_inner_texts() == ["old"]
    assert page.locator("#row ins").all_inner_texts() == ["new", " here"]
    page.locator("#list").press("ArrowUp")
    assert page.locator("#row del").all_inner_texts() == ["1"]


def test_added_and_removed_rows_show_their_one_side(opened):
    one_sided = [replace(change(1), status="added", before=None), replace(change(2), status="removed", after=None)]
    page = opened(page_of(one_sided))
    assert page.locator("#row .sides").count() == 0
    assert page.locator("#row .cell").first.inner_text().endswith("Answer: 2")
    items(page).nth(1).click()
    assert page.locator("#row .cell").first.inner_text().endswith("Answer: 1")


def test_what_a_model_wrote_runs_nothing_and_is_shown_as_it_is(opened):
    page = opened(
        page_of([change(1, before=EVIL, after=EVIL + "more", task=EVIL, detail=EVIL, row_id=EVIL)], notes=[EVIL])
    )
    assert page.title().startswith("orca2 diff")
    assert EVIL.strip() in page.locator("#row .cell").first.inner_text()
    assert page.locator("#row img, #list img, header img, table img").count() == 0
    assert page.evaluate("document.scripts.length") == 2


def test_ten_thousand_rows_stay_fluid(opened):
    begin = time.perf_counter()
    page = opened(page_of([change(n, before="word " * 200, after="word " * 199 + f"{n}") for n in range(10_000)]))
    assert page.locator("#matches").inner_text() == "10,000 of 10,000 rows"
    assert time.perf_counter() - begin < 20
    assert items(page).count() < 60
    frame = page.evaluate("""async () => {
        const list = document.getElementById("list"), frames = [];
        for (let i = 0; i < 40; i++) {
            list.scrollTop += 5000;
            const start = performance.now();
            list.dispatchEvent(new Event("scroll"));
            frames.push(performance.now() - start);
            await new Promise(requestAnimationFrame);
        }
        return frames.sort((a, b) => a - b)[20];
    }""")
    assert frame < 16
    assert items(page).count() < 60
    page.locator("#list").evaluate("list => { list.scrollTop = list.scrollHeight }")
    page.get_by_text(f"{9999:064x}"[:12]).first.wait_for()
    begin = time.perf_counter()
    page.fill("#text", f"{4242:064x}")
    assert page.locator("#row h2").inner_text() == f"changed: {4242:064x}"
    assert time.perf_counter() - begin < 5


def test_a_diff_without_a_row_is_a_page_too(opened):
    page = opened(page_of([]))
    assert "the same rows" in page.locator("header").inner_text()
    assert page.locator("#list").count() == 0
