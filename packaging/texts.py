#!/usr/bin/env python3
"""The texts of the packages that follow from something else: weir.conf(5) from the table of options as
`weir --help=all` shows it, weir(1) with its version, the copyright from LICENSE, the changelogs from
CHANGELOG.md and the time of the last commit."""

import argparse
import email.utils
import gzip
import os
import pathlib
import re
import subprocess
import time

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent

CONF_HEAD = r""".TH WEIR.CONF 5 "" "weir {version}" "File formats"
.SH NAME
weir.conf \- configuration of weir
.SH DESCRIPTION
An INI file: sections in brackets, one option a line, NAME = VALUE.
Comments begin with # or ; at the start of a line or after a space; a value with such characters goes in double quotes.
Every option may be left out.
.PP
A later source wins: the default, this file, the environment,
.BR \-\-set " on the command line."
Below, options stand by their full name, as \-\-set takes them:
.B listen.rtmp
is
.B rtmp
in the section
.BR [listen] .
With each stand its default, what it may be, and the variable of the environment with the same meaning.
.PP
Sizes: 65536, 64KiB, 4MiB, 1GiB.
Durations: 350ms, 10s, 5m, 1h, 1m30s; 0 needs no unit.
"""
CONF_TAIL = r""".SH FILES
.TP
.I /etc/weir/weir.conf
of weir.service
.TP
.I /etc/weir/NAME.conf
of the instance weir@NAME.service
.SH SEE ALSO
.BR weir (1)
"""


def roff(text):
    """Text that means nothing to troff."""
    text = text.replace("\\", r"\e").replace("-", r"\-")
    return re.sub(r"^([.'])", r"\\&\1", text)


def conf_page(help_text, version):
    out = [CONF_HEAD.format(version=version), ".SH GENERAL\n"]
    heading = re.compile(r"^\[(?P<name>\S+)\] (?P<doc>.*)")
    option = re.compile(r"^  (?P<key>\S+) = (?P<default>.*)")
    for block in re.split(r"\n(?=\n|  \S)", help_text.removeprefix("General\n")):
        first, *rest = block.strip("\n").splitlines()
        if match := option.match(first):
            *doc, kind, variable = (roff(line.strip()) for line in rest)
            lines = [f".TP\n.BR {roff(match['key'])} \" = {roff(match['default'])}\"", *doc]
            out.append("\n".join([*lines, ".br", kind, ".br", variable]) + "\n")
        elif match := heading.match(first):
            lines = [f'.SH "[{roff(match["name"])}]"', roff(match["doc"])]
            out.append("\n".join([*lines, *map(roff, rest)]) + "\n")
    return "".join(out) + CONF_TAIL


# What the web console takes from npm; the licences in full lie beside the files.
CONSOLE = """
Files: usr/share/weir/console/lib/hls.min.js
Copyright: 2017 Dailymotion
License: Apache-2.0

Files: usr/share/weir/console/lib/mpegts.js
Copyright: 2016 Bilibili
 2021-2023 zheng qian
 2014 Yehuda Katz, Tom Dale, Stefan Penner and contributors
License: Apache-2.0

Files: usr/share/weir/console/lib/inter-*.woff2
Copyright: 2016 The Inter Project Authors
License: OFL-1.1
 See /usr/share/weir/console/lib/fontsource-variable.inter.LICENSE.txt.

License: Apache-2.0
 See /usr/share/common-licenses/Apache-2.0.
"""


def copyright_file(licence, year):
    holder = re.search(r"^Copyright \(c\) (.*)$", licence, re.M)[1]
    terms = licence[licence.index("Permission") :].strip().splitlines()
    return (
        "Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/\nUpstream-Name: weir\n\n"
        f"Files: *\nCopyright: {year} {holder}\nLicense: MIT\n"
        + "".join(f" {line or '.'}\n" for line in terms)
        + CONSOLE
    )


def last_change():
    """Seconds since 1970: SOURCE_DATE_EPOCH, or the last commit, or the changelog's own time."""
    if epoch := os.environ.get("SOURCE_DATE_EPOCH"):
        return int(epoch)
    commit = subprocess.run(
        ["git", "-C", ROOT, "log", "-1", "--format=%ct"], capture_output=True, text=True, check=False
    )
    return int(commit.stdout) if commit.returncode == 0 else int((ROOT / "CHANGELOG.md").stat().st_mtime)


def write(path, text):
    if path.suffix != ".gz":
        path.write_text(text)
        return
    with open(path, "wb") as raw, gzip.GzipFile("", "wb", 9, raw, mtime=0) as file:
        file.write(text.encode())


def main():
    arguments = argparse.ArgumentParser(description=__doc__)
    for name in ("weir", "version", "contact", "output"):
        arguments.add_argument(f"--{name}", required=True)
    given = arguments.parse_args()
    output = pathlib.Path(given.output)
    when = last_change()
    options = subprocess.run([given.weir, "--help=all"], capture_output=True, text=True, check=True).stdout

    write(output / "weir.1.gz", (HERE / "man/weir.1").read_text().replace("@VERSION@", given.version))
    write(output / "weir.conf.5.gz", conf_page(options, given.version))
    write(output / "changelog.gz", (ROOT / "CHANGELOG.md").read_text())
    write(
        output / "changelog.Debian.gz",
        f"weir ({given.version}-1) unstable; urgency=medium\n\n  * See changelog.gz.\n\n"
        f" -- {given.contact}  {email.utils.formatdate(when)}\n",
    )
    write(output / "copyright", copyright_file((ROOT / "LICENSE").read_text(), time.gmtime(when).tm_year))
    day = time.strftime("%a %b %d %Y", time.gmtime(when))
    write(output / "changelog.rpm", f"* {day} {given.contact} - {given.version}-1\n- See changelog.gz.\n")


if __name__ == "__main__":
    main()
