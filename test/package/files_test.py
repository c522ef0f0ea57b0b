"""What the packages hold, without installing them: the judgement of lintian and rpmlint, manual pages, completion, unit."""

import os
import re
import shlex
import subprocess
import tempfile
import unittest

from host import package, run
from support import scene
from support.node import BINARY

PACKAGING = os.path.join(scene.REPOSITORY, "packaging")


class FilesTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        folder = tempfile.TemporaryDirectory(prefix="weir-package-")
        cls.addClassCleanup(folder.cleanup)
        cls.root = folder.name
        run("dpkg-deb", "-x", package(".deb"), cls.root)

    def path(self, name):
        return os.path.join(self.root, name)

    def page(self, name):
        """The manual page as a reader sees it; troff's complaints are failures."""
        source = run("zcat", self.path(f"usr/share/man/man{name[-1]}/{name}.gz"))
        done = subprocess.run(
            ["groff", "-man", "-Tutf8", "-ww", "-rLL=200n", "-P-cbou"],
            input=source.encode(),
            capture_output=True,
            check=True,
        )
        self.assertEqual(b"", done.stderr)
        return done.stdout.decode().replace("‐", "-").replace("−", "-")

    def test_lintian_has_neither_errors_nor_warnings(self):
        run("lintian", "--allow-root", "--fail-on", "error,warning", package(".deb"))

    def test_rpmlint_has_neither_errors_nor_warnings(self):
        said = run("rpmlint", "-c", os.path.join(PACKAGING, "rpm/rpmlint.toml"), package(".rpm"))
        self.assertRegex(said, r"0 errors, 0 warnings")

    def test_the_program_is_hardened_and_stripped(self):
        program = self.path("usr/bin/weir")
        self.assertIn("DYN", run("readelf", "-h", program))
        self.assertIn("BIND_NOW", run("readelf", "-d", program))
        segments = run("readelf", "-lW", program)
        self.assertIn("GNU_RELRO", segments)
        self.assertRegex(segments, r"GNU_STACK .* RW ")
        self.assertNotIn(".symtab", run("readelf", "-SW", program))

    def test_the_manual_knows_every_option(self):
        page, usage = self.page("weir.1"), run(BINARY, "--help")
        for option in set(re.findall(r"--[a-z-]+", usage)):
            self.assertIn(option, page)
        page, help_text = self.page("weir.conf.5"), run(BINARY, "--help=all")
        keys = re.findall(r"(?m)^  (\S+) = (.*)$", help_text)
        self.assertGreater(len(keys), 50)
        for key, default in keys:
            self.assertRegex(page, rf"(?m)^ +{re.escape(key)} = {re.escape(default)}$")
        for variable in re.findall(r"(?m)^ +(WEIR_[A-Z0-9_]+)", help_text):
            self.assertRegex(page, rf"(?m)^ +{variable}( |$)")

    def complete(self, line):
        """What bash offers for the last word, split as it splits them."""
        split = re.findall(r"=|[^\s=]+", line) + ([""] if line[-1] in " =" else [])
        script = f"""PATH={os.path.dirname(BINARY)}:$PATH; source usr/share/bash-completion/completions/weir
            COMP_WORDS=({shlex.join(split)}); COMP_CWORD={len(split) - 1}
            _weir; printf '%s\\n' "${{COMPREPLY[@]}}" """
        return run("bash", "-uc", script, cwd=self.root).split()

    def test_bash_completes_options_keys_roles_and_files(self):
        offered = self.complete("weir ")
        for option in set(re.findall(r"(?m)^ +(?:-\w, )?(--[a-z-]+)", run(BINARY, "--help"))):
            self.assertTrue(any(word.rstrip("=") == option for word in offered), f"{option} in {offered}")
        self.assertEqual(["--check-config"], self.complete("weir --ch"))
        self.assertEqual(["proxy"], self.complete("weir --role=p"))
        self.assertEqual(["edge", "proxy"], self.complete("weir --role="))
        self.assertEqual(["listen.srt="], self.complete("weir --set listen.sr"))
        self.assertEqual(["etc/weir"], self.complete("weir --config=etc/w"))
        self.assertEqual(["cache"], self.complete("weir --help=cac"))

    def test_the_console_comes_with_its_players(self):
        for name in ("index.html", "app.js", "console.css", "lib/hls.min.js", "lib/mpegts.js"):
            self.assertGreater(os.path.getsize(self.path(f"usr/share/weir/console/{name}")), 0, name)

    def test_dashboard_and_alerts_come_along(self):
        for name in ("grafana/weir.json", "prometheus/weir.rules.yml"):
            with open(self.path(f"usr/share/weir/{name}")) as file:
                self.assertIn("weir_", file.read())

    def test_both_packages_name_what_they_need(self):
        control = run("dpkg-deb", "-f", package(".deb"), "Depends")
        wanted = run("rpm", "-qp", "--requires", package(".rpm"))
        for name, library in (
            ("libssl3", "libssl.so.3"),
            ("libnghttp2-14", "libnghttp2.so.14"),
            ("libpoconetssl80", "libPocoNetSSL.so.80"),
        ):
            self.assertRegex(control, rf"\b{name}\b")
            self.assertIn(library, wanted)

    def test_the_shipped_configurations_are_good(self):
        for name, role in (("weir", "edge"), ("edge", "edge"), ("proxy", "proxy")):
            file = self.path(f"etc/weir/{name}.conf")
            run(BINARY, "--check-config", f"--config={file}")
            self.assertRegex(run(BINARY, "--print-config", f"--config={file}"), rf"(?m)^role = {role}\b")

    def test_the_units_are_well_formed_and_barely_exposed(self):
        for name in ("weir.service", "weir@.service"):
            unit = self.path(f"usr/lib/systemd/system/{name}")
            said = run("systemd-analyze", "security", "--offline=true", "--no-pager", "--threshold=30", unit)
            self.assertRegex(said, r"Overall exposure level for \S+: [012]\.\d")
            with open(unit) as file:
                text = file.read()
            self.assertNotIn("@UNIT", text)
            for wanted in ("Type=notify", "WatchdogSec=", "LimitNOFILE=1048576", "LogsDirectory=weir"):
                self.assertIn(wanted, text)


if __name__ == "__main__":
    scene.main()
