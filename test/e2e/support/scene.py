"""One test's world: a directory, the processes in it, and the promise that nothing of it is left behind.

Whatever a test starts it starts through its Scene. At the end of the test, whichever way it ends, every process
is ended by its id, and a failed test prints the tail of each log. A child also dies with its test by the
kernel's hand (PR_SET_PDEATHSIG), and a watchdog ends a script that takes too long.
"""

import ctypes
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import traceback
import unittest

SCRIPT_SECONDS = 235
TAIL_LINES = 60
# What the sanitizers cost in time; deadlines that are ours are stretched by it, promises of the issue are not.
SLOWNESS = 3.0 if os.environ.get("WEIR_SANITIZE") else 1.0
SANITIZED = SLOWNESS > 1
REPOSITORY = os.path.dirname(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))

_libc = ctypes.CDLL(None, use_errno=True)
_PR_SET_PDEATHSIG = 1
_reservations = []


def wait_until(condition, what, seconds=10.0, pause=0.02):
    """Returns the first true value of condition(); AssertionError when there is none in time."""
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() >= deadline:
            raise AssertionError(f"not within {seconds:g} s: {what() if callable(what) else what}")
        time.sleep(pause)


def free_port():
    """A loopback port that nobody uses, nor will: kept among our tests by a name that only one can bind, and
    outside of the range that the kernel takes ports of outgoing connections from."""
    while True:
        port = random.randrange(10000, 32000)
        reservation = socket.socket(socket.AF_UNIX)
        try:
            reservation.bind(f"\0weir-e2e-port-{port}")
            for family, address in ((socket.AF_INET, "0.0.0.0"), (socket.AF_INET6, "::")):
                for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
                    with socket.socket(family, kind) as probe:
                        if family == socket.AF_INET6:
                            probe.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
                        probe.bind((address, port))
        except OSError:
            reservation.close()
            continue
        _reservations.append(reservation)
        return port


def accepts(port, host="127.0.0.1"):
    try:
        socket.create_connection((host, port), 1).close()
        return True
    except OSError:
        return False


def alive(pid):
    """It runs; one that has ended and that nobody has waited for does not."""
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def clean_environment():
    """Ours, without what weir would take for its options."""
    return {key: value for key, value in os.environ.items() if not key.startswith(("WEIR_", "PROXY_"))}


class Process:
    def __init__(self, name, popen, log):
        self.name, self.popen, self.log = name, popen, log

    @property
    def pid(self):
        return self.popen.pid

    def running(self):
        return self.popen.poll() is None

    def returncode(self):
        return self.popen.poll()

    def wait(self, seconds=10.0):
        try:
            return self.popen.wait(seconds)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"{self.name} did not end within {seconds:g} s") from None

    def signal(self, number):
        if self.running():
            self.popen.send_signal(number)

    def kill(self):
        self.signal(signal.SIGKILL)
        self.popen.wait(10)

    def stop(self, seconds=3.0):
        self.signal(signal.SIGCONT)
        self.signal(signal.SIGINT)  # at once: SIGTERM would let weir's clients finish
        try:
            self.popen.wait(seconds)
        except subprocess.TimeoutExpired:
            self.kill()

    def text(self):
        with open(self.log, errors="replace") as file:
            return file.read()

    def rss_bytes(self):
        with open(f"/proc/{self.pid}/statm") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    def descriptors(self):
        return len(os.listdir(f"/proc/{self.pid}/fd"))


class Scene:
    def __init__(self):
        self.directory = tempfile.mkdtemp(prefix="weir-e2e-")
        self.processes = []
        self._closers = []
        self._names = {}

    def path(self, name):
        return os.path.join(self.directory, name)

    def start(self, name, argv, env=None, limits=(), cwd=None, stdin=None, stdout=None):
        """`limits`: pairs for setrlimit. Standard output and error go to the log, unless `stdout` says else,
        and nothing is read, unless `stdin` does."""
        import resource

        number = self._names[name] = self._names.get(name, 0) + 1
        log = self.path(name if number == 1 else f"{name}-{number}") + ".log"
        parent = os.getpid()

        def prepare():
            _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
            if os.getppid() != parent:
                os._exit(1)
            for what, value in limits:
                resource.setrlimit(what, value)

        with open(log, "wb") as output:
            popen = subprocess.Popen(
                [str(word) for word in argv],
                stdin=stdin or subprocess.DEVNULL,
                stdout=stdout or output,
                stderr=output,
                env={**clean_environment(), **(env or {})},
                cwd=cwd or self.directory,
                preexec_fn=prepare,
            )
        process = Process(name, popen, log)
        self.processes.append(process)
        return process

    def run(self, name, argv, seconds, env=None):
        """Runs to the end; gives the exit status and everything that was printed."""
        process = self.start(name, argv, env=env)
        try:
            status = process.wait(seconds)
        finally:
            process.stop()
        return status, process.text()

    def at_end(self, close):
        self._closers.append(close)

    def end(self):
        for close in reversed(self._closers):
            try:
                close()
            except Exception:  # everything else must still end
                traceback.print_exc()
        self._closers.clear()
        for process in self.processes:
            process.signal(signal.SIGCONT)
            process.signal(signal.SIGKILL)
        for process in self.processes:
            process.popen.wait(10)

    def print_tails(self):
        for process in self.processes:
            tail = process.text().splitlines()[-TAIL_LINES:]
            print(
                f"---- {process.name} (pid {process.pid}, status {process.returncode()}), end of its log",
                *tail,
                sep="\n",
                file=sys.stderr,
            )
        sys.stderr.flush()

    def remove(self):
        shutil.rmtree(self.directory, ignore_errors=True)


class SceneTest(unittest.TestCase):
    """A test case with a Scene of its own for each test, as self.scene."""

    def run(self, result=None):
        result = result or self.defaultTestResult()
        before = len(result.failures) + len(result.errors)
        began = time.monotonic()
        self.scene = Scene()
        try:
            super().run(result)
        finally:
            crashed = [p.name for p in self.scene.processes if _crashed(p)]
            failed = len(result.failures) + len(result.errors) > before
            if crashed and not failed:
                failed = True
                result.addFailure(self, (AssertionError, AssertionError(f"crashed: {crashed}"), None))
            if failed:
                self.scene.print_tails()
            self.scene.end()
            self.scene.remove()
            print(f"# {self.id()}: {time.monotonic() - began:.1f} s", file=sys.stderr)
        return result


def _crashed(process):
    status = process.returncode()
    if status is None or not process.name.startswith("weir"):
        return False
    by_signal = -status in (signal.SIGSEGV, signal.SIGABRT, signal.SIGBUS, signal.SIGILL, signal.SIGFPE)
    return by_signal or "Sanitizer" in process.text()


def _too_long(*_):
    raise TimeoutError(f"the script took more than {SCRIPT_SECONDS} s")


def _terminated(*_):
    raise SystemExit("terminated")


def main():
    signal.signal(signal.SIGALRM, _too_long)
    signal.signal(signal.SIGTERM, _terminated)
    signal.alarm(SCRIPT_SECONDS)
    unittest.main(module="__main__", verbosity=2, failfast=False)
