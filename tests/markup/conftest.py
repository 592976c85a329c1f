"""The portal and the browser, as the tests in Chromium have them."""

from tests.browser.conftest import browser as browser
from tests.browser.conftest import portal as portal
from tests.browser.conftest import visit as visit
