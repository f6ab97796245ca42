#!/usr/bin/env python3
"""Calls between independent SIP implementations through a running Tandem; each with the record it must leave.

    run.py TANDEM_BINARY [WORD…]

With words, only the scenarios whose line holds all of them. Ends with 1 when one failed, and after ten minutes whatever happens;
only what was started here is ended. `setup.sh` installs the clients.
"""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time

import calls
import tools
from agents import Baresip, Missed, Pjsip
from proxy import Proxy

LONGEST_S = 600
SHOWN = ("customer", "vendor", "status", "cause", "ended_by", "duration_ms", "customer_price", "vendor_price")


def check_record(cdrs, expected):
    """Why the records are not what they should be, if they are not."""
    if expected is None:
        return None if not cdrs else f"{len(cdrs)} records, none expected"
    if len(cdrs) != 1:
        return f"{len(cdrs)} records, one expected"
    cdr = cdrs[0]
    for key, value in expected.items():
        if key == "lasts_s":
            lasted = (cdr["duration_ms"] or 0) / 1000
            # A second of slack for the machine's own load; an unanswered call lasts nothing at all.
            if not value[0] <= lasted <= value[1] + (1 if value[1] else 0):
                return f"it lasted {lasted} s, expected {value}"
        elif cdr[key] != value:
            return f"{key} is {cdr[key]}, expected {value}"
    return None


class Run:
    def __init__(self, proxy, words):
        self.proxy = proxy
        self.words = words
        self.failed = []
        self.passed = 0

    def wants(self, line):
        return all(word in line for word in self.words)

    def scenario(self, title, function, *agents, **parties):
        """One line of the report; `parties` must be in the record as well."""
        if not self.wants(title):
            return
        for agent in agents:
            agent.forget()
        started = time.monotonic()
        cdrs, fault = [], None
        try:
            expected = function(self.proxy, *agents)
            if expected is not None:
                expected = {**parties, **expected}
            cdrs = self.proxy.new_cdrs(0 if expected is None else 1)
            fault = check_record(cdrs, expected)
        except (Missed, AssertionError, subprocess.TimeoutExpired, OSError) as error:
            fault = str(error)
            # Whatever is still up must not reach into the next scenario.
            for agent in agents:
                agent.hang_up()
            time.sleep(2)
            cdrs = self.proxy.new_cdrs(0)
        print(f"{'FAILED' if fault else 'ok':6} {time.monotonic() - started:5.1f} s  {title}", flush=True)
        for cdr in cdrs:
            print("       " + json.dumps({key: cdr[key] for key in SHOWN}), flush=True)
        if fault:
            print(f"       {fault}", flush=True)
            self.failed.append(title)
        else:
            self.passed += 1
        time.sleep(0.2)


def named(function):
    return function.__name__.replace("_", " ")


def between(run, caller, callee, scenarios):
    for function in scenarios:
        parties = {"customer": caller.name, "vendor": f"v-{callee.name}"}
        if function is calls.a_gateway_that_is_not_there:
            parties.pop("vendor")
        run.scenario(f"{caller.make} to {callee.make}: {named(function)}", function, caller, callee, **parties)


def all_scenarios(run):
    with contextlib.ExitStack() as started:
        def start(agent):
            return started.enter_context(contextlib.closing(agent))

        pjsip_a = start(Pjsip("pjsip-a", "127.0.0.21", "21001"))
        pjsip_b = start(Pjsip("pjsip-b", "127.0.0.22", "22001"))
        baresip_a = start(Baresip("baresip-a", "127.0.0.31", "31001"))
        baresip_b = start(Baresip("baresip-b", "127.0.0.32", "32001"))
        print(f"PJSIP {pjsip_a.version}, baresip {baresip_a.version}, {tool_versions()}", flush=True)
        for function in tools.BY_THEMSELVES:
            run.scenario(named(function), function)
        for function in tools.WITH_AN_AGENT:
            for agent in (pjsip_b, baresip_b):
                run.scenario(f"{named(function)}: {agent.make}", function, agent)
        for caller, callee in ((pjsip_a, pjsip_b), (pjsip_a, baresip_b), (baresip_a, pjsip_b), (baresip_a, baresip_b)):
            between(run, caller, callee, calls.BETWEEN_ANY_TWO)
        between(run, pjsip_a, pjsip_b, [calls.each_side_sends_an_update, calls.early_media_is_heard_before_the_answer,
                                        calls.the_offer_comes_with_the_answer, calls.a_gateway_that_is_not_there])
        for winner, loser in ((pjsip_b, baresip_b), (baresip_b, pjsip_b)):
            title = f"PJSIP to two: {named(calls.two_ring_and_one_answers)}, {winner.make}"
            run.scenario(title, calls.two_ring_and_one_answers, pjsip_a, winner, loser)
        for caller, callee in ((pjsip_a, baresip_b), (baresip_a, pjsip_b)):
            between(run, caller, callee, [calls.a_session_timer_is_refreshed])
        stranger = start(Pjsip("stranger", "127.0.0.29", "29001"))
        run.scenario(f"PJSIP: {named(calls.a_stranger_is_refused)}", calls.a_stranger_is_refused, stranger)
    for option, function in (("prack", calls.a_reliable_180_is_acknowledged_by_prack), ("timer", calls.a_session_timer_is_refreshed)):
        if not run.wants(f"PJSIP to PJSIP: {named(function)}"):
            continue
        with contextlib.ExitStack() as started:
            pair = [started.enter_context(contextlib.closing(Pjsip(name, address, user, option)))
                    for name, address, user in (("pjsip-a", "127.0.0.21", "21001"), ("pjsip-b", "127.0.0.22", "22001"))]
            between(run, *pair, [function])


def nothing_is_left(proxy):
    """No call is up any more, in any worker."""
    live = proxy.live_calls()
    assert live == 0, f"{live} calls are still up"


def tool_versions():
    sipp = subprocess.run(["sipp", "-v"], capture_output=True, text=True, timeout=10)
    sipsak = subprocess.run(["sipsak", "-V"], capture_output=True, text=True, timeout=10)
    lines = [next((line.strip() for line in (done.stdout + done.stderr).splitlines() if line.strip()), "?") for done in (sipp, sipsak)]
    return ", ".join(" ".join(line.split()[:2]) for line in lines)


def main():
    # Leaving by an exception ends what was started, on SIGTERM and when time is up too; a second signal must not stop that.
    def leave(number, _):
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        signal.alarm(0)
        sys.exit(f"ended by {signal.Signals(number).name}")

    for number in (signal.SIGTERM, signal.SIGALRM):
        signal.signal(number, leave)
    signal.alarm(LONGEST_S)
    binary, words = os.path.abspath(sys.argv[1]), sys.argv[2:]
    with Proxy(binary) as proxy:
        print(subprocess.run([binary, "--version"], capture_output=True, text=True, timeout=10).stdout.strip(), flush=True)
        run = Run(proxy, words)
        all_scenarios(run)
        run.scenario("nothing is left behind", nothing_is_left)
    print(f"{run.passed} passed, {len(run.failed)} failed")
    return 1 if run.failed or not run.passed else 0


if __name__ == "__main__":
    sys.exit(main())
