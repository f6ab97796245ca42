"""Scenarios between two user agents of any make, each with the record that it must leave.

A scenario is a function of the proxy, the caller and the callee. It returns what the record must say; the checks of what the
agents saw are inside.
"""

import time

from proxy import FORKED, PROXY, number_of


def dial(caller, callee):
    """The caller dials the callee's number, who is told."""
    caller.call(f"sip:{number_of(callee.name)}@{PROXY}")
    callee.wait("incoming")
    callee.ring()
    caller.wait("early")


def talk(caller, callee, seconds=1.0):
    """A call that is up, with sound from both sides."""
    dial(caller, callee)
    callee.answer()
    caller.wait("confirmed")
    callee.wait("confirmed")
    time.sleep(seconds)
    for agent in (caller, callee):
        assert agent.hears(), f"{agent.name} hears nothing"


def over(*agents):
    """The call is over for them."""
    for agent in agents:
        agent.wait("disconnected")


def the_caller_hangs_up(_, caller, callee):
    talk(caller, callee)
    caller.hang_up()
    over(caller, callee)
    return {"status": 200, "cause": "answered", "ended_by": "caller", "lasts_s": (1, 4)}


def the_callee_hangs_up(_, caller, callee):
    talk(caller, callee)
    callee.hang_up()
    over(caller, callee)
    return {"status": 200, "cause": "answered", "ended_by": "callee", "lasts_s": (1, 4)}


def each_holds_and_resumes(_, caller, callee):
    """Four re-INVITEs, two from each side."""
    talk(caller, callee)
    for holder, held in ((caller, callee), (callee, caller)):
        holder.hold()
        held.was_held()
        holder.was_answered_again()
        time.sleep(0.3)
        holder.resume()
        held.was_resumed()
        holder.was_answered_again()
        time.sleep(0.3)
    caller.hang_up()
    over(caller, callee)
    return {"status": 200, "cause": "answered", "ended_by": "caller", "lasts_s": (2, 8)}


def the_caller_gives_up_while_it_rings(_, caller, callee):
    """CANCEL: the callee stops ringing and the record says who ended it."""
    dial(caller, callee)
    time.sleep(0.5)
    caller.hang_up()
    over(caller, callee)
    return {"status": 487, "cause": "cancelled", "ended_by": "caller", "lasts_s": (0, 0)}


def the_callee_refuses(_, caller, callee):
    dial(caller, callee)
    time.sleep(0.3)
    callee.refuse()
    over(caller, callee)
    return {"status": 486, "cause": "busy", "ended_by": "callee", "lasts_s": (0, 0)}


def both_hang_up_at_once(_, caller, callee):
    talk(caller, callee)
    caller.hang_up()
    callee.hang_up()
    over(caller, callee)
    return {"status": 200, "cause": "answered", "lasts_s": (1, 4)}


BETWEEN_ANY_TWO = [the_caller_hangs_up, the_callee_hangs_up, each_holds_and_resumes, the_caller_gives_up_while_it_rings,
                   the_callee_refuses, both_hang_up_at_once]


def early_media_is_heard_before_the_answer(_, caller, callee):
    """A 183 with SDP."""
    caller.call(f"sip:{number_of(callee.name)}@{PROXY}")
    callee.wait("incoming")
    callee.do("answer", code=183)
    caller.wait("early", code=183)
    caller.wait("media", direction="sendrecv")
    time.sleep(1)
    assert caller.hears(), "no sound before the answer"
    callee.answer()
    caller.wait("confirmed")
    callee.wait("confirmed")
    callee.hang_up()
    over(caller, callee)
    return {"status": 200, "cause": "answered", "ended_by": "callee", "lasts_s": (0, 2)}


def the_offer_comes_with_the_answer(_, caller, callee):
    """An INVITE without SDP: the 200 makes the offer, and the ACK answers it."""
    caller.do("call", uri=f"sip:{number_of(callee.name)}@{PROXY}", offer=False)
    callee.wait("incoming")
    callee.answer()
    caller.wait("confirmed")
    callee.wait("confirmed")
    time.sleep(1)
    assert caller.hears() and callee.hears(), "the ACK's answer was lost"
    caller.hang_up()
    over(caller, callee)
    return {"status": 200, "cause": "answered", "ended_by": "caller", "lasts_s": (1, 3)}


def two_ring_and_one_answers(_, caller, winner, loser):
    """A fork: both ring at once, the one that does not answer is cancelled, and the record names the one that did."""
    caller.call(f"sip:{FORKED}@{PROXY}")
    for callee in (winner, loser):
        callee.wait("incoming")
        callee.ring()
    caller.wait("early")
    winner.answer()
    caller.wait("confirmed")
    winner.wait("confirmed")
    over(loser)
    time.sleep(1)
    assert caller.hears() and winner.hears(), "no sound"
    winner.hang_up()
    over(caller, winner)
    return {"vendor": f"v-fork-{winner.name}", "status": 200, "cause": "answered", "ended_by": "callee", "lasts_s": (1, 3)}


def a_stranger_is_refused(_, caller):
    """Its address is no customer's: 403, and no record of its own."""
    caller.call(f"sip:{number_of('pjsip-b')}@{PROXY}")
    code = caller.wait("disconnected")["code"]
    assert code == 403, code
    return None


def a_reliable_180_is_acknowledged_by_prack(_, caller, callee):
    """RFC 3262, which the proxy only has to let through."""
    talk(caller, callee)
    for agent, role in ((caller, "sent"), (callee, "received")):
        pracks = [e for e in agent.seen() if e.get("method") == "PRACK" and e["role"] == role and e["code"] == 200]
        assert pracks, f"{agent.name}: no PRACK {role}; saw {agent.seen()}"
    caller.hang_up()
    over(caller, callee)
    return {"status": 200, "cause": "answered", "ended_by": "caller", "lasts_s": (1, 4)}


def each_side_sends_an_update(_, caller, callee):
    """RFC 3311 within the call, from both sides."""
    talk(caller, callee)
    for sender, receiver in ((caller, callee), (callee, caller)):
        sender.do("update")
        sender.wait("transaction", method="UPDATE", role="sent", code=200)
        receiver.wait("transaction", method="UPDATE", role="received", code=200)
    callee.hang_up()
    over(caller, callee)
    return {"status": 200, "cause": "answered", "ended_by": "callee", "lasts_s": (1, 5)}


def a_session_timer_is_refreshed(_, caller, callee):
    """RFC 4028: an interval of 90 s is refreshed at half of it, and the call stays up. The proxy asks for it where no end does."""
    talk(caller, callee)
    before = refreshes(caller, callee)
    until = time.monotonic() + 60
    while refreshes(caller, callee) == before:
        assert time.monotonic() < until, "no refresh within 60 s"
        time.sleep(0.5)
    time.sleep(1)
    assert not any(event["event"] == "disconnected" for event in caller.seen() + callee.seen())
    caller.hang_up()
    over(caller, callee)
    return {"status": 200, "cause": "answered", "ended_by": "caller", "lasts_s": (40, 70)}


def refreshes(*agents):
    """How many UPDATEs and INVITEs of theirs have been answered 200; baresip knows no session timers and tells of neither."""
    events = [event for agent in agents for event in agent.seen() if event.get("role") == "sent" and event["code"] == 200]
    return sum(event["method"] in ("UPDATE", "INVITE") for event in events)


def a_gateway_that_is_not_there(_, caller, __):
    """ICMP says that nobody listens; upstream hears 500, at once."""
    started = time.monotonic()
    caller.call(f"sip:{number_of('nobody')}@{PROXY}")
    code = caller.wait("disconnected")["code"]
    assert code == 500 and time.monotonic() - started < 3, f"{code} after {time.monotonic() - started:.1f} s"
    return {"status": 500, "cause": "unreachable", "vendor": "v-nobody", "lasts_s": (0, 0)}
