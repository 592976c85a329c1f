from django.urls import path

from accounts.views import account, audit_log, joining, people, profile, security

app_name = "accounts"
urlpatterns = [
    path("profile/", profile.profile, name="profile"),
    path("profile/email/", security.change_email, name="change_email"),
    path("profile/email/<str:signed>/", security.confirm_email, name="confirm_email"),
    path("profile/security/sessions/end/", security.end_other_sessions, name="end_sessions"),
    path("profile/security/sessions/<int:pk>/end/", security.end_session, name="end_session"),
    path("profile/audit-log/", audit_log.audit_log, name="audit_log"),
    path("profile/audit-log.csv", audit_log.download, name="audit_log_file"),
    path("invitations/<str:signed>/", joining.invitation, name="invitation"),
    path("profile/account/", account.account, name="account"),
    path("profile/users/", people.list_people, name="people"),
    path("profile/users/invite/", people.invite, name="invite"),
    path("profile/users/invitations/<int:pk>/send/", people.send_again, name="send_again"),
    path("profile/users/invitations/<int:pk>/withdraw/", people.withdraw, name="withdraw"),
    path("profile/users/<int:user_id>/role/", people.change_role, name="change_role"),
    path("profile/users/<int:user_id>/remove/", people.remove, name="remove"),
    path("accounts/new/", account.new_account, name="new_account"),
    path("accounts/switch/", account.switch, name="switch"),
    path("accounts/<int:account_id>/leave/", account.leave, name="leave"),
    path("accounts/<int:account_id>/open/", account.open_account, name="open"),
]
