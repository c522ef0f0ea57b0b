"""A page in headless Chromium, led by Debian's chromedriver over WebDriver."""

import http.client
import json

from support.scene import accepts, free_port, wait_until

ARGUMENTS = [
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--autoplay-policy=no-user-gesture-required",
]
SECONDS = 60


class Page:
    """`url` is open when the constructor returns."""

    def __init__(self, scene, url):
        self._port, profile = free_port(), scene.path("chromium")
        environment = {"HOME": scene.directory, "TMPDIR": scene.directory}
        self.driver = scene.start("chromedriver", ["chromedriver", f"--port={self._port}"], env=environment)
        wait_until(lambda: accepts(self._port), "chromedriver listens", 20)
        options = {"args": [*ARGUMENTS, f"--user-data-dir={profile}"], "binary": "/usr/bin/chromium"}
        wanted = {"goog:chromeOptions": options, "goog:loggingPrefs": {"browser": "ALL"}}
        self._session = ""
        session = self._ask("POST", "/session", {"capabilities": {"alwaysMatch": wanted}})
        self._session = f"/session/{session['sessionId']}"
        scene.at_end(lambda: self._ask("DELETE", ""))
        self._ask("POST", "/url", {"url": url})

    def call(self, function, *arguments):
        """What a function of the page returns."""
        script = f"return {function}(...arguments)"
        return self._ask("POST", "/execute/sync", {"script": script, "args": arguments})

    def console(self):
        """[(level, text)] since the last time: SEVERE is an error, or a request that failed."""
        return [(line["level"], line["message"]) for line in self._ask("POST", "/se/log", {"type": "browser"})]

    def _ask(self, method, path, body=None):
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=SECONDS)
        try:
            text = json.dumps(body) if body is not None else None
            connection.request(method, self._session + path, text, {"Content-Type": "application/json"})
            response = connection.getresponse()
            value = json.load(response)["value"]
            assert response.status == 200, value
            return value
        finally:
            connection.close()
