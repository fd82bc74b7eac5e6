"""A session that has ended: the log-in stands over the page, which stays; other tabs go on with a new session."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from tests.staging.console.conftest import Stage
from tests.staging.console.page import PASSWORD, USER, Page

DIALOG = "[data-part=again]"


def log_in_over(page: Page) -> None:
    """Log in over the page; the name is filled in."""
    page.type(f"{DIALOG} input[name=password]", PASSWORD, enter=True)
    page.wait(lambda: not page.all(DIALOG), "the log-in to go")


def test_the_log_in_stands_over_the_page_which_stays_as_it_is(device: Page, stage: Stage) -> None:
    page = device
    page.type("[data-part=settings] input[name=name]", "half a na")
    page.js("scrollTo(0, 400)")
    before = page.js("return scrollY")
    stage.cloud("session", "revoke", USER)
    page.see(f"{DIALOG} h2", "Log in again")
    assert page.get(f"{DIALOG} input[name=user]").get_attribute("value") == USER
    page.keys("\ue00c")  # Escape: without a session the page is of no use
    page.get(DIALOG)
    log_in_over(page)
    page.see("[data-role=live]", "Live")
    name = page.get("[data-part=settings] input[name=name]")
    assert name.get_attribute("value") == "half a na"
    assert page.js("return scrollY") == before
    page.type("[data-part=settings] input[name=name]", "A whole name", enter=True)
    page.see("main h1", "A whole name")
    assert page.js("return document.title").startswith("A whole name · Devices")


# A request of the page's that the cloud answers between the end of the session and the answer that tells of it.
ASKED_MEANWHILE = """
  const real = window.fetch;
  window.fetch = async (url, options) => {
    const answer = await real(url, options);
    if (options.method === "DELETE" && url.endsWith("/session")) {
      const { get } = await import("/console/static/js/api.js");
      window.refused = await get("/devices").catch((error) => error.status);
    }
    return answer;
  };"""
# A request whose answer comes when it is let go.
ASKED_BEFORE = """
  const real = window.fetch;
  let letGo;
  const held = new Promise((resolve) => { letGo = resolve; });
  window.letGo = letGo;
  window.fetch = async (url, options) => {
    const answer = await real(url, options);
    if (url.endsWith("/devices")) await held;
    return answer;
  };
  import("/console/static/js/api.js").then(({ get }) => get("/devices").catch((error) => { window.refused = error.status; }));"""


def test_who_logs_out_is_not_asked_to_log_in_again_by_what_the_page_asked_meanwhile(
    inside: Page,
) -> None:
    inside.open("/console/me")
    inside.get("[data-role=logout]")
    inside.js(ASKED_MEANWHILE)
    inside.click("[data-role=logout]")
    inside.wait(lambda: inside.focused()["name"] == "user", "the log-in page")
    assert inside.js("return window.refused") == 401
    assert not inside.all(DIALOG)


def test_what_was_asked_before_a_log_in_does_not_end_the_session_after_it(
    inside: Page, stage: Stage
) -> None:
    inside.open("/console/me")
    inside.get("[data-role=logout]")
    stage.cloud("session", "revoke", USER)
    inside.js(ASKED_BEFORE)
    inside.get(DIALOG)
    log_in_over(inside)
    inside.js(
        f"new MutationObserver(() => {{ window.again ||= document.querySelector('{DIALOG}') !== null; }})"
        ".observe(document.body, {childList: true}); letGo()"
    )
    inside.wait(lambda: inside.js("return window.refused") == 401, "the answer")
    assert not inside.js("return window.again")  # nor for a moment


@pytest.fixture
def tabs(inside: Page) -> Iterator[tuple[Page, str, str]]:
    """Two tabs of one browser, both logged in; the first is shown. Returns their handles too."""
    first = inside.browser.current_window_handle
    inside.browser.switch_to.new_window("tab")
    second = inside.browser.current_window_handle
    inside.open("/console/versions")
    inside.get(".tabs")
    inside.browser.switch_to.window(first)
    yield inside, first, second
    inside.browser.switch_to.window(second)
    inside.browser.close()
    inside.browser.switch_to.window(first)


def test_a_log_in_in_one_tab_is_the_others_too(tabs: tuple[Page, str, str], stage: Stage) -> None:
    page, first, second = tabs
    stage.cloud("session", "revoke", USER)
    page.get(DIALOG)
    page.browser.switch_to.window(second)
    page.get(DIALOG)
    log_in_over(page)
    page.browser.switch_to.window(first)
    page.wait(lambda: not page.all(DIALOG), "the log-in of the first tab to go")
    page.see("[data-role=live]", "Live")


def test_a_tab_whose_token_is_of_the_session_before_goes_on(
    tabs: tuple[Page, str, str], stage: Stage
) -> None:
    """A second log-in ends the session that the first tab's token is of, and the cookie is the new one's."""
    page, first, second = tabs
    page.open("/console/products")
    page.get("main form")
    # Neither a message between the tabs nor the look every few seconds tells this one.
    page.js("BroadcastChannel.prototype.postMessage = () => {}")
    page.browser.switch_to.window(second)
    page.js("BroadcastChannel.prototype.postMessage = () => {}")
    headers = {"Content-Type": "application/json"}
    csrf = json.loads(page.fetch("GET", "/console/api/session", headers)[1])["csrf"]
    headers["X-CSRF-Token"] = csrf
    assert page.fetch("DELETE", "/console/api/session", headers)[0] == 200
    headers["X-CSRF-Token"] = json.loads(page.fetch("GET", "/console/api/session", headers)[1])[
        "csrf"
    ]
    body = {"user": USER, "password": PASSWORD}
    assert page.fetch("POST", "/console/api/session", headers, body)[0] == 200
    page.browser.switch_to.window(first)
    name = f"product-{stage.number()}"
    page.type("main form input[name=name]", name)
    page.type("main form input[name=count]", "0", enter=True)
    page.get(f"[data-product='{name}']")


def test_a_page_without_news_is_grey_and_says_since_when(device: Page) -> None:
    """A stream that is refused, or does not open again, is no news."""
    device.js("""
      const real = EventSource;
      window.broken = class extends EventTarget { readyState = 0; close() {} };
      window.EventSource = Object.assign(function (path) { return new window.broken(path); }, {CLOSED: real.CLOSED});
      dispatchEvent(new Event('story-session'));""")
    device.js("""
      window.broken = class extends EventTarget {
        readyState = 0; close() {}
        constructor() { super(); setTimeout(() => this.dispatchEvent(new Event('error'))); }
      };
      dispatchEvent(new Event('story-session'));""")
    device.see("#stale", "No news from the cloud since")
    assert "grayscale" in device.js(
        "return getComputedStyle(document.querySelector('main')).filter"
    )


def test_a_page_whose_module_does_not_come_says_so_and_is_tried_again(inside: Page) -> None:
    inside.cdp("Network.enable")
    inside.cdp("Network.setBlockedURLs", urls=["*/js/audit.js"])
    try:
        inside.click(".tabs a[href='/console/audit']")
        inside.see("main .empty", "The cloud cannot be reached: try again")
    finally:
        inside.cdp("Network.setBlockedURLs", urls=[])
    inside.click("[data-role=retry]")
    inside.see("main h1", "Audit")
    inside.get("tr[data-action]")
    inside.errors()


ANSWERED_BY_ANOTHER = """
  const done = arguments[0];
  Promise.all([import("/console/static/js/api.js"), import("/console/static/js/i18n.js")]).then(async ([api, { errorText }]) => {
    const real = window.fetch;
    const texts = [];
    for (const [status, body] of [[200, "<html>log in</html>"], [200, ""], [204, null], [502, "<html>"]]) {
      window.fetch = async () => new Response(body, { status });
      for (const ask of [api.get, api.getPublic]) await ask("/x").catch((error) => texts.push(errorText(error)));
    }
    window.fetch = real;
    done(texts);
  });"""


def test_an_answer_that_is_not_the_clouds_is_told_as_that(inside: Page) -> None:
    """A proxy or the log-in page of a network answers 200 in its place."""
    inside.open("/console/me")
    foreign = "What answers is not the cloud but a proxy"
    told = inside.browser.execute_async_script(ANSWERED_BY_ANOTHER)
    assert [text.startswith(foreign) for text in told] == [True] * 6 + [False] * 2
    assert told[6:] == ["HTTP 502"] * 2


BROKEN_OFF = """
  const done = arguments[0];
  Promise.all([import("/console/static/js/api.js"), import("/console/static/js/i18n.js")]).then(async ([api, { errorText }]) => {
    const real = window.fetch;
    const broken = () => new Response(new ReadableStream({ start: (body) => body.error(new TypeError("network error")) }));
    const texts = [];
    window.fetch = async () => broken();
    for (const ask of [api.get, api.getPublic, api.download]) await ask("/x").catch((error) => texts.push(errorText(error)));
    const answers = [new Response('{"error": {"code": "csrf"}}', { status: 403 }), new Response("<html>log in</html>")];
    window.fetch = async () => answers.shift();
    await api.post("/x", {}).catch((error) => texts.push(errorText(error)));
    window.fetch = real;
    done(texts);
  });"""


def test_an_answer_that_breaks_off_is_the_networks_fault_and_none_of_the_page(inside: Page) -> None:
    inside.open("/console/me")
    told = inside.browser.execute_async_script(BROKEN_OFF)
    away, foreign = "The cloud cannot be reached", "What answers is not the cloud but a proxy"
    assert [text[: len(away)] for text in told[:3]] == [away] * 3
    assert [text[: len(foreign)] for text in told[3:]] == [foreign]


def test_a_page_that_needs_the_open_apis_description_says_that_the_cloud_is_away(
    inside: Page,
) -> None:
    inside.open("/console/me")
    inside.cdp("Network.enable")
    inside.cdp("Network.setBlockedURLs", urls=["*/openapi.json"])
    try:
        inside.open("/console/explorer")
        inside.see("main", "The cloud cannot be reached")
    finally:
        inside.cdp("Network.setBlockedURLs", urls=[])


# What the page asks from now on is answered with this, or never.
ANSWER_WITH = """
  const [body] = arguments;
  const real = window.fetch;
  window.fetch = (url, options) => url.endsWith("/session") ? real(url, options)
    : body === null ? new Promise(() => {}) : Promise.resolve(new Response(body, { status: 200 }));"""


@pytest.mark.parametrize(
    ("body", "told"),
    [(None, "Loading…"), ("{}", "The page failed: reload it")],
    ids=["none", "another form"],
)
def test_a_page_says_that_it_waits_and_that_an_answer_has_another_form(
    inside: Page, body: str | None, told: str
) -> None:
    inside.open("/console/me")
    inside.get(".tabs")
    inside.js(ANSWER_WITH, body)
    inside.click(".tabs a[href='/console/accounts']")
    inside.see("main", told)
