from django.urls import path

from accounts.views import account, audit_log, joining, profile, security

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
    path("accounts/switch/", account.switch, name="switch"),
    path("accounts/<int:account_id>/open/", account.open_account, name="open"),
]
