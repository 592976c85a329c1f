"""Pages and calls about one thing, or a form: none may cost more because there is more of others.

With `pages` they are all that the portal answers GET with; `NOT_MEASURED` says why of the rest.
"""

import hashlib
from collections.abc import Iterator

from django.urls import reverse

from benchmarks.scale.asked.calls import (
    ADMINISTRATOR,
    OF_FULL,
    OPERATOR,
    OPERATORS_PAGE,
    PAGE,
    Call,
)
from benchmarks.scale.data.seed import (
    BIG,
    FIRST_TOKEN,
    FIRST_USER,
    FIRST_VERIFIER,
    FULL,
    HASTY,
    MEMBER,
    QUIET_TOKEN,
    TOKEN_WITH_HISTORY,
    Sizes,
)
from benchmarks.scale.server import METRICS

TOKEN, QUIET = FIRST_TOKEN + TOKEN_WITH_HISTORY, FIRST_TOKEN + QUIET_TOKEN
MEMBER_ID, HASTY_ID = FIRST_USER + MEMBER, FIRST_USER + HASTY

OF_PERSON = ("accounts:profile", "accounts:change_email", "mfa_index")
"""Pages about the person alone: the others of their kind ask for the same rows."""
OF_ACCOUNT = (
    *("sso:connection", "sso:provider", "sso:settings", "sso:absence", "sso:remove"),
    *("accounts:leave", "accounts:invite", "apitokens:look_up", "apitokens:services"),
    *("apitokens:new_service",),
)
OF_MEMBER = ("accounts:change_role", "accounts:remove", "sso:unlink", "apitokens:delete_all")
OF_TOKEN = (
    *("apitokens:edit", "apitokens:rotate", "apitokens:delete", "apitokens:first_request"),
    "apitokens:end_old_secret",
)
OF_SERVICE = ("apitokens:edit_service", "apitokens:remove_service")
OF_SERVICE_ACCOUNT = ("accounts:edit_service_account", "accounts:remove_service_account")
CHANGED_BY_OPERATORS = {
    "accounts_user": HASTY_ID,
    "accounts_auditevent": 1,
    "accounts_invitation": 1,
    "accounts_membership": 1,
    "accounts_account": BIG,
    "notifications_mail": hashlib.md5(b"1", usedforsecurity=False).hexdigest(),
    "sso_domain": 1,
    "sso_connection": 1,
    "apitokens_service": 1,
    "apitokens_apitoken": TOKEN,
    "apitokens_verifierkey": FIRST_VERIFIER,
}
"""An object of each kind that operators open."""
ADDED = (
    *("accounts_user", "accounts_invitation", "accounts_membership", "apitokens_service"),
    "apitokens_verifierkey",
)
DELETED = ("apitokens_service", "apitokens_apitoken", "apitokens_verifierkey")

ONCE = "shows once what the session keeps, and is a token's page otherwise"
ONWARDS = "leads on to another page"
STRANGERS = "is for those who have not signed in, and reads what is of one person (bench-sign-in)"
FACTORS = "reads the password or the second factors of one person"
NOTHING = "reads nothing that grows"
NOT_MEASURED = {
    **dict.fromkeys(("apitokens:created", "apitokens:rotated", "sso:tested"), ONCE),
    **dict.fromkeys(("home", "in_last_account", "accounts:former_link"), ONWARDS),
    **dict.fromkeys(("notifications:follow", "mfa_list_webauthn", "sso:test"), ONWARDS),
    **dict.fromkeys(("sso:begin", "sso:finish", "sso:again", "sso:ask_again"), ONWARDS),
    **dict.fromkeys(("sso:sls", "admin:logout", "admin:password_change"), ONWARDS),
    **dict.fromkeys(("admin:password_change_done", "admin:view_on_site"), ONWARDS),
    **dict.fromkeys(("account_login", "mfa_login_webauthn", "account_signup"), STRANGERS),
    **dict.fromkeys(("account_email_verification_sent", "account_confirm_email"), STRANGERS),
    **dict.fromkeys(("account_reset_password", "account_reset_password_done"), STRANGERS),
    **dict.fromkeys(("account_reset_password_from_key",), STRANGERS),
    **dict.fromkeys(("account_reset_password_from_key_done", "account_inactive"), STRANGERS),
    **dict.fromkeys(("accounts:confirm_email", "accounts:invitation"), STRANGERS),
    **dict.fromkeys(("accounts:answer_contact", "notifications:unsubscribe"), STRANGERS),
    **dict.fromkeys(("mfa_authenticate", "account_reauthenticate", "mfa_reauthenticate"), FACTORS),
    **dict.fromkeys(("mfa_reauthenticate_webauthn", "mfa_activate_totp"), FACTORS),
    **dict.fromkeys(("mfa_deactivate_totp", "mfa_view_recovery_codes"), FACTORS),
    **dict.fromkeys(("mfa_generate_recovery_codes", "mfa_add_webauthn"), FACTORS),
    **dict.fromkeys(("mfa_edit_webauthn", "mfa_remove_webauthn", "account_set_password"), FACTORS),
    "account_change_password": FACTORS,
    **dict.fromkeys(("livez", "sso:metadata", "openapi", "api-docs", "admin:jsi18n"), NOTHING),
    **dict.fromkeys(("account_logout", "accounts:new_account"), NOTHING),
    "api-verify": "is measured by `make bench`",
    "api-login-to-account": "reads the family of one token",
}
"""The routes that answer GET and are not opened here, and why."""


def calls(sizes: Sizes) -> Iterator[Call]:
    """All of them, as the Administrator of the big account and as an operator."""
    for name in OF_PERSON:
        yield _page(name)
    for name in OF_ACCOUNT:
        yield _page(name, account_id=BIG)
    for name in OF_MEMBER:
        yield _page(name, account_id=BIG, user_id=MEMBER_ID)
    for name in OF_TOKEN:
        yield _page(name, account_id=BIG, pk=QUIET)
    for name in OF_SERVICE:
        yield _page(name, account_id=BIG, pk=sizes.services_of_portal + 1)
    for name in OF_SERVICE_ACCOUNT:
        yield _page(name, account_id=BIG, user_id=FIRST_USER + sizes.users)
    yield from _calls_of_the_api(sizes)
    yield from _pages_of_operators()
    yield from _probes()
    yield from _pages_about_many(sizes)


def _page(name: str, who: str = ADMINISTRATOR, bound: int = PAGE, **arguments: object) -> Call:
    return Call(who, f"`{name}`", reverse(name, kwargs=arguments), bound)


def _calls_of_the_api(sizes: Sizes) -> Iterator[Call]:
    service_account = FIRST_USER + sizes.users
    for name, arguments in (
        ("api-user", {"user_id": MEMBER_ID}),
        ("api-client-user", {"client_id": BIG, "user_id": MEMBER_ID}),
        ("api-service-accounts", {"client_id": BIG}),
        ("api-service-account", {"client_id": BIG, "service_account_id": service_account}),
        ("api-services", {"client_id": BIG}),
        ("api-export-v2", {"client_id": BIG}),
        ("api-tokens-v1", {"client_id": BIG}),
        ("api-token-v1", {"client_id": BIG, "token_id": QUIET}),
        ("api-token-v2", {"client_id": BIG, "token_id": QUIET}),
    ):
        path = reverse(name, kwargs=arguments)
        yield Call(ADMINISTRATOR, f"`{name}`", path, is_api=True)


def _pages_of_operators() -> Iterator[Call]:
    page = OPERATORS_PAGE
    yield _page("admin:index", OPERATOR, page)
    yield _page("admin:app_list", OPERATOR, page, app_label="accounts")
    yield _page("admin:apitokens_apitoken_look_up", OPERATOR, page)
    for model, pk in CHANGED_BY_OPERATORS.items():
        yield _page(f"admin:{model}_change", OPERATOR, page, object_id=pk)
        yield _page(f"admin:{model}_history", OPERATOR, page, object_id=pk)
    for model in ADDED:
        yield _page(f"admin:{model}_add", OPERATOR, page)
    for model in DELETED:
        pk = CHANGED_BY_OPERATORS[model]
        yield _page(f"admin:{model}_delete", OPERATOR, page, object_id=pk)
    for model in ("sso_domain", "sso_connection", "apitokens_service", "apitokens_verifierkey"):
        yield _page(f"admin:{model}_changelist", OPERATOR, page)


def _probes() -> Iterator[Call]:
    for name in ("readyz", "healthz"):
        yield _page(name)._replace(status=0)
    yield _page("metrics")._replace(bearer=METRICS)


def _pages_about_many(sizes: Sizes) -> Iterator[Call]:
    """Questions about more tokens or people than a page shows: what they count grows."""
    selected = "?role=3022"
    for name, query in (("delete_selected", ""), ("hand_over_selected", selected)):
        found = _page(f"apitokens:{name}", OF_FULL, account_id=FULL)
        yield found._replace(path=found.path + query, name=f"{found.name}, 100,000", bound=None)
    first_of_full = FIRST_USER + sizes.members_of_big
    for name in ("apitokens:delete_all", "accounts:remove"):
        about = _page(name, OF_FULL, account_id=FULL, user_id=first_of_full + 1)
        yield about._replace(name=f"{about.name}, 16,700 tokens", bound=None)
