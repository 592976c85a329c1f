from django.urls import path

from accounts.account import views as account
from accounts.all_users import views as all_users
from accounts.audit import views as audit
from accounts.invitations import views as invitations
from accounts.sign_in import security_views as security
from accounts.users import views as users
from notifications import links  # noqa: F401  # the converter <secret:…>

app_name = "accounts"
urlpatterns = [
    path("profile/", users.profile, name="profile"),
    path("profile/email/", security.change_email, name="change_email"),
    path("profile/email/<secret:signed>/", security.confirm_email, name="confirm_email"),
    path("profile/security/sessions/end/", security.end_other_sessions, name="end_sessions"),
    path("profile/security/sessions/<int:pk>/end/", security.end_session, name="end_session"),
    path("profile/audit-log/", audit.audit_log, name="audit_log"),
    path("profile/audit-log.csv", audit.download, name="audit_log_file"),
    path("invitations/<secret:signed>/", invitations.invitation, name="invitation"),
    path("profile/account/", account.account, name="account"),
    path("profile/users/", all_users.list_people, name="people"),
    path("profile/users/invite/", all_users.invite, name="invite"),
    path("profile/users/invitations/<int:pk>/send/", all_users.send_again, name="send_again"),
    path("profile/users/invitations/<int:pk>/withdraw/", all_users.withdraw, name="withdraw"),
    path("profile/users/<int:user_id>/role/", all_users.change_role, name="change_role"),
    path("profile/users/<int:user_id>/remove/", all_users.remove, name="remove"),
    path("accounts/new/", account.new_account, name="new_account"),
    path("accounts/switch/", account.switch, name="switch"),
    path("accounts/<int:account_id>/leave/", account.leave, name="leave"),
    path("accounts/<int:account_id>/open/", account.open_account, name="open"),
]
