"""One run, one table: see scripts/bench."""

import argparse
import datetime
import pathlib

from house import House
from peers import Peers
from report import Report, machine, verdict
from sending import message_bytes, restarted, sent
from spent import fail, median, say

PARTS = ["sending", "peers", "large", "largest"]


def arguments():
    parser = argparse.ArgumentParser(prog="scripts/bench table", description=__doc__)
    parser.add_argument("--binary", type=pathlib.Path, required=True)
    parser.add_argument("--work", type=pathlib.Path, required=True, help="a folder for workspaces, some GB")
    parser.add_argument("--cache", type=pathlib.Path, required=True, help="where the peers are installed")
    parser.add_argument("--peers", type=pathlib.Path, help="the peers' scripts; without them no peers")
    parser.add_argument("--page", type=pathlib.Path, help="the page whose table is written; else it is printed")
    parser.add_argument("--said-as", default="scripts/bench table", help="the command as the page shows it")
    parser.add_argument("--only", default=",".join(PARTS), help=f"parts to run, of {','.join(PARTS)}")
    parser.add_argument("--people", type=int, default=100_000)
    parser.add_argument("--large", type=int, default=1_000_000)
    parser.add_argument("--largest", type=int, default=4_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--connections", type=int, default=16)
    parser.add_argument("--port", type=int, default=25_925, help="the sink's; one port more is used, too")
    return parser.parse_args()


class Bench:
    """The parts in their order; each adds its lines to the report."""

    def __init__(self, args):
        self.args, self.report, self.found = args, Report(), {}

    def house(self, people):
        say(f"a workspace with {people:,} people")
        args = self.args
        return House.found(args.binary.resolve(), args.work / f"of-{people}", people, args.port, args.connections)

    def sealed(self, house, people):
        spent = house.measure("audience", "seal", "people")
        say(f"{people:,} sealed at {people / spent.wall:,.0f}/s, {spent.peak:.1f} MiB")
        return spent

    def secured(self, house, people):
        house.sign("containment")
        spent = house.measure("secure", "run", "people")
        say(f"{people:,} secured at {people / spent.wall:,.0f}/s, {spent.peak:.1f} MiB")
        return spent

    def sending(self):
        args, add = self.args, self.report.add
        few = self.house(200)
        self.sealed(few, 200)
        self.secured(few, 200)
        few.sign("campaign")
        size = message_bytes(few, 200, args.port)
        few.drop()
        house = self.house(args.people)
        seal = self.sealed(house, args.people)
        secure = self.secured(house, args.people)
        house.sign("campaign")
        rounds = []
        for _ in range(args.rounds):
            work = house.copied("round")
            rounds.append(sent(work, args.people, args.port, args.connections))
            work.drop()
        house.drop()
        ratio, rate, source, cpu, peak = (median([one[key] for one in rounds]) for key in ("ratio", "rate", "source", "cpu", "peak"))
        self.found |= {"rate": rate, "peaks": {"seal": seal.peak, "secure": secure.peak, "run": peak}}
        self.found["cpu"] = cpu
        add(f"`smtp-source -d -s {args.connections} -l 10240`", f"{source:,.0f} messages/s")
        add(f"`campaign run`, {args.people:,} people, {size:,.0f} bytes a notice, {args.connections} connections",
            f"{rate:,.0f} notices/s")
        add("ratio to smtp-source", f"{ratio:.2f}", "≥ 0.8, aim 1.0", verdict(ratio, 0.8))
        add("our CPU a notice", f"{cpu:.0f} µs", "≤ 90 µs, aim 70", verdict(cpu, 90, at_least=False))

    def peers(self):
        args, ours = self.args, self.found.get("rate")
        if args.peers is None or not args.peers.is_dir():
            say("no folder with peers: left out")
            return
        targets = {"nodemailer": 9, "Python": 25}
        found = Peers(args.peers, args.cache).measure(args.port, args.work / "peers", args.rounds)
        for name, one in found.items():
            cpu = f", {one['cpu']:,.0f} µs CPU" if one["cpu"] else ""
            self.report.add(name, f"{one['rate']:,.0f} messages/s{cpu}")
            target = next((times for word, times in targets.items() if name.startswith(word)), None)
            if ours:
                times = ours / one["rate"]
                self.report.add("ours is", f"{times:.1f} times that", f"≥ {target}" if target else "",
                                verdict(times, target) if target else "")

    def large(self):
        args, add, people = self.args, self.report.add, self.args.large
        house = self.house(people)
        seal = self.sealed(house, people)
        self.found["seal"] = people / seal.wall
        after_seal = house.database_bytes() / people
        secure = self.secured(house, people)
        house.sign("campaign")
        took = restarted(house, people, args.port, args.rounds)
        whole = sent(house, people - house.told(), args.port, args.connections, people)
        after_all = house.database_bytes() / people
        house.drop()
        rate = people / seal.wall
        add(f"import and seal, {people:,} rows", f"{rate:,.0f} rows/s, {seal.cpu / people * 1e6:.1f} µs CPU a row",
            "≥ 120,000, aim 200,000", verdict(rate, 120_000))
        rate = people / secure.wall
        add(f"secure pass with read-back, {people:,} accounts, SQLite directory",
            f"{rate:,.0f} accounts/s, {secure.cpu / people * 1e6:.1f} µs CPU an account", "≥ 20,000", verdict(rate, 20_000))
        add(f"first transaction after a kill at 50 % of {people:,}", f"{max(took):.2f} s (the slowest of {len(took)})",
            "≤ 2 s", verdict(max(took), 2, at_least=False))
        peaks = {"seal": seal.peak, "secure": secure.peak, "run": whole["peak"]}
        small = self.found.get("peaks", {})
        for name, peak in peaks.items():
            add(f"peak memory of {name}, {people:,}", f"{peak:.1f} MiB", "≤ 64 MiB", verdict(peak, 64, at_least=False))
            if name in small:
                times = peak / small[name]
                add(f"… to that at {args.people:,}", f"{times:.2f} times {small[name]:.1f} MiB", "≤ 1.2",
                    verdict(times, 1.2, at_least=False))
        add("database, bytes a person", f"{after_seal:,.0f} sealed, {after_all:,.0f} when all are told")

    def largest(self):
        people = self.args.largest
        house = self.house(people)
        seal = self.sealed(house, people)
        house.drop()
        rate = people / seal.wall
        self.report.add(f"import and seal, {people:,} rows", f"{rate:,.0f} rows/s, peak {seal.peak:.1f} MiB")
        if "seal" in self.found:
            more = self.found["seal"] / rate - 1
            self.report.add(f"… a row costs more than at {self.args.large:,}", f"{more:+.0%}", "≤ 15 %",
                            verdict(more, 0.15, at_least=False))


def main():
    args = arguments()
    args.work.mkdir(parents=True, exist_ok=True)
    wanted = args.only.split(",")
    if unknown := set(wanted) - set(PARTS):
        fail(f"no part named {', '.join(unknown)}; hint: --only {','.join(PARTS)}")
    bench = Bench(args)
    for part in PARTS:
        if part in wanted:
            getattr(bench, part)()
    heading = f"{datetime.date.today()}, {machine()}. `{args.said_as}`:"
    if args.page:
        bench.report.write(args.page, heading)
    print(bench.report.text(heading))


main()
