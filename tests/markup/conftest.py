"""The portal, as the tests in Chromium have it."""

from tests.browser.conftest import portal as portal
