"""What is measured: every list and page whose cost could grow with the data, and its bound."""

from accounts.roles import Role
from benchmarks.scale.asked import singles
from benchmarks.scale.asked.calls import (
    ADMINISTRATOR,
    OF_BUSY,
    OF_FULL,
    OPERATOR,
    OPERATORS_PAGE,
    OPERATORS_SEARCH,
    PAGE,
    PLAIN,
    SEARCH,
    SORTED,
    Call,
)
from benchmarks.scale.data.seed import (
    BIG,
    BUSY,
    FIRST_TOKEN,
    FIRST_USER,
    FULL,
    HASTY,
    QUIET_TOKEN,
    TOKEN_WITH_HISTORY,
    Sizes,
)


def calls(sizes: Sizes, *, last_page_of_events: int = 99_999) -> list[Call]:
    """All calls. The pages that a query finds are asked for by number, as people do."""
    big, full, busy = (f"/accounts/{each}" for each in (BIG, FULL, BUSY))
    token, quiet = FIRST_TOKEN + TOKEN_WITH_HISTORY, FIRST_TOKEN + QUIET_TOKEN
    hasty = FIRST_USER + HASTY
    found: list[Call] = []

    def add(who: str, name: str, path: str, bound: int = PAGE) -> None:
        found.append(Call(who, name, path, bound))

    for who in (ADMINISTRATOR, PLAIN):
        add(who, "audit log", f"{big}/audit-log/")
        add(who, "audit log, 100 rows", f"{big}/audit-log/?page_size=100")
        add(who, "audit log, page 300", f"{big}/audit-log/?page=300")
        add(who, "audit log, last page", f"{big}/audit-log/?page={last_page_of_events}")
        add(who, "audit log, quiet token", f"{big}/audit-log/?token={quiet}")
        add(who, "audit log, busy token", f"{big}/audit-log/?token={token}")
        add(who, "audit log, unknown token", f"{big}/audit-log/?token=77")
        add(who, "audit log, rare kind", f"{big}/audit-log/?kind=account.renamed")
        add(who, "audit log, common kind", f"{big}/audit-log/?kind=token.refused")
        add(who, "audit log, until", f"{big}/audit-log/?until=2026-01-31")
        add(who, "tokens", f"{big}/api-tokens/?page_size=50")
        add(who, "tokens, all", f"{big}/api-tokens/?status=all&page_size=100")
        add(who, "tokens, all, page 100", f"{big}/api-tokens/?status=all&page_size=100&page=100")
        add(who, "tokens, all, last page", f"{big}/api-tokens/?status=all&page=99999")
        add(who, "tokens, search", f"{big}/api-tokens/?status=all&q=backup", SEARCH)
        add(who, "tokens, search of few", f"{big}/api-tokens/?status=all&q=person77", SEARCH)
        add(who, "tokens, search of one letter", f"{big}/api-tokens/?status=all&q=z", SEARCH)
        add(who, "tokens, by issuer", f"{big}/api-tokens/?status=all&sort=issued_by", SORTED)
        add(who, "tokens, by name", f"{big}/api-tokens/?status=all&sort=name")
        add(who, "tokens, by last usage", f"{big}/api-tokens/?status=all&sort=-last_usage", SORTED)
        add(who, "tokens, not used for 90 days", f"{big}/api-tokens/?status=all&last_used=90")
        add(who, "create token", f"{big}/api-tokens/create/")
        add(who, "users", f"{big}/users/")
        add(who, "users, search", f"{big}/users/?q=person4")
        add(who, "users, role", f"{big}/users/?role=5")
        add(who, "users, last page", f"{big}/users/?page=9999")
        add(who, "inbox", f"{big}/notifications/")
        add(who, "inbox, page 300", f"{big}/notifications/?page=300")
        add(who, "inbox, last page", f"{big}/notifications/?page=99999")
        add(who, "notification settings", f"{big}/notifications/settings/")
        add(who, "account", f"{big}/")
        add(who, "usage", f"{big}/api-tokens/usage/")
    add(ADMINISTRATOR, "audit log, busy person", f"{big}/audit-log/?person={hasty}")
    add(ADMINISTRATOR, "token with 100,000 events", f"{big}/api-tokens/{token}/")
    add(ADMINISTRATOR, "token, last page of events", f"{big}/api-tokens/{token}/?page=99999")
    add(ADMINISTRATOR, "token, few events", f"{big}/api-tokens/{quiet}/")
    add(ADMINISTRATOR, "people who match", f"{big}/people/?q=mar")
    members, receivers = "among=members", f"among=receivers&role={Role.ENGINEERS}"
    add(ADMINISTRATOR, "members who match", f"{big}/people/?q=mar&{members}")
    add(ADMINISTRATOR, "receivers who match", f"{big}/people/?q=mar&{receivers}")
    add(ADMINISTRATOR, "who has access", f"{big}/api-tokens/access/")
    add(ADMINISTRATOR, "service accounts", f"{big}/users/service-accounts/")
    add(ADMINISTRATOR, "create service account", f"{big}/users/service-accounts/new/")
    add(ADMINISTRATOR, "hand over", f"{big}/api-tokens/selection/hand-over/?ids={quiet}")
    for who, base in ((OF_FULL, full), (OF_BUSY, busy)):
        add(who, "audit log", f"{base}/audit-log/")  # of few people
        add(who, "tokens", f"{base}/api-tokens/?page_size=100")
        add(who, "tokens, page 90", f"{base}/api-tokens/?page_size=100&page=90")
        add(who, "tokens, last page", f"{base}/api-tokens/?page=99999")
        add(who, "tokens, by issuer", f"{base}/api-tokens/?sort=issued_by", SORTED)
        add(who, "tokens, by name", f"{base}/api-tokens/?sort=name")
        add(who, "tokens, by role", f"{base}/api-tokens/?sort=role", SORTED)
        add(who, "tokens, by expiration", f"{base}/api-tokens/?sort=expiration")
        add(who, "tokens, search", f"{base}/api-tokens/?q=backup", SEARCH)
        add(who, "tokens, search of none", f"{base}/api-tokens/?q=zzzz", SEARCH)
        add(who, "tokens, by role and expiry", f"{base}/api-tokens/?role=3022&expires=30")
        add(who, "create token", f"{base}/api-tokens/create/")
        add(who, "users", f"{base}/users/")
        add(who, "usage", f"{base}/api-tokens/usage/")
    for who in (ADMINISTRATOR, PLAIN):
        for name, path, bound in (
            ("account", "/iam/clients/me", PAGE),
            ("myself", "/iam/users/me", PAGE),
            ("users", "/iam/users?limit=100", PAGE),
            ("users, far", "/iam/users?limit=100&offset=4800", PAGE),
            ("users, all", "/iam/users", SEARCH),
            ("tokens", f"/iam/v2/clients/{BIG}/tokens", PAGE),
            ("tokens, 100", f"/iam/v2/clients/{BIG}/tokens?limit=100", PAGE),
            ("deleted, 100", f"/iam/v2/clients/{BIG}/tokens?deleted=true&limit=100", PAGE),
            ("logins", "/iam/activity_log/logins", PAGE),
        ):
            found.append(Call(who, f"API: {name}", path, bound, is_api=True))
    deleted = f"/iam/v2/clients/{BIG}/tokens?deleted=true"
    found.append(Call(ADMINISTRATOR, "API: deleted, all", deleted, is_api=True, status=400))
    far = f"{deleted}&limit=100&offset=190000"
    found.append(Call(ADMINISTRATOR, "API: deleted, far", far, None, is_api=True))
    all_of_busy = f"/iam/v2/clients/{BUSY}/tokens"
    found.append(Call(OF_BUSY, "API: tokens, all", all_of_busy, SEARCH, is_api=True, status=0))
    found.append(Call(OF_FULL, "API: logins", "/iam/activity_log/logins", is_api=True))
    for model in (
        *("accounts_account", "accounts_user", "accounts_membership", "accounts_invitation"),
        *("accounts_auditevent", "apitokens_apitoken", "notifications_mail"),
    ):
        base = f"/operators/{model.replace('_', '/')}/"
        for name, query, bound in (
            ("", "", OPERATORS_PAGE),
            (", page 30", "?p=30", OPERATORS_PAGE),
            (", search", "?q=person777", OPERATORS_SEARCH),
            (", search of one letter", "?q=z", OPERATORS_SEARCH),
        ):
            add(OPERATOR, f"{model}{name}", base + query, bound)
    tokens, events = "/operators/apitokens/apitoken/", "/operators/accounts/auditevent/"
    for name, path in (
        ("tokens, active", f"{tokens}?status=active"),
        ("tokens, expired", f"{tokens}?status=expired"),
        ("tokens, role", f"{tokens}?role__exact=2"),
        ("tokens of an account", f"{tokens}?account={BIG}"),
        ("tokens, by name", f"{tokens}?o=2"),
        ("tokens, by expiration", f"{tokens}?o=8"),
        ("events, kind", f"{events}?kind=token.refused"),
        ("events, rare kind", f"{events}?kind=account.renamed"),
        ("events through a token", f"{events}?through_token={FIRST_TOKEN + 20}"),
        ("events about a token", f"{events}?subject_type=apitoken&subject_id={token}"),
        ("events of an account", f"{events}?account={BIG}"),
        ("events of a user", f"{events}?user__id__exact={hasty}"),
    ):
        add(OPERATOR, name, path, OPERATORS_PAGE)
    return [*found, *singles.calls(sizes)]
