"""An Administrator makes a service account, issues a token for it, hands others over to it, and
reads who has access; axe looks at each page."""

import re

import pytest
from playwright.sync_api import expect

from tests.browser.axe import Looks
from tests.browser.conftest import ADMINISTRATOR, Visits
from tests.browser.test_team import row

pytestmark = pytest.mark.browser


def test_token_of_a_person_goes_on_as_one_of_a_service_account(visit: Visits, looks: Looks) -> None:
    window = visit(ADMINISTRATOR)
    page = window.page
    window.go("/accounts/1/users/")
    page.get_by_role("link", name="Service accounts").click()
    looks.at(page, "no service accounts")

    page.get_by_role("link", name="Create a service account").click()
    looks.at(page, "form of a service account")
    page.get_by_label("Name").fill("Deploys")
    page.get_by_role("radio", name="Engineers", exact=True).check()
    page.get_by_label("Contact address").fill("ops@example.com")
    page.get_by_role("button", name="Create", exact=True).click()
    expect(row(page, "Deploys")).to_contain_text("ops@example.com")
    row(page, "Deploys").get_by_label(re.compile("^Actions for")).click()
    looks.at(page, "service accounts, with a menu")

    page.get_by_role("link", name="Create API token").click()
    page.get_by_label("Token name").fill("Purge after deploy")
    expect(page.get_by_role("radio", name="Administrators", exact=True)).to_have_count(0)
    looks.at(page, "form of a token for a service account")
    page.get_by_role("button", name="Create", exact=True).click()
    dialog = page.get_by_role("dialog", name="New API token created")
    expect(dialog).to_be_visible()
    looks.at(page, "token of a service account, once")
    page.get_by_role("link", name="OK, I've copied token").click()
    expect(row(page, "Purge after deploy")).to_contain_text("Service account")

    row(page, "Uptime probe").get_by_role("checkbox").check()
    row(page, "Grafana data source").get_by_role("checkbox").check()
    page.get_by_role("button", name="Hand over").click()
    dialog = page.get_by_role("dialog", name="Hand over API tokens")
    looks.at(page, "question of a handover")
    dialog.get_by_label("Hand over to").select_option("Deploys (service account)")
    dialog.get_by_role("button", name="Hand over").click()
    expect(page.get_by_text("2 API tokens were handed over to Deploys.")).to_be_visible()
    for name in ("Uptime probe", "Grafana data source"):
        expect(row(page, name)).to_contain_text("Deploys")

    window.go("/accounts/1/users/")
    page.get_by_role("link", name="Who has access").click()
    holder = row(page, "Deploys").first
    expect(holder).to_contain_text("Role given by Maria Okafor")
    expect(holder).to_contain_text("Handed over by Maria Okafor")
    looks.at(page, "who has access")
    window.go("/accounts/1/users/service-accounts/")
    row(page, "Deploys").get_by_label(re.compile("^Actions for")).click()
    page.get_by_role("link", name="Remove service account").click()
    if page.get_by_label("Password", exact=True).count():
        page.get_by_label("Password", exact=True).fill("permatoken-demo")
        page.get_by_role("button", name=re.compile("Continue|Confirm|Sign in")).click()
    looks.at(page, "question of a removal")

    assert looks.found == {}
    assert window.troubles == []
