"""A workspace with a campaign of N people, made by the command line as an operator would."""

import os
import pathlib
import random
import shutil
import sqlite3
import subprocess

from spent import fail, measured

DOMAINS = ["mail.example", "post.example", "letters.example", "box.example"]
GIVEN = "Ada Grace Alan Edsger Barbara Donald Zoë Tony Frances Ken Margaret Niklaus Radia Leslie".split()
FAMILY = "Lovelace Hopper Turing Dijkstra Liskov Knuth Ångström Hoare Allen Thompson Hamilton Wirth".split()
HASH = "$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHRzYWx0c2FsdA$c3RvbGVuc3RvbGVuc3RvbGVuc3RvbGVuc3"
# The campaign's scaffold, with every limit on and none of them limiting.
CHANGES = {
    "per_second = 50.0": "per_second = 1000000.0",
    'locale = "language"': '#locale = "language"',
}
PROVIDERS = ["other", *DOMAINS]


class House:
    """One workspace; `measure` runs a command of ours in it and tells what it took."""

    def __init__(self, binary, root):
        self.binary, self.root = binary, root
        self.env = dict(os.environ, XDG_STATE_HOME=str(root / "xdg"), FORTHWITH_LOG__LEVEL="warn")

    def command(self, *words):
        return [str(self.binary), "--workspace", str(self.root), *words]

    def run(self, *words):
        done = subprocess.run(self.command(*words), env=self.env, cwd=self.root, stdin=subprocess.DEVNULL,
                              capture_output=True, text=True)
        if done.returncode:
            fail(f"{' '.join(words)}: exit {done.returncode}\n{done.stdout}\n{done.stderr}")
        return done.stdout

    def measure(self, *words):
        return measured(self.command(*words), env=self.env, cwd=self.root, log=self.root / "bench.log")

    def start(self, *words):
        return subprocess.Popen(self.command(*words), env=self.env, cwd=self.root, stdin=subprocess.DEVNULL,
                                stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    @classmethod
    def found(cls, binary, root, people, port, connections):
        """Founders, settings, the list, and the company's user table; nothing is sealed."""
        shutil.rmtree(root, ignore_errors=True)
        root.mkdir(parents=True)
        house = cls(binary, root)
        for name in ("ann", "bob"):
            house.password(name).write_text(f"what only {name} knows\n")
            house.password(name).chmod(0o600)
        house.run("init", ".", "--founder", "ann", "--founder", "bob",
                  "--password-file-1", str(house.password("ann")), "--password-file-2", str(house.password("bob")))
        (root / "forthwith.toml").write_text(
            f'[relay]\nhost = "127.0.0.1"\nport = {port}\nhello = "localhost"\n'
            f"connections = {connections}\nmessages_per_connection = 1000000\n")
        (root / "providers.toml").write_text("".join(
            f"[provider.{name.replace('.', '-')}]\n" + ("" if name == "other" else f'domains = ["{name}"]\n')
            + "connections = 100000\nmessages_per_connection = 1000000\npace_per_second = 1000000\n\n"
            for name in PROVIDERS))
        house.run("incident", "new", "spring")
        house.run("campaign", "new", "people", "--incident", "spring")
        campaign = root / "campaigns" / "people.toml"
        text = campaign.read_text()
        for old, new in CHANGES.items():
            if old not in text:
                fail(f"the scaffold has no line `{old}`")
            text = text.replace(old, new)
        campaign.write_text(text)
        house.list(people)
        house.shop(people)
        return house

    def password(self, name):
        return self.root / f"{name}.password"

    def list(self, people):
        draw = random.Random(2018)
        with open(self.root / "audience.csv", "w") as file:
            file.write("customer_id,email,name\n")
            for n in range(people):
                name = f"{draw.choice(GIVEN)} {draw.choice(FAMILY)}"
                file.write(f"C{n:08},customer{n}@{draw.choice(DOMAINS)},{name}\n")

    def shop(self, people):
        shop = sqlite3.connect(self.root / "shop.db")
        shop.executescript("""
            PRAGMA journal_mode = WAL;
            CREATE TABLE customer (id TEXT PRIMARY KEY, password_hash TEXT);
            CREATE TABLE session (id INTEGER PRIMARY KEY, customer_id TEXT);
            CREATE INDEX session_customer ON session (customer_id);""")
        shop.executemany("INSERT INTO customer VALUES (?, ?)", ((f"C{n:08}", f"{HASH}{n:09}") for n in range(people)))
        shop.executemany("INSERT INTO session (customer_id) VALUES (?)", ((f"C{n:08}",) for n in range(0, people, 3)))
        shop.executescript(self.run("directory", "marker"))
        shop.commit()
        shop.close()

    def sign(self, track):
        """A track's plan, and both signatures."""
        self.run(track, "plan", "people")
        for name in ("ann", "bob"):
            self.run(track, "approve", "people", "--operator", name, "--password-file", str(self.password(name)), "--yes")

    def counted(self, column):
        with sqlite3.connect(f"file:{self.root}/data/forthwith.db?mode=ro", uri=True) as database:
            return database.execute(f"SELECT coalesce(sum({column}), 0) FROM chunk").fetchone()[0]

    def told(self):
        return self.counted("told")

    def in_doubt(self):
        """A second kill amid a re-send leaves a doubt that waits for a person."""
        return self.counted("in_doubt")

    def database_bytes(self):
        return sum(file.stat().st_size for file in (self.root / "data").iterdir())

    def copied(self, name):
        """A copy to work on, so that one preparation serves several rounds."""
        root = self.root.with_name(name)
        shutil.rmtree(root, ignore_errors=True)
        subprocess.run(["cp", "-a", str(self.root), str(root)], check=True)
        os.sync()
        return House(self.binary, root)

    def drop(self):
        shutil.rmtree(self.root, ignore_errors=True)
