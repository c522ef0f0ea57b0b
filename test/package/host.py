"""A Debian of its own for an install test: a clean tree from debootstrap, and a real systemd booted in it.

The tree is made once and kept in WEIR_PACKAGE_TREE (~/.cache/weir/bookworm); every test works on a copy. Booted, it has
a network with nothing but loopback; ffmpeg and ffprobe of the outside are run in that network. Root only.
"""

import fcntl
import glob
import os
import shutil
import signal
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "e2e"))
from support import scene
from support.scene import wait_until

PACKAGES = os.environ.get("WEIR_PACKAGES") or os.path.join(scene.REPOSITORY, "build/release/packages")
TREE = os.environ.get("WEIR_PACKAGE_TREE") or os.path.expanduser("~/.cache/weir/bookworm")
INCLUDED = "systemd,systemd-sysv,ca-certificates"

scene.SCRIPT_SECONDS = 580  # debootstrap alone takes a minute, more on a slow network or a busy machine


def package(suffix):
    found = glob.glob(os.path.join(PACKAGES, "*" + suffix))
    assert len(found) == 1, f"one {suffix} in {PACKAGES}, not {found}: ./dev package makes it"
    return found[0]


def run(*argv, seconds=120, fails=False, **options):
    """Standard output and error; AssertionError when the exit status is not what was wanted."""
    done = subprocess.run(
        argv,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=seconds,
        check=False,
        **options,
    )
    if (done.returncode != 0) != fails:
        raise AssertionError(f"{' '.join(argv)}: exit status {done.returncode}: {done.stdout[-2000:]}")
    return done.stdout


def clean_tree():
    """The path of the tree that is never changed. Whoever comes while another makes it waits."""
    os.makedirs(os.path.dirname(TREE), exist_ok=True)
    with open(f"{TREE}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not os.path.isdir(TREE):
            making = f"{TREE}.{os.getpid()}"
            try:
                flags = ["--variant=minbase", f"--include={INCLUDED}"]
                run("debootstrap", *flags, "bookworm", making, seconds=400)
                run("chroot", making, "apt-get", "clean")
                os.rename(making, TREE)
            except BaseException:
                shutil.rmtree(making, ignore_errors=True)
                raise
    return TREE


class Host(scene.Scene):
    """start() and run() put a program of the outside into the host's network."""

    def __init__(self):
        super().__init__()
        self.root, self.leader = self.path("root"), None
        run("cp", "-a", "--reflink=auto", clean_tree(), self.root)
        # Without it, the same id as every other copy.
        open(os.path.join(self.root, "etc/machine-id"), "w").close()
        self._environment = {"DEBIAN_FRONTEND": "noninteractive", "PATH": "/usr/sbin:/usr/bin:/sbin:/bin"}

    def bring(self, path, name):
        """Copies a file to /srv; systemd covers /tmp with its own."""
        shutil.copy(path, os.path.join(self.root, "srv", name))

    def chroot(self, *argv, **options):
        """Runs in the tree before it is booted: files, and the outside's network for apt."""
        return run("chroot", self.root, *argv, env=self._environment, **options)

    def boot(self):
        flags = ["--quiet", "--register=no", "--keep-unit", "--private-network", "--boot"]
        nspawn = super().start("nspawn", ["systemd-nspawn", "-D", self.root, *flags])
        self.at_end(lambda: self._power_off(nspawn))

        wait_until(lambda: self._is_up(nspawn), lambda: f"systemd is up: {nspawn.text()[-2000:]}", 60, 0.3)

    def _is_up(self, nspawn):
        assert nspawn.running(), nspawn.text()
        # systemd is its only child once another, which prepares, has gone.
        with open(f"/proc/{nspawn.pid}/task/{nspawn.pid}/children") as file:
            self.leader = file.read().strip()
        argv = ["nsenter", "-t", self.leader, "-a", "systemctl", "is-system-running"]
        state = subprocess.run(argv, capture_output=True, text=True, check=False).stdout.strip()
        return state in ("running", "degraded")

    def _power_off(self, nspawn):
        for _ in range(2):  # the second one does not wait for anybody
            nspawn.signal(signal.SIGTERM)
            try:
                nspawn.wait(15)
                return
            except AssertionError:
                pass

    def inside(self, *argv, **options):
        """Runs on the booted host, as root."""
        return run("nsenter", "-t", self.leader, "-a", *argv, env=self._environment, **options)

    def shell(self, script, **options):
        return self.inside("sh", "-ec", script, **options)

    def start(self, name, argv, **options):
        return super().start(name, ["nsenter", "-t", self.leader, "-n", *argv], **options)

    def get(self, port, page):
        """Status and body of a GET at a port of the host."""
        status, text = self.run(
            "curl", ["curl", "-sS", "-m", "5", "-w", "\n%{http_code}", f"http://127.0.0.1:{port}{page}"], 10
        )
        body, _, code = text.rpartition("\n")
        return (int(code) if status == 0 else 0), body

    # ----------------------------------------------------------------------------------------- units
    def property(self, unit, name):
        return self.inside("systemctl", "show", "-p", name, "--value", unit).strip()

    def active(self, unit):
        return self.property(unit, "ActiveState") == "active"

    def main_pid(self, unit):
        return int(self.property(unit, "MainPID"))

    def leftovers(self):
        """Every file whose path tells of weir or that belongs to it."""
        found = self.shell("find / -xdev \\( -path /srv -o -path /proc -o -path /sys \\) -prune -o"
                           " \\( -name '*weir*' -o -user weir -o -group weir \\) -print")  # fmt: skip
        return sorted(found.split())


class HostTest(scene.SceneTest):
    def setUp(self):
        self.assertEqual(0, os.geteuid(), "an install test needs root")
        self.host = Host()

    def tearDown(self):
        self.host.end()
        self.host.remove()
