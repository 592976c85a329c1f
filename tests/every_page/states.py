"""What pages show in other states: filtered, refused with the mistakes told, shown once, and as
errors."""

from typing import Any, NamedTuple

from tests.every_page.places import ADMINISTRATOR, GUARDED, NEWCOMER, STRANGER, person_for


class State(NamedTuple):
    """A page in a state: what it is called, who sees it, where, and its status.

    `values` are filled into the form of the page, which is sent then, whatever the browser thinks
    of them, and so on with the next page's; `again` sends the last once more. `says` are words by
    which one knows the state. A path is that of a
    route (`@name`), or of a page of the account, unless it begins with a slash; in braces it has
    what `places.prepare` knows.
    """

    name: str
    who: str
    path: str
    status: int = 200
    values: tuple[dict[str, Any], ...] = ()
    again: bool = False
    says: str = ""


TOKENS = "api-tokens/"
EMPTY, FULL, OF_OTHERS = (
    f"/accounts/{{{account}}}/api-tokens" for account in ("empty", "full", "full_of_others")
)
ALL_IN_USE = "All 50 are in use."
NAME = "A" * 300
LISTS = [
    State("list of all", ADMINISTRATOR, f"{TOKENS}?status=all&page_size=10&sort=name"),
    State("list of 100", ADMINISTRATOR, f"{TOKENS}?status=all&page_size=100"),
    State("nothing found", ADMINISTRATOR, f"{TOKENS}?q=there-is-no-such-token"),
    State("wrong filter", ADMINISTRATOR, f"{TOKENS}?issued_by=nobody", 400),
    State("suspended", ADMINISTRATOR, f"{TOKENS}?status=suspended"),
    State("filtered", ADMINISTRATOR, f"{TOKENS}?status=all&last_used=30&issued_by=&expires=never"),
    State("no such user", ADMINISTRATOR, "users/?q=nobody"),
    State("users by single sign-on", ADMINISTRATOR, "users/?signs_in_by=sso"),
    State("long audit log", ADMINISTRATOR, "audit-log/?page_size=100"),
    State("no such person in the audit log", ADMINISTRATOR, "audit-log/?person=zz", 400),
    State("nothing to delete", ADMINISTRATOR, f"{TOKENS}selection/delete/"),
    State("deletion of several", ADMINISTRATOR, f"{TOKENS}selection/delete/?q=Uptime"),
    State("handover of one", ADMINISTRATOR, f"{TOKENS}selection/hand-over/?ids={{plain}}"),
    State("expired token", ADMINISTRATOR, f"{TOKENS}{{expired}}/"),
    State("deleted token", ADMINISTRATOR, f"{TOKENS}{{deleted}}/"),
    State("similar token", ADMINISTRATOR, f"{TOKENS}create/?like={{expired}}"),
    State("suspended token", ADMINISTRATOR, f"{TOKENS}{{suspended}}/"),
    State("token with a long name", ADMINISTRATOR, f"{TOKENS}{{long}}/"),
    State("long name, edited", ADMINISTRATOR, f"{TOKENS}{{long}}/edit/"),
    State("long name, rotated", ADMINISTRATOR, f"{TOKENS}{{long}}/rotate/"),
    State("an expired token cannot be rotated", ADMINISTRATOR, f"{TOKENS}{{expired}}/rotate/"),
    State("first use", ADMINISTRATOR, f"{EMPTY}/", says="Create your first API token"),
    State("first use of usage", ADMINISTRATOR, f"{EMPTY}/usage/"),
    State("first use of services", ADMINISTRATOR, f"{EMPTY}/services/"),
    State("first use of the inbox", ADMINISTRATOR, "/accounts/{empty}/notifications/"),
    State("list at the limit", ADMINISTRATOR, f"{FULL}/", says=ALL_IN_USE),
    State("create at the limit", ADMINISTRATOR, f"{FULL}/create/", says=ALL_IN_USE),
    State("tokens of others at the limit", ADMINISTRATOR, f"{OF_OTHERS}/", says=ALL_IN_USE),
    State("own role", ADMINISTRATOR, "users/{administrator}/role/"),
]


def _refused(name: str, status: int, *values: dict[str, Any], path: str = "") -> State:
    return State(f"{name}, refused", person_for(name) or "", path or f"@{name}", status, values)


BAD_FACTS = {
    "name": " ",
    "expiration": "date",
    "expires_on": "2001-01-01",
    "allowed_addresses": "somewhere",
}
REFUSED = [
    _refused("account_login", 400, {"login": "x"}),
    State("password asked for", STRANGER, "@account_login", 200, ({"login": "a@example.com"},)),
    State(
        "password refused",
        STRANGER,
        "@account_login",
        200,
        ({"login": "a@example.com"}, {"password": "wrong"}),
    ),
    _refused("account_signup", 200, {"email": "x"}),
    _refused("account_reset_password", 200, {"email": "x"}),
    _refused("account_reset_password_from_key", 200, {"password1": "short"}),
    _refused("accounts:invitation", 400, {"password1": "short"}),
    _refused("mfa_authenticate", 200, {"code": "000000"}),
    _refused("mfa_reauthenticate", 200, {"code": "000000"}),
    _refused("account_reauthenticate", 200, {"password": "wrong"}),
    _refused("mfa_activate_totp", 200, {"code": "000000"}),
    _refused("mfa_edit_webauthn", 200, {"name": " "}),
    _refused("account_change_password", 200, {"oldpassword": "wrong", "password1": "short"}),
    _refused("accounts:profile", 400, {"name": NAME, "time_zone": "Mars"}),
    _refused("accounts:change_email", 400, {"email": "x"}),
    _refused("accounts:new_account", 400, {"account_name": " "}),
    _refused("accounts:account", 400, {"name": " "}),
    _refused("accounts:invite", 400, {"email": "x", "name": NAME}),
    _refused("accounts:change_role", 400, {"role": "2"}),
    _refused("accounts:remove", 403, {}),
    _refused("accounts:new_service_account", 400, {"name": " ", "contact_email": "x"}),
    _refused("accounts:edit_service_account", 400, {"name": " ", "contact_email": "x"}),
    State(
        "service account that names people nobody knows",
        ADMINISTRATOR,
        "@accounts:new_service_account",
        400,
        ({"name": "S", "contact": "an", "another_issuer": "nobody"},),
    ),
    _refused("accounts:remove_service_account", 403, {}),
    _refused("accounts:leave", 403, {}),
    _refused("notifications:settings", 200, {}),
    _refused("apitokens:new_service", 400, {"code": "?", "name": " "}),
    _refused("apitokens:edit_service", 400, {"name": " "}),
    _refused("apitokens:create", 400, BAD_FACTS),
    _refused("apitokens:edit", 400, BAD_FACTS),
    _refused("apitokens:rotate", 400, {"grace": "x"}),
    _refused("apitokens:look_up", 400, {"token": "no token"}),
    _refused(
        "apitokens:hand_over_selected",
        400,
        {"to": "0"},
        path="api-tokens/selection/hand-over/?ids={plain}",
    ),
    _refused("sso:provider", 400, {"text": "<no/>"}),
    _refused("sso:settings", 400, {"name": NAME}),
    _refused("sso:absence", 400, {"days": "0"}),
    *(
        _refused(f"admin:{model}_add", 400, {})
        for model in (
            "accounts_user",
            "accounts_membership",
            "accounts_invitation",
            "apitokens_service",
            "apitokens_verifierkey",
        )
    ),
    _refused("admin:apitokens_apitoken_look_up", 400, {"token": "no token"}),
]
"""The forms of pages, with mistakes."""
SHOWN_ONCE = [
    State("created", ADMINISTRATOR, f"{TOKENS}create/", 200, ({"name": "Walked"},)),
    State(
        "already created", ADMINISTRATOR, f"{TOKENS}create/", 409, ({"name": "Walked"},), again=True
    ),
    State("rotated", ADMINISTRATOR, f"{TOKENS}{{plain}}/rotate/", 200, ({"grace": "1"},)),
    State("already rotated", ADMINISTRATOR, f"{TOKENS}{{plain}}/rotate/", 409, ({},), again=True),
    State("unsubscribed", STRANGER, "@notifications:unsubscribe", 200, ({},)),
    State("recovery codes", GUARDED, "/profile/security/recovery-codes/new/", 200, ({},)),
]
ERRORS = [
    State("400", ADMINISTRATOR, f"{TOKENS}?q=%00", 400),
    State("403", NEWCOMER, "/", 403),
    State("404", ADMINISTRATOR, "/no-such-page/", 404),
    State("404 for strangers", STRANGER, "/no-such-page/", 404),
    State("405", ADMINISTRATOR, f"{TOKENS}selection/", 405),
    State("405 for strangers", STRANGER, "/theme/", 405),
    State("bad link of a mail", STRANGER, "/sign-up/confirm/x/", 410),
    State("bad link to a new password", STRANGER, "/password/new/1-x/", 410),
    State("bad link of an invitation", STRANGER, "/invitations/x/", 410),
    State("bad link to a new address", STRANGER, "/profile/email/x/", 410),
    State("bad link of a notice", STRANGER, "/notifications/unsubscribe/wrong/", 400),
]
STATES = [*LISTS, *REFUSED, *SHOWN_ONCE, *ERRORS]
