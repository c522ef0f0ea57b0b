"""The life of the .rpm on a host with the libraries it wants and a real systemd: install, run, upgrade, erase.

rpm of the outside works on the tree and on the packages' files and scripts; it knows nothing of Debian's libraries,
so what the package requires is looked up in the tree instead of in rpm's database.
"""

import os

from host import PACKAGES, Host, HostTest, package, run
from support import media, scene
from support.scene import wait_until


class RpmTest(HostTest):
    def rpm(self, *argv):
        return run("rpm", "--root", self.host.root, *argv)

    def newer(self):
        """The next release, made as ./dev package makes the first."""
        folder = self.host.path("newer")
        config = os.path.join(os.path.dirname(PACKAGES), "CPackConfig.cmake")
        umask = os.umask(0o022)
        run("cpack", "--config", config, "-G", "RPM", "-B", folder, "-D", "CPACK_RPM_PACKAGE_RELEASE=2")
        os.umask(umask)
        return os.path.join(folder, next(name for name in os.listdir(folder) if name.endswith(".rpm")))

    def test_install_run_upgrade_erase(self):
        host: Host = self.host
        rpm = package(".rpm")
        # The same libraries as the .deb depends on; they stay when it goes.
        host.bring(package(".deb"), "weir.deb")
        host.chroot("apt-get", "update", "-qq")
        host.chroot(
            "apt-get", "install", "-y", "-qq", "--no-install-recommends", "/srv/weir.deb", seconds=200
        )
        host.chroot("dpkg", "-P", "weir")
        host.chroot("userdel", "weir")
        self.libraries_are_there(rpm)

        self.rpm("-i", "--nodeps", rpm)
        self.assertEqual("", self.rpm("-V", "--nodeps", "weir"))
        host.chroot("systemctl", "enable", "weir")
        host.boot()
        wait_until(lambda: host.active("weir"), lambda: host.inside("journalctl", "-u", "weir"), 20, 0.3)
        self.assertEqual(
            "640 root:weir", host.inside("stat", "-c", "%a %U:%G", "/etc/weir/weir.conf").strip()
        )
        self.plays("a")

        host.shell("printf '[log]\\nformat = json\\n' >> /etc/weir/weir.conf")
        self.rpm("-U", "--nodeps", self.newer())
        self.assertEqual("weir-0.1.0-2.x86_64", self.rpm("-q", "weir").strip())
        # rpm runs outside of the host, where there is no systemd to tell.
        host.shell("systemctl daemon-reload; systemctl restart weir")
        self.assertIn("format = json", host.inside("cat", "/etc/weir/weir.conf"))
        self.assertIn('"message":"ready"', host.inside("journalctl", "-u", "weir", "-o", "cat"))
        self.plays("b")

        host.inside("systemctl", "disable", "--now", "weir")
        self.rpm("-e", "weir")
        kept = ("/var/lib/weir", "/var/cache/weir", "/var/log/weir")
        left = [path for path in host.leftovers() if not path.startswith(kept)]
        self.assertEqual(["/etc/weir", "/etc/weir/weir.conf.rpmsave"], left)

    def libraries_are_there(self, rpm):
        wanted = {
            line.split("(")[0] for line in run("rpm", "-qp", "--requires", rpm).splitlines() if ".so" in line
        }
        known = self.host.chroot("ldconfig", "-p")
        self.assertGreater(len(wanted), 10)
        self.assertEqual([], [name for name in wanted if name not in known])

    def plays(self, name):
        host = self.host
        url = f"rtmp://127.0.0.1/live/{name}"
        publisher = media.publish(host, media.encode_clip(host), url)
        wait_until(lambda: "video" in media.probe(host, url, 20)[0], f"{url} plays", 30, 0.5)
        publisher.stop()


if __name__ == "__main__":
    scene.main()
