"""What the tests take from npm, as test/npm/package-lock.json pins it; installed once below build/npm."""

import fcntl
import hashlib
import os
import shutil
import subprocess

from support.scene import REPOSITORY

PINS = os.path.join(REPOSITORY, "test", "npm")
FOLDER = os.path.join(REPOSITORY, "build", "npm")
FILES = ("package.json", "package-lock.json")
SECONDS = 120
PATIENCE = ["--fetch-timeout=20000", "--fetch-retries=2", "--fetch-retry-mintimeout=1000", "--fetch-retry-maxtimeout=5000"]
QUIET = ["--ignore-scripts", "--no-audit", "--no-fund", "--no-update-notifier", "--loglevel=error"]


def package(name):
    """The folder of an installed package. AssertionError, in one sentence, when npm cannot provide it."""
    os.makedirs(FOLDER, exist_ok=True)
    with open(os.path.join(FOLDER, "lock"), "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        stamp, pins = os.path.join(FOLDER, "installed"), _digest()
        if not os.path.exists(stamp) or _read(stamp) != pins.encode():
            _install()
            with open(stamp, "w") as file:
                file.write(pins)
    return os.path.join(FOLDER, "node_modules", name)


def _install():
    for name in FILES:
        shutil.copy(os.path.join(PINS, name), FOLDER)
    try:
        done = subprocess.run(
            ["npm", "ci", *PATIENCE, *QUIET],
            cwd=FOLDER,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=SECONDS,
            text=True,
        )
    except subprocess.TimeoutExpired:
        raise AssertionError(f"npm did not install test/npm within {SECONDS} s: is its registry away?") from None
    except FileNotFoundError:
        raise AssertionError("there is no npm: `./dev test` installs it") from None
    assert done.returncode == 0, f"npm could not install what test/npm pins:\n{done.stdout[-1500:]}"


def _read(path):
    with open(path, "rb") as file:
        return file.read()


def _digest():
    return hashlib.sha256(b"".join(_read(os.path.join(PINS, name)) for name in FILES)).hexdigest()
