"""Headless Chromium on a page of this folder, which tells the test what it sees by POST /report."""

import json
import os
import time
import urllib.parse

from support.scene import SLOWNESS, wait_until
from support.scripted_origin import ScriptedOrigin

HERE = os.path.dirname(os.path.abspath(__file__))
CHROMIUM = os.environ.get("CHROMIUM", "/usr/bin/chromium")
FLAGS = [
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--autoplay-policy=no-user-gesture-required",
    "--use-fake-device-for-media-stream",
    "--use-fake-ui-for-media-stream",
    # Candidates with addresses instead of mDNS names, and on loopback.
    "--disable-features=WebRtcHideLocalIpsWithMdns,LocalNetworkAccessChecks",
    "--allow-loopback-in-peer-connection",
]


class Page:
    """One browser with one page; `latest` is its last report, `order` what each is answered with."""

    def __init__(self, scene, name, page, **arguments):
        self.reports, self.order = [], "go on"
        self._page = os.path.join(HERE, page)
        port = ScriptedOrigin(scene, self._answer).http
        query = urllib.parse.urlencode(arguments)
        profile = os.path.join(scene.directory, f"{name}-profile")
        self.process = scene.start(
            name, [CHROMIUM, *FLAGS, f"--user-data-dir={profile}", f"http://127.0.0.1:{port}/?{query}"]
        )
        scene.at_end(self.process.stop)

    def _answer(self, asked):
        if asked.command == "POST":
            self.reports.append({"at": time.monotonic(), **json.loads(asked.body())})
            return asked.give(self.order.encode())
        if urllib.parse.urlsplit(asked.path).path != "/":
            return asked.give(b"", 404)
        with open(self._page, "rb") as file:
            asked.give(file.read(), Content_Type="text/html")

    @property
    def latest(self):
        for report in self.reports:
            assert "error" not in report, report
        return self.reports[-1] if self.reports else {}

    def wait_for(self, fact, least, seconds=30):
        return wait_until(
            lambda: self.latest.get(fact, 0) >= least and self.latest,
            lambda: f"{fact} is {least} in {self.latest}",
            seconds * SLOWNESS,
            0.1,
        )

    def stop(self):
        """Ends the page's session as its user would; the status of the DELETE."""
        self.order = "stop"
        return self.wait_for("deleted", 1)["deleted"]
