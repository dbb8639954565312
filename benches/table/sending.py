"""Sending: ours end to end, Postfix's own load generator beside it, and the start after a kill."""

import contextlib
import pathlib
import shutil
import socket
import subprocess
import tempfile
import threading
import time

from spent import fail, say

SOURCE_MESSAGES = 15_000


def tool(name):
    return shutil.which(name, path="/usr/sbin:/usr/bin:/bin") or fail(f"no {name}; hint: apt-get install postfix")


@contextlib.contextmanager
def sink(port, *options):
    """Debian's smtp-sink, which takes every message and keeps none."""
    command = [tool("smtp-sink"), "-u", "nobody", *options, f"127.0.0.1:{port}", "1000"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        for _ in range(200):
            with contextlib.suppress(OSError):
                socket.create_connection(("127.0.0.1", port), 0.1).close()
                break
            time.sleep(0.05)
        else:
            fail(f"smtp-sink does not listen at port {port}")
        yield process
    finally:
        process.kill()
        process.wait()


def ceiling(port, connections):
    """Messages a second of `smtp-source -d -s CONNECTIONS -l 10240`."""
    began = time.monotonic()
    subprocess.run([tool("smtp-source"), "-d", "-s", str(connections), "-l", "10240", "-m", str(SOURCE_MESSAGES),
                    "-f", "a@northwind.example", "-t", "b@mail.example", f"127.0.0.1:{port}"],
                   check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return SOURCE_MESSAGES / (time.monotonic() - began)


def sent(house, people, port, connections, told=None):
    """`people` sent to their end, with the ceiling before and after; `told` in the end, where others were before."""
    with sink(port):
        before = ceiling(port, connections)
        spent = house.measure("campaign", "run", "people")
        after = ceiling(port, connections)
    if house.told() + house.in_doubt() != (told or people):
        fail(f"{house.told()} of {told or people} told, {house.in_doubt()} in doubt")
    rate, source = people / spent.wall, 2 / (1 / before + 1 / after)
    say(f"{people:,} sent at {rate:,.0f}/s, smtp-source {before:,.0f} and {after:,.0f}/s, "
        f"{spent.cpu / people * 1e6:.1f} us CPU, {spent.peak:.1f} MiB")
    return {"rate": rate, "source": source, "ratio": rate / source, "cpu": spent.cpu / people * 1e6, "peak": spent.peak}


def message_bytes(house, people, port):
    """The mean size of the notices as they arrive."""
    with tempfile.TemporaryDirectory() as folder:
        pathlib.Path(folder).chmod(0o777)
        with sink(port, "-d", f"{folder}/%S."):
            house.measure("campaign", "run", "people")
        sizes = [file.stat().st_size for file in pathlib.Path(folder).iterdir()]
    if len(sizes) != people:
        fail(f"{len(sizes)} of {people} notices arrived")
    return sum(sizes) / len(sizes)


def restarted(house, people, port, rounds):
    """Kills the run with half of all told; seconds from each restart to its first MAIL, then the end."""
    with sink(port):
        run = house.start("campaign", "run", "people")
        while house.told() < people // 2:
            time.sleep(0.2)
            if run.poll() is not None:
                fail(f"the run ended by itself: exit {run.returncode}")
        run.kill()
        run.wait()
    say(f"killed with {house.told():,} told")
    took = []
    with sink(port + 1):
        proxy = Proxy(port, port + 1)
        for _ in range(rounds):
            proxy.first, began = None, time.monotonic()
            run = house.start("campaign", "run", "people")
            while proxy.first is None and time.monotonic() - began < 120:
                time.sleep(0.001)
            if proxy.first is None:
                fail("nothing was sent within two minutes of the restart")
            took.append(proxy.first - began)
            run.kill()
            run.wait()
        proxy.close()
    say("first transaction after " + ", ".join(f"{one:.2f} s" for one in took))
    return took


class Proxy:
    """Passes octets on to the sink and notes when the first MAIL came."""

    def __init__(self, port, behind):
        self.behind, self.first = behind, None
        self.listener = socket.create_server(("127.0.0.1", port))
        threading.Thread(target=self.accept, daemon=True).start()

    def close(self):
        self.listener.close()

    def accept(self):
        while True:
            try:
                here, _ = self.listener.accept()
                there = socket.create_connection(("127.0.0.1", self.behind))
            except OSError:
                return
            for pair in ((here, there, True), (there, here, False)):
                threading.Thread(target=self.pump, args=pair, daemon=True).start()

    def pump(self, source, target, is_ours):
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                if is_ours and self.first is None and b"MAIL FROM" in data:
                    self.first = time.monotonic()
                target.sendall(data)
        for one in (source, target):
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
