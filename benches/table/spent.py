"""Running a command and what it took: wall clock, CPU of the process, its largest resident size."""

import os
import pathlib
import subprocess
import sys
import time
from dataclasses import dataclass


@dataclass
class Spent:
    """What one process took: seconds of wall clock and of CPU (user and system), peak in MiB."""

    wall: float
    cpu: float
    peak: float


def say(text):
    print(f"bench: {text}", file=sys.stderr, flush=True)


def fail(text):
    sys.exit(f"bench: {text}")


def settle(process, began):
    """Waits for a child and tells what it took. `wait4` counts that child alone."""
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    return Spent(time.monotonic() - began, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024)


def measured(command, **more):
    """Runs a command that must succeed; its output goes to a file that is shown where it fails."""
    log = pathlib.Path(more.pop("log"))
    with open(log, "wb") as out:
        began = time.monotonic()
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=out, **more)
        spent = settle(process, began)
    if process.returncode:
        fail(f"{' '.join(map(str, command))}: exit {process.returncode}\n{log.read_text(errors='replace')}")
    return spent


def median(values):
    values = sorted(values)
    return values[len(values) // 2]
