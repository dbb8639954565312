"""The table of docs/performance.md, and the machine it was measured on."""

import pathlib
import platform
import subprocess

BEGIN, END = "<!-- begin: written by scripts/bench -->", "<!-- end: written by scripts/bench -->"


def machine():
    """Cores, processor, memory and versions; no host's name."""
    def first(path, key):
        for line in pathlib.Path(path).read_text().splitlines():
            if line.startswith(key):
                return line.split(":", 1)[1].strip()
        return "unknown"

    def said(*command):
        return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()

    memory = int(first("/proc/meminfo", "MemTotal").split()[0]) / 2**20
    cores = len([line for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("processor")])
    return (f"{cores} cores of {first('/proc/cpuinfo', 'model name')}, {memory:.0f} GiB, Linux {'.'.join(platform.release().split('.')[:2])}, "
            f"{said('rustc', '--version').split('(')[0].strip()}, Postfix {said('/usr/sbin/postconf', '-h', 'mail_version') or '?'}")


def verdict(value, target, at_least=True):
    met = value >= target if at_least else value <= target
    return "met" if met else "**missed**"


class Report:
    """Lines of one Markdown table."""

    def __init__(self):
        self.rows = []

    def add(self, what, value, target="", held=""):
        self.rows.append((what, value, target, held))

    def text(self, heading):
        lines = [heading, "", "| what | measured | target | |", "|---|---|---|---|"]
        lines += [f"| {what} | {value} | {target} | {held} |" for what, value, target, held in self.rows]
        return "\n".join(lines)

    def write(self, path, heading):
        """Puts the table between the two marks of the page."""
        page = path.read_text()
        before, rest = page.split(BEGIN, 1)
        _, after = rest.split(END, 1)
        path.write_text(f"{before}{BEGIN}\n{self.text(heading)}\n{END}{after}")
