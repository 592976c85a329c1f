"""The OpenAPI description of the REST API, and its page."""
