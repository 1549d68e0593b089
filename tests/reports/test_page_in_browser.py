"""The report's page in a real browser: tables, figures, switches, gallery, keyboard; no error and no request."""

import shutil
import time

import numpy as np
import pytest
from made_runs import HOSTILE, N_CLASSES, N_DATABASE, N_QUERIES, made_run

from hashbench.data.dataset import Dataset
from hashbench.data.protocol import Protocol
from hashbench.data.splits import Split
from hashbench.reports.page.figures.all_figures import figures_of
from hashbench.reports.page.from_run import settings_of_run
from hashbench.reports.page.gallery import make_gallery
from hashbench.reports.page.page import render
from hashbench.reports.page.setting import Setting
from hashbench.results.rows import Row, Score

webdriver = pytest.importorskip("selenium.webdriver", reason="needs selenium")
from selenium.webdriver.common.by import By  # noqa: E402
from selenium.webdriver.common.keys import Keys  # noqa: E402
from selenium.webdriver.support.select import Select  # noqa: E402
from selenium.webdriver.support.wait import WebDriverWait  # noqa: E402

CHROMIUM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not (CHROMIUM and DRIVER), reason="needs Debian's chromium and chromium-driver"),
]
N_METHODS, BITS = 100, (8, 16, 32, 64, 128)
SCRIPT = "<script>alert(1)</script>"


def many_rows():
    """Return a setting of 500 rows."""
    rng = np.random.default_rng(0)
    rows = []
    for number in range(N_METHODS):
        for n_bits in BITS:
            mean = float(rng.uniform(0.2, 0.7))
            score = Score(mean, 0.01, 3, mean - 0.02, mean + 0.02, "separable")
            config = {"method": "m", "source": "s", "params": {"p": number}}
            label, timings = f"method{number:03}", {"fit_s": rng.random()}
            rows.append(Row(label, config, n_bits, 5, "0 1", {"mAP@all": score}, timings, False, "2026-01-01"))
    return Setting("many", "many/1", "pixels", "official", "many.csv", "", {}, rows, [])


def lower_is_better():
    """Return a setting of two metrics: of MRR@all lower values are better here, and one row has none."""
    means = {"second": 0.3, "best": 0.2, "third": 0.4}
    verdicts = {"best": "best", "second": "not separable", "third": "separable"}
    rows = [
        Row(
            name,
            {},
            16,
            scores={"mAP@all": Score(mean), "MRR@all": Score(mean, verdict=verdicts[name], better="lower")},
        )
        for name, mean in means.items()
    ]
    rows.append(Row("without", {}, 16, scores={"mAP@all": Score(0.1)}))
    return Setting("lower", "lower/1", "pixels", "official", "lower.csv", "", {}, rows, [])


def made_dataset():
    """Return images that fit the codes of `made_run`."""
    n = N_QUERIES + N_DATABASE
    labels = np.concatenate([np.arange(N_QUERIES) % N_CLASSES, np.arange(N_DATABASE) % N_CLASSES])
    images = np.random.default_rng(0).integers(256, size=(n, 6, 6, 3), dtype=np.uint8)
    database = np.arange(N_QUERIES, n)
    split = Split(database, np.arange(N_QUERIES), database)
    protocol = Protocol("toy/1", "by hand", N_QUERIES, N_DATABASE, N_DATABASE, ("mAP@all",))
    return Dataset("toy", protocol, split, labels, images)


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    """Return a browser that shows a page of three settings, and all that it has logged meanwhile."""
    folder = tmp_path_factory.mktemp("browser")
    store = made_run(folder / "run", HOSTILE, method="m")
    (small,) = settings_of_run(store.directory)
    figures, galleries = [[], *figures_of([small]), []], {1: make_gallery(small, made_dataset())}
    content = render([many_rows(), small, lower_is_better()], figures, galleries, "")
    (folder / "report.html").write_bytes(content)
    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for argument in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--window-size=1200,900"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(DRIVER))
    driver.execute_cdp_cmd("Performance.enable", {"timeDomain": "threadTicks"})
    driver.get((folder / "report.html").as_uri())
    yield driver
    driver.quit()


def drawn(browser):
    """Wait until every figure stands."""
    end = time.monotonic() + 60
    while browser.execute_script("return document.body.dataset.drawing") != "no":
        assert time.monotonic() < end
        time.sleep(0.05)


def choose(browser, **values):
    """Choose in the switches of the page by value, and let the figures be drawn."""
    for name, value in values.items():
        Select(browser.find_element(By.ID, name)).select_by_value(value)
    drawn(browser)


def texts(browser, selector):
    script = "return [...document.querySelectorAll(arguments[0])].map((element) => element.textContent)"
    return browser.execute_script(script, selector)


def test_five_hundred_rows_are_usable_at_once(browser):
    choose(browser, setting="0", bits="all")
    assert len(texts(browser, "#table tbody tr")) == N_METHODS * len(BITS)
    metrics = {one["name"]: one["value"] for one in browser.execute_cdp_cmd("Performance.getMetrics", {})["metrics"]}
    assert 0 < metrics["TaskDuration"] < 3  # the processor's time of the page's thread, loading included


def test_the_table_sorts_by_mouse_and_keyboard(browser):
    choose(browser, setting="0", bits="16")
    scores = texts(browser, "#table tbody td:nth-child(2)")
    assert scores == sorted(scores, reverse=True)
    browser.find_element(By.CSS_SELECTOR, "[data-sort=score]").click()
    assert texts(browser, "#table tbody td:nth-child(2)") == sorted(scores)
    browser.find_element(By.CSS_SELECTOR, "[data-sort=label]").send_keys(Keys.ENTER)
    assert texts(browser, "#table tbody th") == sorted(texts(browser, "#table tbody th"))
    assert browser.switch_to.active_element.get_attribute("data-sort") == "label"
    assert browser.switch_to.active_element.find_element(By.XPATH, "..").get_attribute("aria-sort") == "ascending"
    browser.find_element(By.CSS_SELECTOR, "[data-sort=score]").click()


def test_the_best_is_first_where_lower_is_better(browser):
    choose(browser, setting="2", bits="16", metric="mAP@all")
    assert texts(browser, "#table tbody th") == ["third", "second", "best", "without"]
    choose(browser, metric="MRR@all")
    assert texts(browser, "#table tbody th") == ["best", "second", "third", "without"]
    assert "best has the lowest mean (0.2000)" in texts(browser, "#verdict")[0]
    browser.find_element(By.CSS_SELECTOR, "[data-sort=label]").click()
    browser.find_element(By.CSS_SELECTOR, "[data-sort=score]").click()
    assert texts(browser, "#table tbody th") == ["best", "second", "third", "without"]
    browser.find_element(By.CSS_SELECTOR, "[data-sort=score]").click()
    assert texts(browser, "#table tbody th") == ["third", "second", "best", "without"]
    browser.find_element(By.CSS_SELECTOR, "[data-sort=verdict]").click()
    assert texts(browser, "#table tbody th") == ["best", "second", "third", "without"]
    browser.find_element(By.CSS_SELECTOR, "[data-sort=score]").click()


def test_switches_and_filters(browser):
    choose(browser, setting="0", bits="32")
    assert texts(browser, "#count") == ["100 of 100 rows"]
    field = browser.find_element(By.ID, "filter")
    field.send_keys("METHOD04")
    assert texts(browser, "#count") == ["10 of 100 rows"]
    field.send_keys(Keys.CONTROL, "a", Keys.DELETE)
    choose(browser, setting="1", bits="8", metric="mAP@10")
    assert texts(browser, "#count") == ["3 of 3 rows"]
    verdicts = texts(browser, "#table tbody td:nth-child(4)")
    Select(browser.find_element(By.ID, "verdict-filter")).select_by_value("top")
    kept = texts(browser, "#table tbody td:nth-child(4)")
    assert kept == [verdict for verdict in verdicts if verdict in ("★ best", "≈ not separable")]
    assert len(kept) < len(verdicts)
    Select(browser.find_element(By.ID, "verdict-filter")).select_by_value("")
    assert "8 bits: by mAP@10" in texts(browser, "#verdict")[0]
    choose(browser, metric="mAP@all", bits="16")
    assert "16 bits: by mAP@all" in texts(browser, "#verdict")[0]
    assert texts(browser, "#pr figcaption") == ["precision and recall, 16 bits"]


def test_figures_are_drawn_and_described(browser):
    choose(browser, setting="1", bits="8")
    charts = browser.find_elements(By.CSS_SELECTOR, ".chart")
    assert len(charts) > 6
    assert all(chart.find_elements(By.CSS_SELECTOR, "svg path") for chart in charts)
    names = [chart.accessible_name for chart in charts]
    assert all(len(name) > 40 for name in names), names


def test_a_tooltip_shows_names_as_text(browser):
    choose(browser, setting="1", bits="8")
    points = browser.find_elements(By.CSS_SELECTOR, "#cost .chart .mark-symbol.role-mark path")
    seen = set()
    for point in points[-6:]:
        webdriver.ActionChains(browser).move_to_element(point).perform()
        seen.update(texts(browser, "#vg-tooltip-element.visible td.value"))
    assert seen & set(HOSTILE)


def test_numbers_and_gallery_by_keyboard(browser):
    choose(browser, setting="1", bits="8")
    summary = browser.find_element(By.CSS_SELECTOR, "#cost details summary")
    summary.send_keys(Keys.ENTER)
    # The browser tells the page that the details are open only after it has answered.
    rows = WebDriverWait(browser, 10).until(
        lambda browser: browser.find_elements(By.CSS_SELECTOR, "#cost details[open] tbody tr")
    )
    assert len(rows) == len(HOSTILE) * 2
    before = browser.execute_script("return document.querySelector('#rankings img').src")
    browser.find_element(By.ID, "query").send_keys(Keys.ARROW_DOWN)
    assert browser.execute_script("return document.querySelector('#rankings img').src") != before
    items = browser.find_elements(By.CSS_SELECTOR, "#rankings li")
    assert len(items) == 10 * len(HOSTILE)
    wrong = [item for item in items if item.get_attribute("class") == "wrong"]
    assert all("not relevant" in item.find_element(By.TAG_NAME, "img").get_attribute("alt") for item in wrong)
    assert 0 < len(wrong) < len(items)
    assert browser.execute_script("return [...document.images].every((image) => image.complete && image.naturalWidth)")


def test_hostile_names_do_nothing(browser):
    choose(browser, setting="1", bits="8")
    assert set(texts(browser, "#table tbody bdi")) == set(HOSTILE)
    assert len(browser.find_elements(By.TAG_NAME, "script")) == 3
    assert SCRIPT in "".join(texts(browser, ".chart svg text"))


def test_the_reader_chooses_light_or_dark(browser):
    choose(browser, setting="1", bits="8")
    colours = set()
    for scheme in ("light", "dark"):
        browser.execute_cdp_cmd(
            "Emulation.setEmulatedMedia", {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
        )
        colours.add(browser.execute_script("return getComputedStyle(document.body).backgroundColor"))
        colours.add(browser.execute_script("return getComputedStyle(document.querySelector('.role-axis text')).fill"))
    assert len(colours) == 4  # the page and the text on it, both in the light and in the dark


def test_a_phone_does_not_scroll_sideways(browser):
    phone = {"width": 390, "height": 844, "deviceScaleFactor": 1, "mobile": True}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", phone)
    choose(browser, setting="1", bits="16")
    assert browser.execute_script("return document.documentElement.scrollWidth") <= 390
    browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def test_no_message_and_no_request_in_all_that(browser):
    assert browser.get_log("browser") == []
    sent = [
        entry["message"] for entry in browser.get_log("performance") if 'Network.requestWillBeSent"' in entry["message"]
    ]
    assert sent  # the page itself
    assert not [message for message in sent if '"url":"http' in message or '"url":"ws' in message]
