"""A version that failed its trial: the page shows the reason and its log; real browser, cloud and agent."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.staging.console.conftest import Stage, offered
from tests.staging.console.page import Page

pytestmark = pytest.mark.timeout(180)
PART = "[data-part=update]"
LOG = f"{PART} [data-part=trial-log]"
CONFIG = '[ota]\nconfirm_timeout_seconds = 5\n[health]\nchecks_folder = "health.d"\n'


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """A cloud and a machine whose own check, ``lamp``, fails for every new version."""
    with offered(tmp_path_factory.mktemp("trial"), CONFIG) as made:
        check = made.bench.state / "health.d" / "lamp"
        check.parent.mkdir()
        check.write_text("#!/bin/sh\necho the lamp is dark\nexit 1\n")
        check.chmod(0o755)
        yield made


def test_what_a_version_logged_that_was_given_up_is_on_the_page(device: Page) -> None:
    page = device
    assert not [log for log in page.all(LOG) if log.is_displayed()]
    page.click("[data-role=order]")
    page.see(f"{PART} [role=alert]", "checks: lamp: exit code 1: the lamp is dark")
    page.see(f"{LOG} summary", "What the new version logged last")
    page.click(f"{LOG} summary")
    page.see(f"{LOG} ol", "WARNING agent.updates.health: health check not passed yet: checks: lamp")
    assert page.errors() == []
