"""A weir process whose place others take: whoever is the newest of them is asked and, in the end, ended."""

import ctypes
import json
import os
import signal

from support.node import BINARY, Weir, request
from support.scene import SLOWNESS, alive, wait_until

_PR_SET_CHILD_SUBREAPER = 36


class Upgradable(Weir):
    """`file`: its options stand in a configuration file, which reconfigure() changes."""

    def __init__(self, scene, role, options=None, **more):
        self.file = os.path.join(scene.directory, f"{more.get('name') or role}.conf")
        self.pids = []
        # What an upgrade leaves behind becomes our child, for us to end.
        ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
        super().__init__(scene, role, options=options, **more)
        self.pids.append(self.process.pid)
        scene.at_end(self._end_all)

    def start(self, ready=True):
        self.write()
        self.process = self.scene.start(
            f"weir-{self.name}",
            [*self._wrap, BINARY, f"--role={self.role}", f"--config={self.file}"],
            limits=self._limits,
        )
        self.wait_for("/readyz" if ready else "/healthz")
        return self

    def write(self, **changes):
        """Changes the file alone: {"log__level": ...} for log.level; None takes an option out."""
        for key, value in changes.items():
            self.options[key.replace("__", ".")] = value
        lines = [f"{key} = {value}\n" for key, value in self.options.items() if value is not None]
        with open(self.file, "w") as file:
            file.writelines(lines)

    def pid(self):
        return self.pids[-1]

    def signal(self, number):
        os.kill(self.pid(), number)

    def ask_reload(self):
        """(status, answer) of the API."""
        status, _, text = request(self.system, "POST", "/api/v1/reload")
        return status, json.loads(text)

    def serving_pid(self):
        return int(json.loads(request(self.system, "GET", "/api/v1/versions")[2])["pid"])

    def upgrade(self):
        """Returns the new pid when it has taken over and the old one drains."""
        old = self.pid()
        drained = self.log().count("going away")
        self.signal(signal.SIGUSR2)
        wait_until(lambda: self.log().count("going away") > drained, "the old process makes way", 20 * SLOWNESS)
        wait_until(lambda: self._answered_by_other(old), "the new process answers", 10 * SLOWNESS)
        self.pids.append(self.serving_pid())
        return self.pid()

    def _answered_by_other(self, old):
        try:
            return self.serving_pid() != old
        except OSError:
            return False

    def alive(self, pid):
        try:
            os.waitpid(pid, os.WNOHANG)
        except ChildProcessError:
            pass
        return alive(pid)

    def _end_all(self):
        for pid in self.pids:
            if self.alive(pid):
                os.kill(pid, signal.SIGKILL)
        for pid in self.pids[1:]:
            try:
                os.waitpid(pid, 0)
            except ChildProcessError:
                pass
