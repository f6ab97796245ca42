"""Scenarios of the command-line tools: sipsak's requests, and sipp as caller and as callee of a user agent of another make.

As in `calls`: a function of the proxy and, where it says so, of a PJSIP agent; it returns what the record must say, or None
when there must be none.
"""

import os
import re
import subprocess
import tempfile
import time

from calls import over
from proxy import PROXY, number_of

HERE = os.path.dirname(os.path.abspath(__file__))
SIPSAK = ["sipsak", "-v"]


def run(command, patience_s=30, codes=(0,)):
    """The command's output; it must end in time with one of those codes."""
    done = subprocess.run(command, capture_output=True, text=True, errors="replace", timeout=patience_s, cwd=tempfile.gettempdir())
    said = done.stdout + done.stderr
    assert done.returncode in codes, f"{' '.join(command)} ended with {done.returncode}: {said[-600:]}"
    return said


def sipsak_asks_the_proxy_for_its_options(_):
    said = run([*SIPSAK, "-v", "-v", "-s", f"sip:{PROXY}"])
    assert "SIP/2.0 200" in said and re.search(r"^Allow: .*INVITE", said, re.M), said


def sipsak_asks_a_user_agent_behind_the_proxy(_, agent):
    said = run([*SIPSAK, "-v", "-v", "-s", f"sip:{number_of(agent.name)}@{PROXY}"])
    assert "SIP/2.0 200" in said, said


def sipsak_traces_the_way_to_a_user_agent(_, agent):
    """Max-Forwards counts up from 0: the first hop is the proxy's 483, the second is the user agent."""
    said = run([*SIPSAK, "-T", "-s", f"sip:{number_of(agent.name)}@{PROXY}"])
    assert "483" in said and "200" in said, said


def sipsak_floods(proxy):
    """Two thousand OPTIONS as fast as sipsak can, and the proxy answers the next one."""
    before = proxy.metric("tandem_datagrams_in_total")
    run([*SIPSAK, "-F", "-e", "2000", "-s", f"sip:{PROXY}"])
    sipsak_asks_the_proxy_for_its_options(proxy)
    got = proxy.metric("tandem_datagrams_in_total") - before
    assert got >= 2000, f"only {got} datagrams were counted"


def sipsak_sends_trash(proxy):
    """Requests with more and more random characters; sipsak stops when something else than a refusal comes or time is up."""
    try:
        run([*SIPSAK, "-R", "-t", "200", "-s", f"sip:{PROXY}"], patience_s=15, codes=range(256))
    except subprocess.TimeoutExpired:
        pass  # It waits for an answer to what was too broken to be answered.
    sipsak_asks_the_proxy_for_its_options(proxy)


def sipp(*more):
    return ["sipp", PROXY, "-nostdin", "-trace_err", "-error_file", "/dev/stderr", *more]


def sipp_calls_a_user_agent(_, agent):
    caller = subprocess.Popen(sipp("-sn", "uac", "-i", "127.0.0.41", "-p", "5060", "-s", number_of(agent.name), "-m", "1", "-d", "1500",
                                   "-timeout", "20", "-timeout_error"), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    try:
        agent.wait("incoming")
        agent.ring()
        agent.answer()
        agent.wait("confirmed")
        over(agent)
        _, said = caller.communicate(timeout=20)
        assert caller.returncode == 0, said
    finally:
        caller.kill()
        caller.wait()
    return {"customer": "sipp-a", "status": 200, "cause": "answered", "ended_by": "caller", "lasts_s": (1, 3)}


def a_user_agent_calls_sipp(_, agent):
    callee = subprocess.Popen(sipp("-sf", f"{HERE}/sipp_callee.xml", "-i", "127.0.0.42", "-p", "5060", "-m", "1", "-timeout", "20", "-timeout_error"),
                              stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    try:
        time.sleep(0.5)
        agent.call(f"sip:{number_of('sipp-b')}@{PROXY}")
        agent.wait("confirmed")
        time.sleep(1)
        agent.hang_up()
        over(agent)
        _, said = callee.communicate(timeout=20)
        assert callee.returncode == 0, said
    finally:
        callee.kill()
        callee.wait()
    return {"vendor": "v-sipp-b", "status": 200, "cause": "answered", "ended_by": "caller", "lasts_s": (1, 3)}


BY_THEMSELVES = [sipsak_asks_the_proxy_for_its_options, sipsak_floods, sipsak_sends_trash]
WITH_AN_AGENT = [sipsak_asks_a_user_agent_behind_the_proxy, sipsak_traces_the_way_to_a_user_agent, sipp_calls_a_user_agent,
                 a_user_agent_calls_sipp]
