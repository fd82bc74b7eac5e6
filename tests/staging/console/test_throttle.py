"""News that never end delay nothing (static/js/throttle.js), in the pages that follow them too."""

from __future__ import annotations

from typing import Any

from tests.staging.console.page import Page

# Asks every 5 ms, faster than any debounce would settle, until the work has run three times.
STEADY = """
  const done = arguments[0];
  import('/console/static/js/throttle.js').then(({ throttle }) => {
    const ending = new AbortController();
    let runs = 0;
    let beside = 0;
    let most = 0;
    const ask = throttle(async () => {
      beside += 1;
      most = Math.max(most, beside);
      await new Promise((go) => setTimeout(go, 20));
      beside -= 1;
      runs += 1;
      if (runs === 3) { clearInterval(asking); ending.abort(); done({runs, most}); }
    }, ending.signal, 10);
    const asking = setInterval(ask, 5);
  })"""
# One that is asked while it works runs once more, and one that is not asked does not.
TRAILING = """
  const done = arguments[0];
  import('/console/static/js/throttle.js').then(async ({ throttle }) => {
    const runs = [];
    let value = 'first';
    const ask = throttle(async () => { runs.push(value); }, new AbortController().signal, 1);
    const first = ask();
    value = 'last';
    ask(); ask();
    await first;
    done(runs);
  })"""
# Every event of the list's stream says that a device changed; the list of versions says SUCCESS from the second look on.
VERSIONS = """
  const task = (status) => ({uuid: '00000000000001', status, percent: 1, failure: null, updateTime: 0});
  const version = (status) => ({id: 1, productId: 1, product: 'p', version: '9.9', status: 'UNVERIFIED', size: 1,
    sha256: '', description: '', createTime: 0, verifications: [task(status)]});
  let looks = 0;
  const real = window.fetch;
  window.fetch = (path, ...rest) => path.endsWith('/api/versions')
    ? Promise.resolve(new Response(JSON.stringify({products: [], versions: [version(looks++ ? 'SUCCESS' : 'CREATED')]})))
    : real(path, ...rest);
  window.EventSource = class extends EventTarget {
    static CLOSED = 2;
    readyState = 1;
    constructor() {
      super();
      this.timer = setInterval(() => this.dispatchEvent(new MessageEvent('device', {data: '{}'})), 50);
    }
    close() { clearInterval(this.timer); }
  };"""


def test_steady_news_are_served_one_after_the_other(page: Page) -> None:
    assert page.browser.execute_async_script(STEADY) == {"runs": 3, "most": 1}


def test_the_last_news_are_served(page: Page) -> None:
    found: Any = page.browser.execute_async_script(TRAILING)
    assert found == ["first", "last"]


def test_the_versions_follow_steady_news(inside: Page) -> None:
    added = inside.cdp("Page.addScriptToEvaluateOnNewDocument", source=VERSIONS)
    try:
        inside.open("/console/versions")
        inside.type(
            "[data-version='9.9'] input[name=uuid]", "0000"
        )  # being typed into holds nothing up
        inside.see("[data-version='9.9'] li .chip", "Success")
        assert inside.js("return document.querySelector('input[name=uuid]').value") == "0000"
    finally:
        inside.cdp("Page.removeScriptToEvaluateOnNewDocument", **added)
