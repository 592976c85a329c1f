"""No page takes a form that another site has sent: every route of the portal but the API."""

import pytest
from django.test import Client

from tests.tenancy.accounts import World
from tests.tenancy.answers import ask, outcome, rolled_back
from tests.tenancy.routes import Route, routes

pytestmark = pytest.mark.django_db

EXEMPT = {
    "notifications:unsubscribe": "mail programs call it for their reader (RFC 8058); the signed "
    "link is what allows it, and it only stops mails",
    "sso:acs": "identity providers have browsers post there; what they have signed is what allows "
    "it, and it counts only in a browser that has asked for it",
}
PAGES = [route for route in routes() if not route.is_call]
METHODS = ("POST", "DELETE")


@pytest.mark.parametrize("asker", ["anonymous", "administrator", "operator"])
@pytest.mark.parametrize(
    "route", [route for route in PAGES if route.name not in EXEMPT], ids=lambda each: each.name
)
def test_form_of_another_site_is_refused(route: Route, asker: str, world: World) -> None:
    browser = Client(enforce_csrf_checks=True)
    browser.cookies = world.clients[asker].cookies
    before = world.state()

    for method in METHODS:
        with rolled_back():
            answer = ask(browser, method, route.address(world))
            assert outcome(answer) == "403", method
            assert "403_csrf.html" in [template.name for template in answer.templates], method
            assert world.state() == before


@pytest.mark.parametrize(
    "route", [route for route in PAGES if route.name in EXEMPT], ids=lambda each: each.name
)
def test_exempt_page_does_nothing_without_what_allows_it(route: Route, world: World) -> None:
    browser = Client(enforce_csrf_checks=True)
    before = world.state()

    with rolled_back():
        assert outcome(ask(browser, "POST", route.address(world))) == "400"
        assert world.state() == before
