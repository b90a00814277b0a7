"""The site is built and looked at: links, anchors, pictures, widths, a browser's complaints."""

import functools
import http.server
import os
import shutil
import subprocess
import sys
import threading
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urldefrag, urlsplit

import pytest

import foveate

ROOT = Path(__file__).parents[2]
pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]
# Attributes that a browser loads by itself; links are only followed by a reader.
LOADED = {("script", "src"), ("img", "src"), ("link", "href"), ("source", "src"), ("iframe", "src")}
NARROW, WIDE = 390, 1280


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    pytest.importorskip("material")
    pytest.importorskip("mkdocstrings")
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)]
    done = subprocess.run(
        command,
        cwd=ROOT,
        capture_output=True,
        text=True,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
    )
    assert done.returncode == 0, done.stderr[-4000:]
    return folder


class Page(HTMLParser):
    """Ids, links, what is loaded, and pictures without a description."""

    def __init__(self, path):
        super().__init__()
        self.ids, self.links, self.loaded, self.silent = set(), [], [], []
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attrs):
        have = dict(attrs)
        self.ids |= {have[key] for key in ("id", "name") if have.get(key)}
        if tag == "a" and have.get("href"):
            self.links.append(have["href"])
        self.loaded += [have[key] for name, key in LOADED if name == tag and have.get(key)]
        if tag == "img" and not have.get("alt", "").strip():
            self.silent.append(have.get("src"))


@functools.cache
def parsed(path):
    return Page(path)


def pages_of(site):
    return sorted(path for path in site.rglob("*.html") if path.name != "404.html")


def target_of(site, page, link):
    """The file that a link leads to, and its anchor; None for another site."""
    parts = urlsplit(link)
    if parts.scheme or parts.netloc:
        return None
    path, anchor = urldefrag(unquote(link))
    path = path.partition("?")[0]
    there = (page.parent / path).resolve() if path else page
    return (there / "index.html" if there.is_dir() else there), anchor


def test_every_link_anchor_and_picture_of_the_site_is_there(site):
    broken = []
    for page in pages_of(site):
        found = parsed(page)
        for link in [*found.links, *found.loaded]:
            target = target_of(site, page, link)
            if target is None:
                continue
            path, anchor = target
            if not path.is_file():
                broken.append(f"{page.relative_to(site)}: {link}")
            elif anchor and path.suffix == ".html" and anchor not in parsed(path).ids:
                broken.append(f"{page.relative_to(site)}: {link}: no such anchor")
        broken += [f"{page.relative_to(site)}: no words for {name}" for name in found.silent]
    assert broken == []


def test_nothing_is_loaded_from_elsewhere(site):
    outside = {
        link for page in pages_of(site) for link in parsed(page).loaded if urlsplit(link).netloc
    }
    assert outside == set()
    styles = "".join(path.read_text(encoding="utf-8") for path in site.rglob("*.css"))
    assert "url(http" not in styles and "@import" not in styles


def test_every_attention_and_every_formula_is_shown(site):
    for name in foveate.list_attentions(undefined=True):
        assert (site / "attentions" / name / "index.html").is_file()
    for page in pages_of(site):
        assert 'class="arithmatex"' not in page.read_text(encoding="utf-8"), page
    assert "<math" in (site / "attentions/das/index.html").read_text(encoding="utf-8")
    assert "deform_conv2d" in (site / "search/search_index.json").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def address(site):
    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(
        ("127.0.0.1", 0), functools.partial(Quiet, directory=str(site))
    )
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="module")
def browser():
    playwright = pytest.importorskip("playwright.sync_api")
    program = shutil.which("chromium") or shutil.which("chromium-browser")
    if program is None:
        pytest.skip("no Chromium")
    with playwright.sync_playwright() as running:
        made = running.chromium.launch(
            executable_path=program, args=["--no-sandbox", "--disable-gpu"]
        )
        yield made
        made.close()


def failed(request, page):
    """A request that failed, unless it was the next page that ended it."""
    return [] if request.failure == "net::ERR_ABORTED" else [(page, request.url, request.failure)]


@pytest.mark.parametrize("width", [NARROW, WIDE])
def test_every_page_fits_its_window_and_a_browser_has_no_complaint(site, address, browser, width):
    view = browser.new_page(viewport={"width": width, "height": 844})
    faults, asked, here = [], [], [""]
    view.on("console", lambda said: said.type == "error" and faults.append((here[0], said.text)))
    view.on("pageerror", lambda error: faults.append((here[0], str(error))))
    view.on("requestfailed", lambda request: faults.extend(failed(request, here[0])))
    view.on("response", lambda got: got.status >= 400 and faults.append((here[0], got.url)))
    view.on("request", lambda request: asked.append(request.url))
    for page in pages_of(site):
        here[0] = page.relative_to(site).as_posix()
        view.goto(f"{address}/{here[0]}", wait_until="load")
        wide = view.evaluate("document.documentElement.scrollWidth")
        if wide > width:
            faults.append((here[0], f"{wide} pixels wide"))
    view.close()
    assert faults == []
    local = (f"{address}/", "data:", "blob:")
    assert [url for url in asked if not url.startswith(local)] == []


def test_the_search_finds_a_name_and_the_night_is_dark(address, browser):
    view = browser.new_page(viewport={"width": WIDE, "height": 844}, color_scheme="dark")
    view.goto(f"{address}/", wait_until="load")
    assert view.evaluate("document.body.dataset.mdColorScheme") == "slate"
    view.fill("input[name=query]", "deform_conv2d")
    view.wait_for_selector(".md-search-result__item", timeout=60_000)
    assert "deform_conv2d" in view.inner_text(".md-search-result__list")
    view.close()
