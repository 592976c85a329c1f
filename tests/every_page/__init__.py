"""Every page of the portal, listed once for all tests that look at pages: from its URL
configuration (`places`), and in the states that addresses alone do not show (`states`)."""
