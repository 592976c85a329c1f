"""Signals by which apps above `accounts` react to, or veto, membership changes.

`member_leaving` and `member_role_changing` are sent inside the transaction that changes the member.
A receiver vetoes by raising `PermissionDenied` with the sentence to show.

`standing_changed` is sent when a change of what tokens may do is committed: caches of tokens drop
their entries, and if the tokens are weaker now, the answer waits until all processes have. A
receiver must not fail.
"""

from django.dispatch import Signal

member_leaving = Signal()
"""`membership`, `delete_tokens` (their active tokens go with them), `hand_over_to` (who becomes the
issuer of these instead, or None), `is_own_wish`, `by`, `at`."""

member_role_changing = Signal()
"""`membership` (with the role it still has), `role` (the one it gets), `by`, `at`."""

standing_changed = Signal()
"""`user_id`, `account_id`: the tokens of this issuer, in this account; None means any. `is_weaker`:
something ends that was accepted before."""
