"""Weighs what pages have sent to a browser, headers and all."""

from time import monotonic
from typing import Any

from playwright.sync_api import Page

PATIENCE = 60
"""Seconds for what a page asks for."""


class Scales:
    """What came since the last page began; what the browser had already counts by what it weighed
    when it came."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.document = ""
        self.addresses: dict[str, str] = {}
        self.under_way: set[str] = set()
        self.sent: dict[str, int] = {}
        self.weights: dict[str, int] = {}
        network = page.context.new_cdp_session(page)
        network.send("Network.enable")
        network.on("Network.requestWillBeSent", self._asked)
        network.on("Network.loadingFinished", self._arrived)
        network.on("Network.loadingFailed", self._failed)

    def sent_now(self) -> int:
        """The bytes that came for this page."""
        self._wait()
        return sum(self.sent.values())

    def whole(self) -> int:
        """The bytes that would come for this page to a browser that has nothing yet."""
        self._wait()
        return sum(self.weights.get(url, 0) for url in self.addresses.values())

    def requests(self) -> int:
        """How often the page has asked the server for something."""
        return len(set(self.addresses.values()))

    def _wait(self) -> None:
        self.page.wait_for_load_state("load")
        ends_at = monotonic() + PATIENCE
        while True:
            self.page.wait_for_timeout(20)
            if not self.under_way:
                return
            assert monotonic() < ends_at, [self.addresses[each] for each in self.under_way]

    def _asked(self, event: Any) -> None:
        if event["request"]["url"].startswith("data:"):
            return
        if event["type"] == "Document":
            self.document, self.addresses, self.sent = event["loaderId"], {}, {}
            self.under_way.clear()
        if event["loaderId"] != self.document:
            return  # of the page before, which may still ask while this one comes: nobody is told
        self.addresses[event["requestId"]] = event["request"]["url"]
        self.under_way.add(event["requestId"])

    def _arrived(self, event: Any) -> None:
        self.under_way.discard(event["requestId"])
        url, size = self.addresses.get(event["requestId"]), event["encodedDataLength"]
        if url is not None:
            self.sent[url] = size
            self.weights[url] = max(size, self.weights.get(url, 0))

    def _failed(self, event: Any) -> None:
        self.under_way.discard(event["requestId"])
