"""HTTP: client addresses, user agents, redirects, sessions, middleware."""
