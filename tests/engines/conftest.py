"""The portal and the API, as the tests in Chromium have them."""

from tests.browser.conftest import call as call
from tests.browser.conftest import portal as portal
