"""The statements that fill the smaller tables: sessions, service accounts, services, verifiers, and
what single sign-on keeps."""

SESSIONS = """
    INSERT INTO django_session (session_key, session_data, expire_date)
    SELECT md5('session' || n), 'e30:x',
        %(at)s + CASE WHEN n %% 2 = 0 THEN interval '7 days' ELSE - interval '1 hour' END
    FROM generate_series(1, %(sessions)s) AS n
"""
SESSIONS_OF_USERS = """
    INSERT INTO usersessions_usersession (user_id, created_at, ip, last_seen_at, session_key,
        user_agent, data)
    SELECT %(first_user)s + CASE WHEN n <= %(sessions_of_one)s THEN 0 ELSE n %% %(users)s END,
        %(at)s - interval '2 days', '192.0.2.7', %(at)s - n * interval '1 second',
        md5('session' || n), 'Firefox', '{}'
    FROM generate_series(1, %(sessions)s) AS n
"""
TOKEN_FAMILIES = """
    INSERT INTO accounts_tokenfamily (id, user_id, membership_id, created_at, expires_at,
        current_refresh, sign_in, ended_why)
    SELECT md5('family' || n)::uuid, user_id, member.id, %(at)s - interval '30 hours',
        %(at)s + CASE WHEN n %% 2 = 0 THEN interval '7 hours' ELSE - interval '1 hour' END,
        md5('refresh' || n)::uuid, md5('sign-in' || n)::uuid, ''
    FROM generate_series(1, %(token_families)s) AS n
    JOIN accounts_membership AS member ON member.id = 1 + n %% %(users)s
"""
SERVICES = """
    INSERT INTO apitokens_service (id, account_id, code, name, names, created_at)
    SELECT n,
        CASE WHEN n <= %(services_of_portal)s THEN NULL
            WHEN n <= %(services_of_portal)s + %(services_of_big)s THEN 1
            ELSE 4 + n END,
        'service' || n, 'Service ' || n, '{}', %(at)s
    FROM generate_series(1, %(services)s) AS n
"""
SCOPES = """
    INSERT INTO apitokens_scope (service_id, code, name, names)
    SELECT service.id, 'scope' || n, 'Scope ' || n, '{}'
    FROM apitokens_service AS service, generate_series(1, 5) AS n
"""
VERIFIERS = """
    INSERT INTO apitokens_verifierkey (id, name, service_id, digest, pepper, created_at)
    SELECT 100000 + n, 'Verifier ' || n, CASE WHEN n %% 2 = 0 THEN 1 + n %% %(services)s END,
        decode(md5('a' || n) || md5('b' || n), 'hex'), %(pepper)s, %(at)s
    FROM generate_series(1, %(verifiers)s) AS n
"""
USERS_OF_SERVICE_ACCOUNTS = """
    INSERT INTO accounts_user (id, email, name, password, is_superuser, is_staff, is_active,
        date_joined, language, time_zone, is_service_account)
    SELECT %(first_user)s + %(users)s + n,
        (%(first_user)s + %(users)s + n) || '@' || %(service_accounts_at)s,
        'Nightly jobs ' || n, '!', false, false, true, %(at)s, 'en', 'Europe/Berlin', true
    FROM generate_series(0, %(service_accounts)s - 1) AS n
"""
MEMBERS_OF_SERVICE_ACCOUNTS = """
    INSERT INTO accounts_membership (id, account_id, user_id, role, created_at)
    SELECT %(users)s + 1 + n, 1, %(first_user)s + %(users)s + n, 2, %(at)s
    FROM generate_series(0, %(service_accounts)s - 1) AS n
"""
SERVICE_ACCOUNTS = """
    INSERT INTO accounts_serviceaccount (membership_id, description, contact_id)
    SELECT %(users)s + 1 + n, 'Runs at night', 1 + n
    FROM generate_series(0, %(service_accounts)s - 1) AS n
"""
ISSUERS_OF_SERVICE_ACCOUNTS = """
    INSERT INTO accounts_serviceaccount_issuers (serviceaccount_id, membership_id)
    SELECT %(users)s + 1 + n, 1 + issuer
    FROM generate_series(0, %(service_accounts)s - 1) AS n, generate_series(20, 40) AS issuer
"""
CERTIFICATES = """
    INSERT INTO sso_certificate (id, connection_id, pem, fingerprint, not_before, not_after,
        added_at)
    SELECT n, n, '', md5('c' || n) || md5('d' || n), %(at)s - interval '1 year',
        %(at)s + (n %% 90) * interval '1 day', %(at)s - interval '1 year'
    FROM generate_series(1, %(connections)s) AS n
"""
DOMAINS = """
    INSERT INTO sso_domain (id, connection_id, name, asked_at, asked_by_id, approved_at)
    SELECT n, n, 'company' || n || '.example.com', %(at)s, 1, %(at)s
    FROM generate_series(1, %(connections)s) AS n
"""
SUBJECTS = """
    INSERT INTO sso_subject (connection_id, name_id, membership_id, linked_at)
    SELECT account_id, 'subject' || id, id, sso_at
    FROM accounts_membership WHERE sso_at IS NOT NULL
"""
USED_ASSERTIONS = """
    INSERT INTO sso_usedassertion (connection_id, assertion_id, forget_at)
    SELECT 1 + n %% %(connections)s, 'a' || n,
        %(at)s + CASE WHEN n %% 10 = 0 THEN interval '5 minutes' ELSE - interval '1 minute' END
    FROM generate_series(1, %(assertions)s) AS n
"""
STATEMENTS = [
    ("django_session", SESSIONS),
    ("usersessions_usersession", SESSIONS_OF_USERS),
    ("accounts_tokenfamily", TOKEN_FAMILIES),
    ("apitokens_service", SERVICES),
    ("apitokens_scope", SCOPES),
    ("apitokens_verifierkey", VERIFIERS),
    ("accounts_user", USERS_OF_SERVICE_ACCOUNTS),
    ("accounts_membership", MEMBERS_OF_SERVICE_ACCOUNTS),
    ("accounts_serviceaccount", SERVICE_ACCOUNTS),
    ("accounts_serviceaccount_issuers", ISSUERS_OF_SERVICE_ACCOUNTS),
    ("sso_certificate", CERTIFICATES),
    ("sso_domain", DOMAINS),
    ("sso_subject", SUBJECTS),
    ("sso_usedassertion", USED_ASSERTIONS),
]
