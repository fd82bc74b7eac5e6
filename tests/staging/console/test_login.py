"""The log-in page, and the session that follows it (staging.console.login)."""

from __future__ import annotations

from tests.staging.console.page import PASSWORD, USER, Page


def test_a_wrong_password_is_said_and_the_right_one_opens_the_list(page: Page) -> None:
    page.log_in(USER, "not the password")
    page.see("[role=alert]", "Wrong name or password")
    assert page.get("input[name=password]").get_attribute("value") == ""
    page.log_in(USER, PASSWORD)
    page.see("main h1", "Overview")
    page.open("/console/products")
    page.see("main h1", "Products")  # the session is in the cookie, not in the address
    page.click("[data-role=logout]")
    page.get("input[name=user]")
