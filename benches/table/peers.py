"""What an operator would write or install instead, at the same sink; see the peers' own README."""

import os
import pathlib
import re
import shutil
import subprocess
import sys
import time

from sending import sink
from spent import fail, median, say

PYTHON = ["jinja2==3.1.6", "django==5.2.19", "django-post-office==3.12.0", "mailmerge==2.3.0"]
NODE = ["nodemailer@10.6.0", "handlebars@4.7.10", "better-sqlite3@12.11.1"]


class Peers:
    """The peers' scripts in `folder`, with what they need in `cache`."""

    def __init__(self, folder, cache):
        self.folder, self.cache = folder.resolve(), cache
        self.python = self.made("python", PYTHON, self.make_python) / "bin/python"
        self.node = self.made("node", NODE, self.make_node) / "node_modules"

    def made(self, name, pins, make):
        """A folder that is complete or absent: its name holds the pins, and it is moved there at the end."""
        place = self.cache / f"peers-{name}-{re.sub('[^a-z0-9.]+', '-', ' '.join(pins))}"
        if not place.exists():
            say(f"installing {' '.join(pins)}")
            building = place.with_suffix(".building")
            shutil.rmtree(building, ignore_errors=True)
            building.mkdir(parents=True)
            make(building, pins)
            building.rename(place)
        return place

    def make_python(self, place, pins):
        subprocess.run([sys.executable, "-m", "venv", str(place)], check=True)
        subprocess.run([str(place / "bin/python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *pins],
                       check=True)

    def make_node(self, place, pins):
        subprocess.run(["npm", "install", "--silent", "--no-audit", "--no-fund", "--prefix", str(place), *pins], check=True)

    def measure(self, port, work, rounds):
        """Messages a second, and CPU a message where the peer tells it, of each; the middle of `rounds`."""
        work.mkdir(parents=True, exist_ok=True)
        place = f"127.0.0.1 {port}".split()
        database = str(work / "peer.db")
        python, folder = str(self.python), self.folder
        runs = {
            "Python smtplib, jinja2, SQLite (WAL, full)":
                ([python, folder / "python/send.py", "2000", *place, database, "wal", "full"], "msgs/s", "cpu_us/msg"),
            "nodemailer pool of 20, handlebars, better-sqlite3 (WAL, full)":
                (["node", folder / "node/send.js", "8000", *place, database, "wal", "full", "20"], "msgs/s", "cpu_us/msg"),
            "django-post-office, SQLite (WAL, normal)":
                ([python, folder / "django/bench.py", "3000", *place, f"sqlite:{database}"], "end_to_end/s", None),
        }
        env = dict(os.environ, NODE_PATH=str(self.node), TPL=str(folder / "templates"))
        found = {}
        with sink(port):
            for name, (command, rate, cpu) in runs.items():
                said = [self.say(command, env, work) for _ in range(rounds)]
                found[name] = {"rate": median([figure(one, rate) for one in said]),
                               "cpu": median([figure(one, cpu) for one in said]) if cpu else None}
                say(f"{name}: {found[name]['rate']:,.0f}/s")
            found["mailmerge (text, nothing on record)"] = self.mailmerge(env, work, port)
        return found

    def mailmerge(self, env, work, port, people=500):
        """It says nothing of its speed, so the whole run is timed."""
        self.say([self.python, self.folder / "python/mailmerge_gen.py", str(people), str(port)], env, work)
        began = time.monotonic()
        self.say([self.python, "-c", "from mailmerge.__main__ import main; main()", "--no-dry-run", "--no-limit", "--template", "t.txt", "--database", "d.csv",
                  "--config", "s.conf", "--output-format", "text"], env, work)
        return {"rate": people / (time.monotonic() - began), "cpu": None}

    def say(self, command, env, work):
        done = subprocess.run(list(map(str, command)), env=env, cwd=work, capture_output=True, text=True)
        if done.returncode:
            fail(f"{command[1]}: exit {done.returncode}\n{done.stdout}\n{done.stderr}")
        return done.stdout


def figure(text, name):
    found = re.search(rf"\b{re.escape(name)}=([0-9.]+)", text)
    return float(found.group(1)) if found else fail(f"no {name} in {text!r}")
