"""The pages: whole in themselves, and alive in a real browser, on a desk and on a phone, by day and by night."""

import base64
import importlib.util
import io
import json
import re
import shutil
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from neural_style.cli import compare
from neural_style.cli.main import main
from neural_style.errors import DependencyError, OutputError
from neural_style.images.saving import save_image
from neural_style.jobs.job import Job
from neural_style.jobs.outputs import Outputs
from neural_style.jobs.provenance import describe_run
from neural_style.jobs.trace import Trace
from neural_style.metrics.similarity import compare_images, reconcile
from neural_style.recipes.presets import get_recipe
from neural_style.reports import pages
from neural_style.transfer.run import Step, StopReason

RECIPE = get_recipe("mxnet-0.7").override(style_weight=0.5)
LAYERS = [f"style_relu{i}_1" for i in range(1, 6)] + ["content_relu4_2", "total_variation"]
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
DRIVER = shutil.which("chromedriver")

pytestmark = pytest.mark.skipif(
    any(importlib.util.find_spec(name) is None for name in ("matplotlib", "jinja2")), reason="needs the extra 'report'"
)


class Device:
    context = "cpu(0)"


def step(number, **more):
    losses = {name: 10.0 ** (6 - i) / number + i for i, name in enumerate(LAYERS)}
    values = dict(
        losses=losses,
        loss=sum(losses.values()),
        gradient_norm=1e6 / number,
        clip_norm=3e5,
        learning_rate=0.001 * 0.9 ** (number // 80),
        relative_change=1 / number,
        evaluations=1,
    )
    return Step(number=number, **dict(values, **more))


def flat(path, level):
    save_image(path, np.full((40, 60, 3), level, "uint8"))
    return str(path)


@pytest.fixture
def make(tmp_path, vgg19_file):
    """Make a trace of so many steps, with pictures on the way every so many, each brighter than the one before."""

    def make(steps, every, names=("content.png", "style.png"), change=lambda number: {}):
        inputs = [flat(tmp_path / name, 200 + 50 * i) for i, name in enumerate(names)]
        job = Job(inputs[0], inputs[1:], Outputs.beside("o.png"), RECIPE)
        trace = Trace(tmp_path / "trace.json", describe_run(job, vgg19_file), RECIPE)
        for number in range(1, steps + 1):
            trace.add_step(step(number, **change(number)), Device())
            if number % every == 0:
                trace.add_picture(number, flat(tmp_path / f"tmp_{number}.png", 250 * number // steps))
        trace.finish(StopReason.STEP_LIMIT, flat(tmp_path / "result.png", 255))
        return trace.read()

    return make


@pytest.fixture(scope="module")
def chromium():
    if not (CHROMIUM and DRIVER):
        pytest.skip("needs Chromium and its driver (Debian: chromium, chromium-driver)")
    webdriver = pytest.importorskip("selenium.webdriver")
    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for flag in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(DRIVER))
    yield driver
    driver.quit()


@pytest.fixture
def browse(chromium):
    """Open a page at a width and in a scheme; after the test there must be neither console messages nor requests."""

    def browse(path, width=1280, scheme="light"):
        metrics = dict(width=width, height=900, deviceScaleFactor=1, mobile=False)
        chromium.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        chromium.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
        chromium.get(path.as_uri())
        return chromium

    yield browse
    assert chromium.get_log("browser") == []
    events = [json.loads(entry["message"])["message"] for entry in chromium.get_log("performance")]
    asked = {event["params"]["request"]["url"] for event in events if event["method"] == "Network.requestWillBeSent"}
    assert asked and all(url.startswith(("file:", "data:")) for url in asked)


def brightness(driver, selector):
    """Give the mean grey level of what a picture in the page shows, over the middle of its height."""
    element = driver.find_element("css selector", selector)
    driver.execute_script("arguments[0].scrollIntoView({block: 'center'})", element)
    shown = np.asarray(Image.open(io.BytesIO(element.screenshot_as_png)).convert("L"))
    return shown[len(shown) // 3 : len(shown) * 2 // 3].mean()


def contrast(driver, selector):
    """Give the contrast ratio (WCAG 2.1) of an element's text against the page."""
    colours = driver.execute_script(
        "const e = document.querySelector(arguments[0]);"
        "return [getComputedStyle(e).color, getComputedStyle(document.body).backgroundColor]",
        selector,
    )

    def luminance(colour):
        channels = [int(value) / 255 for value in re.findall(r"\d+", colour)[:3]]
        linear = [c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    low, high = sorted(map(luminance, colours))
    return (high + 0.05) / (low + 0.05), luminance(colours[1])


def test_the_slider_moves_the_picture(make, browse, tmp_path):
    from selenium.webdriver.common.keys import Keys

    pages.write_run_report(tmp_path / "r.html", make(steps=100, every=20))
    driver = browse(tmp_path / "r.html")
    slider = driver.find_element("id", "slider")
    assert slider.get_attribute("max") == "5"
    assert brightness(driver, "#iterate") == pytest.approx(255, abs=1)
    slider.send_keys(Keys.HOME)
    assert brightness(driver, "#iterate") == pytest.approx(50, abs=1)
    caption = driver.find_element("id", "caption")
    assert caption.text.startswith("step 20 · loss ") and caption.text.endswith("relative change 0.05")
    slider.send_keys(Keys.ARROW_RIGHT)
    assert brightness(driver, "#iterate") == pytest.approx(100, abs=1)
    assert slider.get_attribute("aria-valuetext") == caption.text
    assert driver.find_element("id", "iterate").get_attribute("alt") == "The image at " + caption.text


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_it_is_readable_at_every_width_and_in_every_scheme(make, browse, tmp_path, width, scheme):
    long = "a_photograph_with_a_name_that_no_phone_can_hold_on_one_line_however_small_its_letters_are.png"
    pages.write_run_report(tmp_path / "r.html", make(steps=30, every=3, names=(long, "style.png")))
    driver = browse(tmp_path / "r.html", width, scheme)
    assert driver.execute_script("return document.documentElement.scrollWidth") == width
    for selector in ("h1", ".summary", "figcaption", ".legend li", ".legend span", "td", "tr.chosen td:last-child"):
        ratio, paper = contrast(driver, selector)
        assert ratio >= 4.5, selector
    assert paper > 0.9 if scheme == "light" else paper < 0.02
    # Text in plots has the colour of the page's, and is not smaller than what can be read.
    sizes = driver.execute_script(
        "return [...document.querySelectorAll('svg text')].filter(t => !t.querySelector('tspan'))"
        ".map(t => parseFloat(getComputedStyle(t).fontSize) * t.ownerSVGElement.getScreenCTM().a)"
    )
    assert len(sizes) > 12 and min(sizes) >= 9
    # No two ids are the same, though four plots came from one library.
    ids = driver.execute_script("return [...document.querySelectorAll('[id]')].map(e => e.id)")
    assert len(ids) == len(set(ids))


def test_everything_has_a_name_for_who_cannot_see_it(make, browse, tmp_path):
    pages.write_run_report(tmp_path / "r.html", make(steps=10, every=5))
    driver = browse(tmp_path / "r.html")
    names = driver.execute_script(
        "return [...document.querySelectorAll('img, svg, input')].map(e => e.alt || e.getAttribute('aria-label'))"
    )
    assert len(names) == 9 and all(names)
    assert "Loss by part: total from 1.11e+06 at step 1 to 1.11e+05 at step 10" in names
    assert driver.find_element("css selector", "html").get_attribute("lang") == "en"


def test_the_plots_show_the_data(make, browse, tmp_path):
    pages.write_run_report(tmp_path / "r.html", make(steps=100, every=50))
    driver = browse(tmp_path / "r.html")
    figures = driver.find_elements("css selector", "figure.card")
    legends = [figure.find_element("css selector", ".legend").text.split("\n") for figure in figures]
    assert legends[0][0::2] == [
        "total",
        *(f"style relu{i}_1" for i in range(1, 6)),
        "content relu4_2",
        "total variation",
    ]
    assert legends[1] == ["relative change", "0.01", "stop threshold", "0.005"]
    assert legends[2] == ["gradient norm", "1e+04", "clipping bound", "3e+05"]
    assert legends[3] == ["learning rate", "0.0009"]
    # On a log axis 1/n falls by the same height from 1 to 10 as from 10 to 100.
    path = driver.execute_script(
        "const p = document.querySelector('#change-line2d_1').closest('svg').querySelectorAll('path[clip-path]');"
        "return [...p].map(e => e.getAttribute('d'))"
    )
    curve = max(path, key=len)
    points = np.array([float(value) for value in re.findall(r"-?[\d.]+", curve)]).reshape(-1, 2)
    assert len(points) == 100
    first, tenth, last = points[0], points[9], points[99]
    assert tenth[1] - first[1] == pytest.approx(last[1] - tenth[1], rel=0.01)


def test_a_pyramid_and_lbfgs(make, browse, tmp_path, monkeypatch):
    monkeypatch.setitem(globals(), "RECIPE", RECIPE.override(optimizer="lbfgs", clip_gradient=False, pyramid=(3, 2)))
    trace = make(steps=8, every=4, change=lambda number: dict(level=(0, 0, 0, 1, 1, 2, 2, 2)[number - 1]))
    pages.write_run_report(tmp_path / "r.html", trace)
    driver = browse(tmp_path / "r.html")
    assert "the pyramid continues with a larger image" in driver.find_element("css selector", "main").text
    count = (
        "return [...document.querySelectorAll('svg')].map(s => s.querySelectorAll('path[style*=\"--soft\"]').length)"
    )
    dotted = driver.execute_script(count)
    plain = dict(trace, steps=[dict(step, level=0) for step in trace["steps"]])
    pages.write_run_report(tmp_path / "plain.html", plain)
    driver = browse(tmp_path / "plain.html")
    fewer = driver.execute_script(count)
    assert [one - two for one, two in zip(dotted, fewer)] == [2] * 4
    assert driver.find_elements("css selector", "h3")[3].text.startswith("Step length")


def test_every_setting_stands_there_with_its_source(make, browse, tmp_path):
    pages.write_run_report(tmp_path / "r.html", make(steps=2, every=1))
    driver = browse(tmp_path / "r.html")
    rows = [row.text for row in driver.find_elements("css selector", ".settings tbody tr")]
    assert len(rows) == len(RECIPE.settings())
    assert "style weight 0.5 chosen for this run" in rows
    assert f"momentum 0.9 {RECIPE.sources['momentum']}" in rows
    facts = driver.find_element("css selector", ".facts").text
    for wanted in ("seed 0", "device cpu(0)", "weights, SHA-256", "mxnet ", "time per step"):
        assert wanted in facts


def test_a_page_needs_nothing_else_and_is_bounded(make, tmp_path):
    trace = make(steps=300, every=1)
    pages.write_run_report(tmp_path / "r.html", trace)
    page = (tmp_path / "r.html").read_text(encoding="utf-8")
    assert not re.search(r"(?:src|href)=[\"'](?!data:|#)", page)
    assert "@import" not in page and "url(http" not in page
    iterates = json.loads(re.search(r'id="iterates">(.*?)</script>', page, re.S).group(1))
    assert len(iterates) == 24
    assert iterates[0]["text"].startswith("step 1 ") and iterates[-1]["text"].startswith("result, after 300 steps")
    save_image(tmp_path / "result.png", np.random.RandomState(0).randint(0, 256, (900, 1600, 3)).astype("uint8"))
    pages.write_run_report(tmp_path / "r.html", trace)
    picture = re.findall(r"data:image/jpeg;base64,([\w+/=]+)", (tmp_path / "r.html").read_text(encoding="utf-8"))[-1]
    assert Image.open(io.BytesIO(base64.b64decode(picture))).size == (720, 405)


def test_names_are_text_and_never_markup(make, browse, tmp_path):
    name = "<img src=x onerror=alert(1)>&\"'.png"
    pages.write_run_report(tmp_path / "r.html", make(steps=2, every=1, names=(name, "</script>.png".replace("/", ""))))
    driver = browse(tmp_path / "r.html")
    assert driver.find_element("css selector", "h1").text.startswith(name)


@pytest.mark.parametrize(
    "steps, change",
    [
        (0, lambda number: {}),
        (1, lambda number: {}),
        (3, lambda number: dict(clip_norm=None, relative_change=0.0)),
        (3, lambda number: dict(losses={}, loss=0.0, gradient_norm=0.0)),
        (3, lambda number: dict(loss=5.0, losses={"style_relu1_1": 5.0}, relative_change=0.3)),
        (3, lambda number: dict(losses={f"style_relu{number}_1": 5.0})),
    ],
    ids=["no step", "one step", "no bound and no change", "nothing to lose", "flat", "parts that come and go"],
)
def test_runs_that_have_little_to_show(make, browse, tmp_path, steps, change):
    pages.write_run_report(tmp_path / "r.html", make(steps=steps, every=10, change=change))
    driver = browse(tmp_path / "r.html")
    assert len(driver.find_elements("css selector", "figure.card svg")) == (4 if steps else 0)
    assert not driver.find_elements("id", "slider")
    assert not re.search(r"\bnan\b", driver.page_source)


def test_a_run_that_left_no_picture(make, browse, tmp_path):
    pages.write_run_report(tmp_path / "r.html", dict(make(steps=0, every=1), result=None, stop=None, stop_text=None))
    driver = browse(tmp_path / "r.html")
    assert len(driver.find_elements("css selector", "img")) == 2
    assert "not finished" in driver.find_element("css selector", ".summary").text


def test_pictures_that_are_gone_are_left_out(make, browse, tmp_path):
    trace = make(steps=4, every=1)
    for name in ("content.png", "tmp_2.png"):
        (tmp_path / name).unlink()
    pages.write_run_report(tmp_path / "r.html", trace)
    driver = browse(tmp_path / "r.html")
    assert driver.find_element("id", "slider").get_attribute("max") == "3"
    assert "This image could not be read." in driver.find_element("css selector", ".three").text


# ------------------------------------------------------------------------------------------------------ comparison


@pytest.fixture
def compared(tmp_path):
    rng = np.random.RandomState(0)
    save_image(tmp_path / "a.png", np.full((60, 90, 3), 40, "uint8"))
    save_image(tmp_path / "b.png", rng.randint(200, 256, (30, 45, 3)).astype("uint8"))
    assert (
        main(["compare", str(tmp_path / "a.png"), str(tmp_path / "b.png"), "--report", str(tmp_path / "c.html")]) == 0
    )
    return tmp_path / "c.html"


def test_the_slider_moves_the_border_between_two_pictures(compared, browse):
    from selenium.webdriver.common.keys import Keys

    driver = browse(compared)
    slider = driver.find_element("id", "slider")
    half = brightness(driver, "#stage")
    slider.send_keys(Keys.HOME)
    all_b = brightness(driver, "#stage")
    slider.send_keys(Keys.END)
    all_a = brightness(driver, "#stage")
    assert all_a == pytest.approx(40, abs=3) and all_b > 200
    assert half == pytest.approx((all_a + all_b) / 2, abs=6)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_a_comparison_is_readable_too(compared, browse, width, scheme):
    driver = browse(compared, width, scheme)
    assert driver.execute_script("return document.documentElement.scrollWidth") == width
    for selector in ("h1", ".summary", ".ends", "figcaption", "td"):
        assert contrast(driver, selector)[0] >= 4.5, selector
    names = driver.execute_script(
        "return [...document.querySelectorAll('img, input')].map(e => e.alt || e.getAttribute('aria-label'))"
    )
    assert len(names) == 5 and all(names)
    assert "b.png is 45 x 30 pixels and was brought to 90 x 60" in driver.find_element("css selector", ".note").text


def test_the_maps_have_the_colours_of_their_values(tmp_path):
    a = np.zeros((20, 20, 3), "uint8")
    b = a.copy()
    b[:, 10:] = 200
    pictures = reconcile(a, b)
    comparison = compare_images(*pictures)
    told = dict(
        a=dict(file="a", size=[20, 20]), b=dict(file="b", size=[20, 20]), judge=None, notes=[],
        psnr=comparison.psnr, ssim=comparison.ssim, histogram=comparison.histogram,
    )  # fmt: skip
    pages.write_comparison_report(tmp_path / "c.html", told, *pictures, comparison)
    page = (tmp_path / "c.html").read_text(encoding="utf-8")
    maps = re.findall(r"data:image/png;base64,([\w+/=]+)", page)
    difference, similarity = (
        np.asarray(Image.open(io.BytesIO(base64.b64decode(png))).convert("RGB")).astype(int) for png in maps
    )
    # inferno goes from black to pale yellow, viridis from violet to yellow.
    assert difference[10, 2].sum() < 20 and difference[10, 17].min() > 150
    assert tuple(similarity[10, 2]) == pytest.approx((253, 231, 37), abs=6)
    assert tuple(similarity[10, 17]) == pytest.approx((68, 1, 84), abs=6)


# -------------------------------------------------------------------------------------------------- command line


def test_the_flag_of_a_run(pictures, vgg19_file, tmp_path, browse):
    argv = ["--content-image", pictures / "content.png", "--style-image", pictures / "style.png", "--gpu", -1]
    argv += ["--weights", vgg19_file, "--max-long-edge", 40, "--max-num-epochs", 4, "--save-epochs", 2]
    argv += ["--report", tmp_path / "new" / "r.html", "--output", tmp_path / "o.png"]
    assert main(list(map(str, argv))) == 0
    assert sorted(path.name for path in (tmp_path / "new").iterdir()) == ["r.html", "trace.json"]
    driver = browse(tmp_path / "new" / "r.html")
    assert driver.find_element("css selector", "h1").text == "content.png in the style of style.png"
    assert "4 steps·reached the step limit" in driver.find_element("css selector", ".summary").text.replace("\n", "·")


def without(monkeypatch, *names):
    real = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *more: None if name in names else real(name, *more))


BAD = [
    ("folder", ["--report", "{tmp}"], "is a folder; give the name of a file"),
    ("below a file", ["--report", "{tmp}/text/r.html"], "text/r.html: cannot be written (Not a directory)"),
    ("over the content", ["--report", "{content}"], "content.png: another file of this run has this name"),
    ("trace over the content", ["--trace", "{content}"], "content.png: another file of this run has this name"),
    ("trace over the result", ["--trace", "{tmp}/o.png"], "o.png: another file of this run has this name"),
    ("both", ["--report", "{tmp}/x", "--trace", "{tmp}/x"], "x: another file of this run has this name"),
    ("trace below a file", ["--trace", "{tmp}/text/t.json"], "text/t.json: cannot be written (Not a directory)"),
]


@pytest.mark.parametrize("argv, message", [row[1:] for row in BAD], ids=[row[0] for row in BAD])
def test_a_report_that_cannot_be_written_is_one_line(argv, message, pictures, vgg19_file, tmp_path, capfd):
    (tmp_path / "text").write_text("x")
    given = ["--content-image", str(pictures / "content.png"), "--style-image", str(pictures / "style.png")]
    given += ["--weights", str(vgg19_file), "--gpu", "-1", "--output", str(tmp_path / "o.png")]
    before = (pictures / "content.png").read_bytes()
    argv = [word.format(tmp=tmp_path, content=pictures / "content.png") for word in argv]
    assert main(given + argv) == 1
    lines = capfd.readouterr().err.splitlines()
    assert len(lines) == 1 and message in lines[0]
    assert (pictures / "content.png").read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["text"]


@pytest.mark.parametrize("missing", [["matplotlib"], ["jinja2"], ["matplotlib", "jinja2"]])
def test_without_the_packages_it_is_said_before_any_work(missing, pictures, vgg19_file, tmp_path, capfd, monkeypatch):
    without(monkeypatch, *missing)
    report_path, output = str(tmp_path / "r.html"), str(tmp_path / "o.png")
    given = ["--content-image", str(pictures / "content.png"), "--style-image", str(pictures / "style.png")]
    assert main(given + ["--weights", str(vgg19_file), "--report", report_path, "--output", output]) == 1
    line = f"a report needs {' and '.join(missing)}; install with: pip install 'mxnet-neural-style[report]'"
    assert capfd.readouterr().err == f"neural-style: error: {line}\n"
    assert main(["compare", str(pictures / "content.png"), str(pictures / "style.png"), "--report", report_path]) == 1
    assert capfd.readouterr().err == f"neural-style: error: {line}\n"
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(DependencyError):
        pages.write_run_report(report_path, {})


def test_a_comparison_does_not_replace_a_picture(pictures, tmp_path, capfd):
    a, b = str(pictures / "content.png"), str(pictures / "style.png")
    assert main(["compare", a, b, "--report", b]) == 1
    assert "style.png: another file of this run has this name; choose another for the report" in capfd.readouterr().err
    assert main(["compare", a, b, "--report", str(tmp_path)]) == 1
    assert "is a folder" in capfd.readouterr().err


def test_a_disk_that_is_full(make, tmp_path, monkeypatch):
    def fail(path, data):
        raise OSError(28, "No space left on device")

    trace = make(steps=2, every=1)
    monkeypatch.setattr(pages, "write_whole", fail)
    with pytest.raises(OutputError, match="r.html: cannot be written .No space left on device.; free some space"):
        pages.write_run_report(tmp_path / "r.html", trace)


def test_nothing_that_draws_is_imported_without_a_report():
    code = (
        "import sys, neural_style.jobs.job, neural_style.cli.compare\n"
        "print(sorted({'matplotlib', 'jinja2', 'PIL', 'skimage'} & set(sys.modules)))"
    )
    assert subprocess.check_output([sys.executable, "-c", code]).decode().strip() == "[]"
    assert compare.SCHEMA == "neural-style/comparison"
