"""The container image: built by buildah without a daemon from the Dockerfile, on the clean Debian tree, with the package
that is there; started as the image says, asked by its own health check, and stopped."""

import json
import os
import signal
import subprocess

from host import PACKAGES, clean_tree, run
from support import scene
from support.scene import free_port, wait_until

DOCKERFILE = os.path.join(scene.REPOSITORY, "packaging/docker/Dockerfile")


class ImageTest(scene.SceneTest):
    def storage(self):
        return [
            "--root",
            self.scene.path("storage"),
            "--runroot",
            self.scene.path("run"),
            "--storage-driver",
            "overlay",
        ]

    def buildah(self, *argv, **options):
        environment = {**os.environ, "BUILDAH_ISOLATION": "chroot", "TMPDIR": self.scene.path("tmp")}
        return run("buildah", *self.storage(), *argv, env=environment, **options)

    def setUp(self):
        self.assertEqual(0, os.geteuid(), "buildah needs root here")
        os.mkdir(self.scene.path("tmp"))
        # Containers are mounts, which would outlive their folder.
        self.scene.at_end(lambda: self.buildah("rm", "--all"))

    def test_the_image_runs_as_nobody_special_and_knows_its_health(self):
        base = self.buildah("from", "scratch").strip()
        self.buildah("add", "--quiet", base, clean_tree(), "/")
        self.buildah("commit", "--quiet", base, "localhost/base")
        self.buildah(
            "build", "--quiet", "--format", "docker", "--pull=never", "--tag", "localhost/weir", "-f", DOCKERFILE,
            "--build-arg", "BASE=localhost/base", "--build-arg", "PACKAGE=given", PACKAGES, seconds=200,
        )  # fmt: skip
        config = json.loads(self.buildah("inspect", "--type", "image", "localhost/weir"))["Docker"]["config"]
        self.assertEqual("weir", config["User"])
        self.assertEqual("SIGTERM", config["StopSignal"])
        exposed = {f"{port}/tcp" for port in (1935, 8080, 1985, 12025, 8000)} | {"8000/udp", "10080/udp"}
        self.assertEqual(exposed, set(config["ExposedPorts"]))

        container = self.buildah("from", "--pull=never", "localhost/weir").strip()
        root = self.buildah("mount", container).strip()
        for folder in ("lib", "cache"):
            self.assertEqual("1935:1935", run("stat", "-c", "%u:%g", f"{root}/var/{folder}/weir").strip())

        ports = {name: free_port() for name in ("rtmp", "http", "api", "system")}
        sets = [word for name, port in ports.items() for word in ("--set", f"listen.{name}=127.0.0.1:{port}")]
        environment = {**os.environ, "BUILDAH_ISOLATION": "chroot"}
        argv = [*config["Entrypoint"], *config["Cmd"], *sets]
        weir = self.scene.start(
            "weir", ["buildah", *self.storage(), "run", container, "--", *argv], env=environment
        )
        check = config["Healthcheck"]["Test"]
        self.assertEqual("CMD", check[0])
        check = [word.replace("/1985;", f"/{ports['api']};") for word in check[1:]]
        self.assertIn(str(ports["api"]), check[-1])

        def healthy():
            self.assertTrue(weir.running(), weir.text())
            return subprocess.run(check, capture_output=True, check=False).returncode == 0

        wait_until(healthy, lambda: f"the health check is content: {weir.text()}", 20)
        (pid,) = [
            pid
            for pid in filter(str.isdigit, os.listdir("/proc"))
            if f"listen.rtmp=127.0.0.1:{ports['rtmp']}" in command_line(pid).split("\0")
            and command_line(pid).startswith("/usr/bin/weir\0")
        ]
        self.assertEqual(1935, os.stat(f"/proc/{pid}").st_uid)
        os.kill(int(pid), signal.SIGTERM)
        self.assertEqual(0, weir.wait(20))
        self.assertNotEqual(0, subprocess.run(check, capture_output=True, check=False).returncode)


def command_line(pid):
    try:
        with open(f"/proc/{pid}/cmdline") as file:
            return file.read()
    except OSError:
        return ""


if __name__ == "__main__":
    scene.main()
