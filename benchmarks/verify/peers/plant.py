"""`python -m benchmarks.verify.peers.plant TOKENS`: fill the peers' tables.

Every table gets so many rows, 50 of them one user's where a library lets a user have several. Those
50 are made by the library itself. Prints what header each peer is to be sent, in a line of JSON.
"""

import json
import sys
from datetime import timedelta

import django
from django.core.management import call_command
from django.db import connection
from django.utils import timezone

ON_THE_USER = 50

FILLERS = [
    """
    INSERT INTO auth_user (username, password, is_superuser, first_name, last_name, email,
        is_staff, is_active, date_joined)
    SELECT 'person' || number, '', false, '', '', 'person' || number || '@example.com',
        false, true, now()
    FROM generate_series(1, %(rows)s) AS number
    """,
    """
    INSERT INTO authtoken_token (key, created, user_id)
    SELECT 'f' || left(md5(id::text) || md5('k' || id), 39), now(), id
    FROM auth_user WHERE username LIKE 'person%%'
    """,
    """
    INSERT INTO knox_authtoken (digest, token_key, created, expiry, user_id)
    SELECT repeat(md5(id || ' ' || number), 4), left(md5(number || ' ' || id), 15), now(),
        now() + interval '1 year', id
    FROM (SELECT id FROM auth_user WHERE username LIKE 'person%%' LIMIT %(rows)s / 50) AS person,
        generate_series(1, 50) AS number
    """,
    """
    INSERT INTO rest_framework_api_key_apikey
        (id, prefix, hashed_key, created, name, revoked, expiry_date)
    SELECT left(md5(number::text), 8) || number, to_char(number, 'FM00000000'),
        'sha512$$' || repeat(md5(number::text), 4), now(), 'filler', false, NULL
    FROM generate_series(1, %(rows)s) AS number
    """,
    """
    INSERT INTO oauth2_provider_accesstoken
        (token, token_checksum, expires, scope, resource, created, updated, user_id,
         application_id)
    SELECT md5(id::text || number), md5(number || ' ' || id) || md5(id || ' ' || number),
        now() + interval '1 year', 'read', '[]', now(), now(), id, %(application)s
    FROM (SELECT id FROM auth_user WHERE username LIKE 'person%%' LIMIT %(rows)s / 50) AS person,
        generate_series(1, 50) AS number
    """,
]


def main(rows: int) -> None:
    django.setup()
    call_command("migrate", verbosity=0, interactive=False)
    headers = _make_one_user()
    from oauth2_provider.models import get_application_model

    with connection.cursor() as cursor:
        for statement in FILLERS:
            application = get_application_model().objects.get().pk
            cursor.execute(statement, {"rows": rows, "application": application})
        cursor.execute("VACUUM ANALYZE")
    sys.stdout.write(f"{json.dumps(headers)}\n")


def _make_one_user() -> dict[str, str]:
    """The user that is measured, with tokens of every kind. Returns the headers, by address."""
    from django.contrib.auth.models import User
    from knox.models import AuthToken
    from oauth2_provider.models import get_access_token_model, get_application_model
    from rest_framework.authtoken.models import Token
    from rest_framework_api_key.models import APIKey
    from rest_framework_simplejwt.tokens import AccessToken

    user = User.objects.create(username="maria")
    application = get_application_model().objects.create(
        client_type="confidential", authorization_grant_type="client-credentials", user=user
    )
    key = Token.objects.create(user=user).key
    for number in range(ON_THE_USER):
        _row, knox = AuthToken.objects.create(user, expiry=timedelta(days=365))
        _row, api_key = APIKey.objects.create_key(name=f"Key {number}")
        bearer = get_access_token_model().objects.create(
            user=user,
            application=application,
            token=f"measured{number}" + "0" * 32,
            expires=timezone.now() + timedelta(days=365),
            scope="read",
        )
    signed = AccessToken.for_user(user)
    signed.set_exp(lifetime=timedelta(days=365))
    return {
        "/floor": "",
        "/drf": "",
        "/drf-token": f"Token {key}",
        "/knox": f"Token {knox}",
        "/api-key": f"Api-Key {api_key}",
        "/oauth2": f"Bearer {bearer.token}",
        "/simplejwt": f"Bearer {signed}",
    }


if __name__ == "__main__":
    main(int(sys.argv[1]))
