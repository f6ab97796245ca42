//! The peers against each other without a proxy: what they blame on the proxy must not be their own doing.

use sim::clock::SECOND;
use sim::leg::Act;
use sim::network::{LinkQuality, Network};
use sim::peer_caller::{CallPlan, CallerHost, CancelPlan};
use sim::peer_vendor::{Outcome, VendorHost, VendorScript};

fn run(
    seed: u64,
    quality: LinkQuality,
    plan: CallPlan,
    script: VendorScript,
) -> (CallerHost, VendorHost) {
    let (here, there) = (
        "192.0.2.1:5060".parse().unwrap(),
        "192.0.2.2:5060".parse().unwrap(),
    );
    let mut caller = CallerHost::new("c", here, there);
    let mut vendor = VendorHost::new("v", there, here, vec![script]);
    caller.plan(plan);
    let mut network = Network::new(seed, quality);
    loop {
        let next = [network.next_us(), caller.next_us(), vendor.next_us()]
            .into_iter()
            .flatten()
            .min();
        let Some(now_us) = next.filter(|us| *us < 1000 * SECOND) else {
            break;
        };
        while let Some(datagram) = network.arrive(now_us) {
            if datagram.to == here {
                caller.on_datagram(now_us, datagram.from, &datagram.bytes);
            } else {
                vendor.on_datagram(now_us, datagram.from, &datagram.bytes);
            }
        }
        caller.on_time(now_us);
        vendor.on_time(now_us);
        for datagram in caller
            .agent
            .outgoing
            .drain(..)
            .chain(vendor.agent.outgoing.drain(..))
        {
            network.send(now_us, datagram);
        }
    }
    (caller, vendor)
}

#[test]
fn a_call_with_acts_from_both_sides_completes() {
    let acts = vec![
        (SECOND, Act::ReInvite),
        (3 * SECOND, Act::Update),
        (8 * SECOND, Act::Bye),
    ];
    let script = VendorScript {
        acts: vec![(2 * SECOND, Act::ReInvite), (4 * SECOND, Act::Info)],
        rings: vec![(100_000, 183, true)],
        ..VendorScript::default()
    };
    let plan = CallPlan {
        acts,
        reliable: true,
        ..CallPlan::default()
    };
    let (caller, vendor) = run(1, LinkQuality::CLEAN, plan, script);
    assert!(caller.is_done() && vendor.is_done());
    let (leg, callee) = (caller.calls[0].first_leg().unwrap(), &vendor.calls[0]);
    assert_eq!(leg.answers, [(Act::ReInvite, 200), (Act::Update, 200)]);
    assert_eq!(leg.bye_answered.map(|(_, status)| status), Some(200));
    assert_eq!(leg.heard, ["INVITE", "ACK", "INFO"]);
    assert_eq!(callee.pracks, 1);
    assert_eq!(
        callee.leg.as_ref().unwrap().log.heard,
        ["ACK", "INVITE", "ACK", "UPDATE", "BYE"]
    );
}

#[test]
fn a_cancel_while_ringing_gets_487() {
    let plan = CallPlan {
        cancel: CancelPlan::After(SECOND),
        ..CallPlan::default()
    };
    let (caller, vendor) = run(1, LinkQuality::CLEAN, plan, VendorScript::rings_for_ever());
    assert_eq!(
        caller.calls[0]
            .saw
            .finals
            .iter()
            .map(|heard| heard.1)
            .collect::<Vec<_>>(),
        [487]
    );
    assert_eq!(caller.calls[0].saw.cancel_answer, Some(200));
    assert!(caller.is_done() && vendor.is_done());
}

#[test]
fn calls_complete_over_links_that_lose_a_third() {
    let quality = LinkQuality {
        loss_permille: 300,
        reorder_permille: 100,
        duplicate_permille: 100,
        ..LinkQuality::CLEAN
    };
    for seed in 0..50 {
        let plan = CallPlan {
            acts: vec![(SECOND, Act::ReInvite), (20 * SECOND, Act::Bye)],
            ..CallPlan::default()
        };
        let script = VendorScript {
            outcome: Outcome::Answer(SECOND),
            ..VendorScript::default()
        };
        let (caller, vendor) = run(seed, quality, plan, script);
        assert!(caller.is_done() && vendor.is_done(), "seed {seed}");
        let leg = caller.calls[0].first_leg().unwrap();
        assert_eq!(
            leg.bye_answered.map(|(_, status)| status),
            Some(200),
            "seed {seed}"
        );
    }
}
