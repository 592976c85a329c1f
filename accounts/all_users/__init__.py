"""The page All users: members and invitations."""
