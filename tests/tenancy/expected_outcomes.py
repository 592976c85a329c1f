"""The expected outcome of every route of the portal, for every caller who requests the engineer's
objects.

A new route is refused by the tests until it stands here. Think before you write its line: what does
an Administrator of another account get, and what a member without the permission? An object that
the caller must not see is answered 404, exactly as one that does not exist.

Words: a status; `in` sends to the sign-in page, `again` asks to sign in once more, `go` goes on to
another page. Requests are empty (an empty form, `{}`), so 200 and 400 to a POST mean that the
form is shown again. A call of the API refuses the methods that are not named with it.
"""

from tests.tenancy.fixture import CALLERS

TABLE = """
method  route                                  anon. lonely other user admin operator
------  -----                                  ----- ----- ----- ----- ----- -----
GET     home                                   in    403   go    go    go    403
POST    home                                   405   405   405   405   405   405
GET     in_last_account                        in    403   go    go    go    403
POST    in_last_account                        405   405   405   405   405   405
GET     healthz                                200   200   200   200   200   200
POST    healthz                                405   405   405   405   405   405
GET     account_login                          200   go    go    go    go    go
POST    account_login                          400   go    go    go    go    go
GET     mfa_login_webauthn                     in    go    go    go    go    go
POST    mfa_login_webauthn                     in    go    go    go    go    go
GET     mfa_authenticate                       in    go    go    go    go    go
POST    mfa_authenticate                       in    go    go    go    go    go
GET     account_reauthenticate                 in    200   200   200   200   200
POST    account_reauthenticate                 in    200   200   200   200   200
GET     mfa_reauthenticate                     in    again again again again again
POST    mfa_reauthenticate                     in    again again again again again
GET     mfa_reauthenticate_webauthn            in    again again again again again
POST    mfa_reauthenticate_webauthn            in    again again again again again
GET     account_inactive                       200   200   200   200   200   200
POST    account_inactive                       405   405   405   405   405   405
GET     account_logout                         in    200   200   200   200   200
POST    account_logout                         in    in    in    in    in    in
GET     account_signup                         200   go    go    go    go    go
POST    account_signup                         200   go    go    go    go    go
GET     account_email_verification_sent        200   200   200   200   200   200
POST    account_email_verification_sent        405   405   405   405   405   405
GET     account_confirm_email                  410   410   410   410   410   410
POST    account_confirm_email                  410   410   410   410   410   410
GET     account_reset_password                 200   200   200   200   200   200
POST    account_reset_password                 200   200   200   200   200   200
GET     account_reset_password_done            200   200   200   200   200   200
POST    account_reset_password_done            405   405   405   405   405   405
GET     account_reset_password_from_key_done   200   200   200   200   200   200
POST    account_reset_password_from_key_done   405   405   405   405   405   405
GET     account_reset_password_from_key        410   410   410   410   410   410
POST    account_reset_password_from_key        410   410   410   410   410   410
GET     mfa_index                              in    200   200   200   200   200
POST    mfa_index                              in    405   405   405   405   405
GET     account_change_password                in    200   200   200   200   200
POST    account_change_password                in    200   200   200   200   200
GET     account_set_password                   in    go    go    go    go    go
POST    account_set_password                   in    go    go    go    go    go
GET     mfa_activate_totp                      in    200   200   200   200   200
POST    mfa_activate_totp                      in    200   200   200   200   200
GET     mfa_deactivate_totp                    in    404   404   404   404   404
POST    mfa_deactivate_totp                    in    404   404   404   404   404
GET     mfa_view_recovery_codes                in    404   404   404   404   404
POST    mfa_view_recovery_codes                in    405   405   405   405   405
GET     mfa_generate_recovery_codes            in    200   200   200   200   200
POST    mfa_generate_recovery_codes            in    200   200   200   200   200
GET     mfa_list_webauthn                      go    go    go    go    go    go
POST    mfa_list_webauthn                      go    go    go    go    go    go
GET     mfa_add_webauthn                       in    200   200   200   200   200
POST    mfa_add_webauthn                       in    200   200   200   200   200
GET     mfa_edit_webauthn                      in    404   404   404   404   404
POST    mfa_edit_webauthn                      in    404   404   404   404   404
GET     mfa_remove_webauthn                    in    404   404   404   404   404
POST    mfa_remove_webauthn                    in    404   404   404   404   404
GET     accounts:profile                       in    200   200   200   200   200
POST    accounts:profile                       in    400   400   400   400   400
GET     accounts:change_email                  in    200   200   200   200   200
POST    accounts:change_email                  in    400   400   400   400   400
GET     accounts:confirm_email                 410   410   410   410   410   410
POST    accounts:confirm_email                 410   410   410   410   410   410
GET     accounts:end_sessions                  in    405   405   405   405   405
POST    accounts:end_sessions                  in    go    go    go    go    go
GET     accounts:end_session                   in    405   405   405   405   405
POST    accounts:end_session                   in    404   404   404   404   404
GET     accounts:audit_log                     in    404   404   200   200   404
POST    accounts:audit_log                     405   405   405   405   405   405
GET     accounts:audit_log_file                in    404   404   200   200   404
POST    accounts:audit_log_file                405   405   405   405   405   405
GET     accounts:invitation                    410   410   410   410   410   410
POST    accounts:invitation                    410   410   410   410   410   410
GET     accounts:account                       in    404   404   200   200   404
POST    accounts:account                       in    404   404   403   400   404
GET     accounts:people                        in    404   404   200   200   404
POST    accounts:people                        405   405   405   405   405   405
GET     accounts:invite                        in    404   404   403   200   404
POST    accounts:invite                        in    404   404   403   400   404
GET     accounts:send_again                    405   405   405   405   405   405
POST    accounts:send_again                    in    404   404   404   go    404
GET     accounts:withdraw                      405   405   405   405   405   405
POST    accounts:withdraw                      in    404   404   404   go    404
GET     accounts:change_role                   in    404   404   403   200   404
POST    accounts:change_role                   in    404   404   403   400   404
GET     accounts:remove                        in    404   404   403   200   404
POST    accounts:remove                        in    404   404   403   403   404
GET     accounts:new_account                   in    200   go    go    go    200
POST    accounts:new_account                   in    400   go    go    go    400
GET     accounts:leave                         in    404   404   200   200   404
POST    accounts:leave                         in    404   404   403   403   404
GET     accounts:former_link                   go    go    go    go    go    go
POST    accounts:former_link                   405   405   405   405   405   405
GET     sso:begin                              go    go    go    go    go    go
POST    sso:begin                              405   405   405   405   405   405
GET     sso:acs                                405   405   405   405   405   405
POST    sso:acs                                400   400   400   400   400   400
GET     sso:finish                             400   go    go    go    go    go
POST    sso:finish                             405   405   405   405   405   405
GET     sso:metadata                           200   200   200   200   200   200
POST    sso:metadata                           405   405   405   405   405   405
GET     sso:sign_out                           in    in    in    in    in    in
POST    sso:sign_out                           405   405   405   405   405   405
GET     sso:sls                                404   404   404   404   404   404
POST    sso:sls                                405   405   405   405   405   405
GET     sso:again                              in    go    go    go    go    go
POST    sso:again                              in    405   405   405   405   405
GET     sso:ask_again                          in    404   404   404   404   404
POST    sso:ask_again                          in    405   405   405   405   405
GET     sso:test                               in    404   404   403   go    404
POST    sso:test                               in    404   404   403   200   404
GET     sso:tested                             in    404   404   403   200   404
POST    sso:tested                             405   405   405   405   405   405
GET     sso:connection                         in    404   404   403   200   404
POST    sso:connection                         405   405   405   405   405   405
GET     sso:set_up                             405   405   405   405   405   405
POST    sso:set_up                             in    404   404   403   go    404
GET     sso:provider                           in    404   404   403   200   404
POST    sso:provider                           in    404   404   403   400   404
GET     sso:settings                           in    404   404   403   200   404
POST    sso:settings                           in    404   404   403   400   404
GET     sso:ask_for_domain                     405   405   405   405   405   405
POST    sso:ask_for_domain                     in    404   404   403   400   404
GET     sso:withdraw_domain                    405   405   405   405   405   405
POST    sso:withdraw_domain                    in    404   404   403   go    404
GET     sso:remove_certificate                 405   405   405   405   405   405
POST    sso:remove_certificate                 in    404   404   403   go    404
GET     sso:switch_on                          405   405   405   405   405   405
POST    sso:switch_on                          in    404   404   403   go    404
GET     sso:switch_off                         405   405   405   405   405   405
POST    sso:switch_off                         in    404   404   403   go    404
GET     sso:force                              405   405   405   405   405   405
POST    sso:force                              in    404   404   403   go    404
GET     sso:stop_forcing                       405   405   405   405   405   405
POST    sso:stop_forcing                       in    404   404   403   go    404
GET     sso:absence                            in    404   404   403   200   404
POST    sso:absence                            in    404   404   403   400   404
GET     sso:remove                             in    404   404   403   200   404
POST    sso:remove                             in    404   404   403   go    404
GET     sso:unlink                             in    404   404   403   200   404
POST    sso:unlink                             in    404   404   403   go    404
GET     notifications:inbox                    in    404   404   200   200   404
POST    notifications:inbox                    405   405   405   405   405   405
GET     notifications:read-all                 405   405   405   405   405   405
POST    notifications:read-all                 in    404   404   go    go    404
GET     notifications:follow                   in    404   404   404   404   404
POST    notifications:follow                   405   405   405   405   405   405
GET     notifications:read                     405   405   405   405   405   405
POST    notifications:read                     in    404   404   404   404   404
GET     notifications:unsubscribe              400   400   400   400   400   400
POST    notifications:unsubscribe              400   400   400   400   400   400
GET     notifications:settings                 in    404   404   200   200   404
POST    notifications:settings                 in    404   404   go    go    404
GET     apitokens:list                         in    404   404   200   200   404
POST    apitokens:list                         405   405   405   405   405   405
GET     apitokens:export                       in    404   404   200   200   404
POST    apitokens:export                       405   405   405   405   405   405
GET     apitokens:choose_view                  405   405   405   405   405   405
POST    apitokens:choose_view                  in    404   404   go    go    404
GET     apitokens:select                       405   405   405   405   405   405
POST    apitokens:select                       in    404   404   go    go    404
GET     apitokens:delete_selected              in    404   404   200   200   404
POST    apitokens:delete_selected              in    404   404   go    go    404
GET     apitokens:create                       in    404   404   200   200   404
POST    apitokens:create                       in    404   404   400   400   404
GET     apitokens:token                        in    404   404   404   200   404
POST    apitokens:token                        405   405   405   405   405   405
GET     apitokens:delete                       in    404   404   404   200   404
POST    apitokens:delete                       in    404   404   404   go    404
GET     apitokens:delete_all                   in    404   404   404   200   404
POST    apitokens:delete_all                   in    404   404   404   go    404
GET     api-my-account                         401   401   200   200   200   401
GET     api-my-user                            401   401   200   200   200   401
GET     api-users                              401   401   200   200   200   401
GET     api-user                               401   401   404   404   200   401
PATCH   api-user                               401   401   404   404   403   401
GET     api-invite-user                        401   401   405   405   405   401
POST    api-invite-user                        401   401   400   400   400   401
GET     api-client-user                        401   401   404   404   200   401
PUT     api-client-user                        401   401   404   404   400   401
DELETE  api-client-user                        401   401   404   404   403   401
GET     api-sign-ins                           401   401   200   200   200   401
GET     api-login                              405   405   405   405   405   405
POST    api-login                              400   400   400   400   400   400
GET     api-refresh                            405   405   405   405   405   405
POST    api-refresh                            400   400   400   400   400   400
GET     api-login-to-account                   401   401   403   403   403   401
GET     api-tokens-v1                          401   401   404   200   200   401
POST    api-tokens-v1                          401   401   404   400   400   401
GET     api-token-v1                           401   401   404   404   200   401
DELETE  api-token-v1                           401   401   404   404   204   401
GET     api-tokens-v2                          401   401   404   200   200   401
POST    api-tokens-v2                          401   401   404   400   400   401
GET     api-token-v2                           401   401   404   404   200   401
DELETE  api-token-v2                           401   401   404   404   204   401
GET     api-verify                             401   401   200   200   200   401
POST    api-verify                             401   401   200   200   200   401
PUT     api-verify                             401   401   200   200   200   401
PATCH   api-verify                             401   401   200   200   200   401
DELETE  api-verify                             401   401   200   200   200   401
GET     api-introspect                         405   405   405   405   405   405
POST    api-introspect                         401   401   401   401   401   401
GET     openapi                                200   200   200   200   200   200
GET     api-docs                               200   200   200   200   200   200
GET     admin:index                            in    in    in    in    in    200
GET     admin:login                            in    403   403   403   403   in
GET     admin:logout                           go    go    go    go    go    405
GET     admin:password_change                  in    in    in    in    in    go
GET     admin:password_change_done             in    in    in    in    in    go
GET     admin:autocomplete                     in    in    in    in    in    403
GET     admin:jsi18n                           in    in    in    in    in    200
GET     admin:view_on_site                     in    in    in    in    in    404
GET     admin:accounts_user_changelist         in    in    in    in    in    200
GET     admin:accounts_user_add                in    in    in    in    in    200
GET     admin:accounts_user_history            in    in    in    in    in    200
GET     admin:accounts_user_delete             in    in    in    in    in    403
GET     admin:accounts_user_change             in    in    in    in    in    200
GET     admin:accounts_membership_changelist   in    in    in    in    in    200
GET     admin:accounts_membership_add          in    in    in    in    in    200
GET     admin:accounts_membership_history      in    in    in    in    in    200
GET     admin:accounts_membership_delete       in    in    in    in    in    403
GET     admin:accounts_membership_change       in    in    in    in    in    200
GET     admin:accounts_invitation_changelist   in    in    in    in    in    200
GET     admin:accounts_invitation_add          in    in    in    in    in    200
GET     admin:accounts_invitation_history      in    in    in    in    in    200
GET     admin:accounts_invitation_delete       in    in    in    in    in    403
GET     admin:accounts_invitation_change       in    in    in    in    in    200
GET     admin:accounts_auditevent_changelist   in    in    in    in    in    200
GET     admin:accounts_auditevent_add          in    in    in    in    in    403
GET     admin:accounts_auditevent_history      in    in    in    in    in    200
GET     admin:accounts_auditevent_delete       in    in    in    in    in    403
GET     admin:accounts_auditevent_change       in    in    in    in    in    200
GET     admin:sso_connection_changelist        in    in    in    in    in    200
GET     admin:sso_connection_add               in    in    in    in    in    403
GET     admin:sso_connection_history           in    in    in    in    in    200
GET     admin:sso_connection_delete            in    in    in    in    in    403
GET     admin:sso_connection_change            in    in    in    in    in    200
GET     admin:sso_domain_changelist            in    in    in    in    in    200
GET     admin:sso_domain_add                   in    in    in    in    in    403
GET     admin:sso_domain_history               in    in    in    in    in    200
GET     admin:sso_domain_delete                in    in    in    in    in    403
GET     admin:sso_domain_change                in    in    in    in    in    200
GET     admin:notifications_mail_changelist    in    in    in    in    in    200
GET     admin:notifications_mail_add           in    in    in    in    in    403
GET     admin:notifications_mail_history       in    in    in    in    in    200
GET     admin:notifications_mail_delete        in    in    in    in    in    403
GET     admin:notifications_mail_change        in    in    in    in    in    200
GET     admin:apitokens_apitoken_changelist    in    in    in    in    in    200
GET     admin:apitokens_apitoken_add           in    in    in    in    in    403
GET     admin:apitokens_apitoken_history       in    in    in    in    in    200
GET     admin:apitokens_apitoken_delete        in    in    in    in    in    200
GET     admin:apitokens_apitoken_change        in    in    in    in    in    200
GET     admin:apitokens_verifierkey_changelist   in    in    in    in    in    200
GET     admin:apitokens_verifierkey_add          in    in    in    in    in    200
GET     admin:apitokens_verifierkey_history      in    in    in    in    in    200
GET     admin:apitokens_verifierkey_delete       in    in    in    in    in    200
GET     admin:apitokens_verifierkey_change       in    in    in    in    in    200
GET     admin:accounts_account_changelist      in    in    in    in    in    200
GET     admin:accounts_account_add             in    in    in    in    in    403
GET     admin:accounts_account_history         in    in    in    in    in    200
GET     admin:accounts_account_delete          in    in    in    in    in    403
GET     admin:accounts_account_change          in    in    in    in    in    200
GET     admin:app_list                         in    in    in    in    in    200
"""

NAMELESS = {
    "<path:object_id>/": "sends operators from an old address of a row to its present one",
    "(?P<url>.*)$": "404, or adds a slash, below the operators' pages",
}
"""Routes without a name, which the Django admin makes itself, by what they do."""

EXPECTED: dict[str, dict[str, dict[str, str]]] = {}
"""Route → method → caller → outcome."""

for _line in TABLE.strip().splitlines()[2:]:
    _method, _route, *_outcomes = _line.split()
    EXPECTED.setdefault(_route, {})[_method] = dict(zip(CALLERS, _outcomes, strict=True))
