"""What a device is in a word, and a control whose order nobody answered (static/js/badges.js, control.js, inputs.js)."""

from __future__ import annotations

from typing import Any

from tests.staging.console.conftest import Stage
from tests.staging.console.page import Page

# Online, the update's status, stuck: what the badge says of it.
STATES = (
    (False, "CREATED", False, "queued"),
    (True, "CREATED", False, "ordered"),
    (True, "RUNNING", False, "running"),
    (False, "RUNNING", False, "halted"),
    (True, "INSTALLED", False, "trial"),
    (False, "INSTALLED", True, "stuck"),
    (True, "SUCCESS", False, None),
    (True, None, False, None),
)
BADGES = """
  const [devices, done] = arguments;
  import('/console/static/js/badges.js').then(({ presence, updateBadge }) => done(devices.map((device) =>
    [presence(device).dataset.presence, updateBadge(device)?.dataset.update ?? null, updateBadge(device)?.textContent ?? ''])))"""
# The cloud answers no order from now on; readings it answers, or not.
NO_ANSWER = """
  const real = window.fetch;
  window.fetch = (path, options) => path.endsWith('/control') && (arguments[0] || JSON.parse(options.body).method === 'PUT')
    ? Promise.reject(new TypeError('no network')) : real(path, options);"""


def one(online: bool, status: str | None, stuck: bool) -> dict[str, Any]:  # noqa: FBT001  # a row of the table
    active = status in {"CREATED", "RUNNING", "INSTALLED"}
    update = {"status": status, "active": active, "percent": 0.5, "version": "1.1", "stuck": stuck}
    return {"online": online, "status": "ACTIVATED", "update": update if status else None}


def test_presence_and_update_are_two_badges(page: Page) -> None:
    devices = [one(*row[:3]) for row in STATES]
    found = page.browser.execute_async_script(BADGES, devices)
    presence = ["online" if online else "offline" for online, *_ in STATES]
    assert [each[0] for each in found] == presence
    assert [each[1] for each in found] == [row[3] for row in STATES]
    assert found[0][2] == "Update to 1.1 queued: starts when it is online"


def test_silence_is_said_of_a_device_that_is_not_asked(page: Page) -> None:
    """Since when it is connected and was heard of, in s before the cloud's now; None: it answers questions."""
    rows = ((None, 600, "online"), (600, 600, "quiet"), (600, 20, "online"), (20, 90_000, "online"))
    script = """
      const [rows, done] = arguments;
      Promise.all([import('/console/static/js/badges.js'), import('/console/static/js/api.js')]).then(([badges, api]) => {
        const ago = (seconds) => seconds === null ? null : api.serverNow() - seconds * 1000;
        done(rows.map(([since, heard]) => {
          const chip = badges.presence({ online: true, unasked: ago(since), lastHeartbeat: ago(heard) });
          return [chip.dataset.presence, chip.textContent];
        }));
      })"""
    found = page.browser.execute_async_script(script, rows)
    assert [each[0] for each in found] == [row[2] for row in rows]
    assert found[0][1] == "Online"
    assert found[1][1].startswith("Online, not heard of for 60")


def test_a_slider_whose_order_failed_shows_the_devices_value_again(
    device: Page, stage: Stage
) -> None:
    page, point = device, "[data-point=volume]"
    stage.agent("set", "volume", "6")
    page.see(f"{point} output", "6")
    for answered in (True, False):
        page.js(NO_ANSWER, not answered)
        page.js(f"""
          const input = document.querySelector('{point} input');
          input.value = 11;
          input.dispatchEvent(new Event('input')); input.dispatchEvent(new Event('change'));""")
        page.see(f"{point} .answer", "cannot be reached")
        page.see(f"{point} output", "6")
        assert page.get(f"{point} input").get_attribute("value") == "6"


def test_a_battery_that_nobody_told_of_has_no_bar(page: Page) -> None:
    script = """
      const done = arguments[0];
      import('/console/static/js/inputs.js').then(({ shapeOf }) => {
        const point = {name: 'power', type: 'int', method: ['GET'], pattern: {min: 0, max: 100}};
        const { body, output, show } = shapeOf(point)({point, label: ''});
        const seen = () => [body.hidden, output.textContent, body.getAttribute('aria-valuenow')];
        const found = [seen()];
        for (const value of ['', 'null', '0', '40']) { show(value); found.push(seen()); }
        done(found);
      })"""
    assert page.browser.execute_async_script(script) == [
        [True, "\N{EN DASH}", "0"],
        [True, "unknown", "0"],
        [True, "unknown", "0"],
        [False, "0%", "0"],
        [False, "40%", "40"],
    ]
