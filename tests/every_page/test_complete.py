"""No page is forgotten: neither a route that answers GET, nor a form that can be refused."""

from tests.every_page.places import (
    NO_PAGES,
    ONWARDS,
    PEOPLE,
    SPECIAL,
    is_asked_for,
    page_routes,
    person_for,
)
from tests.every_page.states import STATES
from tests.tenancy.expected_outcomes import EXPECTED
from tests.tenancy.routes import routes
from tests.tenancy.two_accounts import FORMS

NEVER_REFUSED = {
    "notifications:settings": "takes any choice of boxes",
    "accounts:switch_service_account": "is a button",
    "apitokens:choose_view": "leads on, whatever is sent",
    "apitokens:select": "leads on, whatever is sent",
    "sso:ask_for_domain": "is told on the page of single sign-on",
}


def test_every_route_is_a_page_that_somebody_sees_or_says_what_it_is() -> None:
    unseen = {route.name for route in page_routes() if person_for(route.name) is None}
    assert not unseen, f"Say in tests/every_page/places.py who sees these, or why nobody: {unseen}"
    assert len(page_routes()) > 100


def test_no_page_is_left_out_for_a_wrong_reason() -> None:
    known = {route.name: route for route in routes()}
    assert {name for name in NO_PAGES if not is_asked_for(known[name])} == set()
    outcomes = {name: set(EXPECTED[name]["GET"].values()) for name in NO_PAGES}
    leading = {name for name, reason in NO_PAGES.items() if reason == ONWARDS}
    assert {name for name in leading if "200" in outcomes[name]} == set()
    assert set(SPECIAL) <= {route.name for route in page_routes()}


def test_every_form_of_an_account_is_seen_refused() -> None:
    seen = {state.name for state in STATES}
    fields = {name for name, form in FORMS.items() if form.filled_in or form.key_in}
    missing = {name for name in fields if f"{name}, refused" not in seen} - set(NEVER_REFUSED)
    assert not missing, f"Let tests/every_page/states.py have these refused: {missing}"


def test_states_have_names_of_their_own_and_somebody_who_sees_them() -> None:
    names = [state.name for state in STATES]
    assert len(set(names)) == len(names)
    assert {state.who for state in STATES} <= set(PEOPLE)
