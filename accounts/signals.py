"""Where higher apps answer for their part in what happens to members.

Receivers of `member_leaving` are called inside the transaction that removes a member, with
`membership`, `by` and `at`. One that objects raises `PermissionDenied` with the sentence to show.

Receivers of `standing_changed` are called after the commit of whatever changes what people may do,
and so what their tokens may do: who remembers such facts forgets them. They must not fail.
"""

from django.dispatch import Signal

member_leaving = Signal()
standing_changed = Signal()
