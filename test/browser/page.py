"""A page in headless Chromium, led by Playwright, which browser.mjs runs."""

import json
import os
import select
import subprocess

from support import npm

HERE = os.path.dirname(os.path.abspath(__file__))
SECONDS = 60


class Page:
    """`url` is open when the constructor returns. ask() is for any method of Playwright's Page."""

    def __init__(self, scene, url=None):
        folder = npm.package("playwright-core")
        self._node = scene.start(
            "browser",
            ["node", os.path.join(HERE, "browser.mjs"), folder, scene.path("chromium")],
            env={"HOME": scene.directory, "TMPDIR": scene.directory},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        ).popen
        scene.at_end(self._end)
        if url:
            self.ask("goto", url)

    def ask(self, method, *arguments):
        """What the method returns, or null where that is an object of Playwright's; AssertionError when it throws."""
        self._node.stdin.write(json.dumps({"method": method, "arguments": arguments}).encode() + b"\n")
        self._node.stdin.flush()
        ready, _, _ = select.select([self._node.stdout], [], [], SECONDS)
        assert ready, f"the browser does not answer {method} within {SECONDS} s"
        line = self._node.stdout.readline()
        assert line, f"the browser has ended, asked for {method}"
        answer = json.loads(line)
        assert "error" not in answer, f"{method}{arguments}: {answer['error']}"
        return answer.get("value")

    def call(self, function, *arguments):
        """What a function of the page returns."""
        return self.ask("call", function, *arguments)

    def console(self):
        """[(type, text)] since the last time: `error` is an error, or a request that failed."""
        return [tuple(line) for line in self.ask("console")]

    def _end(self):
        self._node.stdin.close()
        try:
            self._node.wait(10)
        except subprocess.TimeoutExpired:
            self._node.kill()
            self._node.wait(10)
        self._node.stdout.close()
