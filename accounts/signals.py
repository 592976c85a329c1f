"""Where higher apps answer for their part in what happens to members.

Receivers of `member_leaving` are called inside the transaction that removes a member, with
`membership`, `by` and `at`. One that objects raises `PermissionDenied` with the sentence to show.
"""

from django.dispatch import Signal

member_leaving = Signal()
