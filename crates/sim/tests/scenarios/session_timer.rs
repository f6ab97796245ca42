//! Session timers (RFC 4028 §8) between scripted peers that do not refresh: the end, the limits, the restart, the late BYE.

use accounting::{Cause, EndedBy, Record};
use proxy_core::Stat;
use sim::clock::SECOND;
use sim::leg::Act;
use sim::network::LinkQuality;
use sim::peer_caller::CallPlan;
use sim::peer_vendor::VendorScript;
use sim::world::{World, WorldConfig};

use crate::{finish, only_cdr, vendors_of, world};

fn headers(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
    pairs.iter().map(owned).collect()
}

/// A caller who asks for 100 s, and hangs up after `talks_us`; the callee agrees.
fn timed(lanes: u8, talks_us: u64) -> World {
    let script = VendorScript {
        headers: headers(&[
            ("Session-Expires", "100;refresher=uac"),
            ("Require", "timer"),
        ]),
        ..VendorScript::default()
    };
    let config = WorldConfig {
        lanes,
        ..WorldConfig::default()
    };
    let mut world = world(config, vendors_of(vec![script]));
    world.callers[0].plan(CallPlan {
        acts: vec![(talks_us, Act::Bye)],
        headers: headers(&[("Supported", "timer"), ("Session-Expires", "100")]),
        ..CallPlan::default()
    });
    world
}

fn assert_expired(world: &World) {
    let cdr = only_cdr(world);
    assert_eq!(
        (cdr.cause, cdr.ended_by),
        (Cause::SessionExpired, Some(EndedBy::Proxy))
    );
    assert_eq!(cdr.duration_us, 100 * SECOND);
    assert_eq!(world.stat(Stat::SessionsExpired), 1);
    assert_eq!(world.stat(Stat::OwnByes), 0);
    assert!(world.channels().iter().all(|in_use| *in_use == 0));
}

//= proves RFC 4028 §8.3
#[test]
fn a_session_that_nobody_refreshes_is_closed_and_its_late_bye_is_answered_by_the_far_side() {
    for lanes in [1, 3] {
        let mut world = timed(lanes, 300 * SECOND);
        world.run_until(101 * SECOND);
        assert_eq!(world.live_calls(), 1);
        world.run_until(110 * SECOND);
        assert_expired(&world);
        let peers = |world: &World| {
            let callee = world.vendors[0].calls[0].leg.as_ref().unwrap();
            (
                world.callers[0].calls[0].first_leg().unwrap().heard.clone(),
                callee.log.heard.clone(),
            )
        };
        assert_eq!(peers(&world), (Vec::new(), vec!["ACK".to_owned()]));
        finish(&mut world);
        let leg = world.callers[0].calls[0].first_leg().unwrap();
        assert_eq!(leg.bye_answered.map(|(_, status)| status), Some(200));
        assert_eq!(peers(&world).1, ["ACK", "BYE"]);
        assert_expired(&world);
        let alone = world
            .records
            .iter()
            .filter(|recorded| matches!(recorded.record, Record::EndedAlone { status: 200, .. }));
        assert_eq!(alone.count(), 1);
    }
}

//= proves RFC 4028 §8.3
#[test]
fn a_session_expires_on_time_in_a_process_that_was_killed_since() {
    for (killed_s, up_s) in [(10, 12), (50, 90)] {
        let mut world = timed(2, 300 * SECOND);
        world.run_until(killed_s * SECOND);
        world.kill();
        world.run_until(up_s * SECOND);
        assert_eq!(world.restart(3), 1);
        // A refresh that was under way may still come, for 64·T1.
        world.run_until(125 * SECOND);
        assert_expired(&world);
        finish(&mut world);
        let leg = world.callers[0].calls[0].first_leg().unwrap();
        assert_eq!(leg.bye_answered.map(|(_, status)| status), Some(200));
    }
}

#[test]
fn a_bye_before_the_expiry_ends_the_call_as_ever() {
    let mut world = timed(1, 50 * SECOND);
    finish(&mut world);
    let cdr = only_cdr(&world);
    assert_eq!(
        (cdr.cause, cdr.ended_by),
        (Cause::Answered, Some(EndedBy::Caller))
    );
    assert_eq!(world.stat(Stat::SessionsExpired), 0);
}

//= proves RFC 4028 §8.2
#[test]
fn a_session_that_is_refreshed_lasts_until_its_bye() {
    let mut world = timed(2, 0);
    let refreshes = (1..8).map(|number| {
        let act = [Act::Update, Act::ReInvite][number % 2];
        (u64::try_from(number).unwrap() * 60 * SECOND, act)
    });
    world.callers[0].calls[0].plan.acts = refreshes.chain([(450 * SECOND, Act::Bye)]).collect();
    finish(&mut world);
    let leg = world.callers[0].calls[0].first_leg().unwrap();
    assert!(leg.answers.iter().all(|(_, status)| *status == 200));
    assert_eq!(only_cdr(&world).cause, Cause::Answered);
    assert_eq!(only_cdr(&world).duration_us / SECOND, 450);
    // One refresh that comes too late hears 481, and its caller hangs up.
    let mut world = timed(2, 0);
    world.callers[0].calls[0].plan.acts = vec![
        (60 * SECOND, Act::Update),
        (170 * SECOND, Act::ReInvite),
        (300 * SECOND, Act::Bye),
    ];
    finish(&mut world);
    let leg = world.callers[0].calls[0].first_leg().unwrap();
    assert_eq!(leg.answers, [(Act::Update, 200), (Act::ReInvite, 481)]);
    assert_eq!(only_cdr(&world).cause, Cause::SessionExpired);
    assert_eq!(only_cdr(&world).duration_us / SECOND, 160);
}

#[test]
fn an_update_without_an_interval_turns_the_timer_off() {
    let mut world = timed(1, 0);
    let plan = &mut world.callers[0].calls[0].plan;
    plan.acts = vec![(20 * SECOND, Act::Update), (300 * SECOND, Act::Bye)];
    // Only the callee wants a timer; the caller's UPDATE says nothing of it.
    plan.headers.retain(|(name, _)| name != "Session-Expires");
    finish(&mut world);
    assert_eq!(only_cdr(&world).cause, Cause::Answered);
    assert_eq!(only_cdr(&world).duration_us / SECOND, 300);
}

//= proves RFC 3262 §3
//= proves RFC 3262 §4
#[test]
fn reliable_provisionals_and_their_pracks_arrive_over_a_network_that_loses_a_third() {
    for seed in 0..20 {
        let script = VendorScript {
            rings: vec![(0, 183, true), (20 * SECOND, 180, true)],
            outcome: sim::peer_vendor::Outcome::Answer(40 * SECOND),
            ..VendorScript::default()
        };
        let config = WorldConfig {
            seed,
            ..WorldConfig::default()
        };
        let mut world = world(config, vendors_of(vec![script]));
        let lossy = LinkQuality {
            loss_permille: 300,
            ..LinkQuality::CLEAN
        };
        let peers = [
            world.callers[0].agent.address,
            world.vendors[0].agent.address,
        ];
        for peer in peers {
            world.network.set_link(peer, lossy);
        }
        world.callers[0].plan(CallPlan {
            reliable: true,
            ..CallPlan::default()
        });
        finish(&mut world);
        assert_eq!(world.vendors[0].calls[0].pracks, 2, "seed {seed}");
    }
}

/// Found by a seed: after the restart nobody had asked for the vendor's gateway by its name.
#[test]
fn a_late_bye_reaches_a_gateway_with_a_name_after_a_restart() {
    let script = VendorScript {
        headers: headers(&[
            ("Session-Expires", "100;refresher=uac"),
            ("Require", "timer"),
        ]),
        ..VendorScript::default()
    };
    let mut config = WorldConfig::default();
    config.jobs.names.insert(
        "gateway.example".to_owned(),
        vec!["203.0.113.10:5060".parse().unwrap()],
    );
    let mut vendors = vendors_of(vec![script]);
    vendors[0].gateway = Some("gateway.example".to_owned());
    let mut world = world(config, vendors);
    world.callers[0].plan(CallPlan {
        acts: vec![(300 * SECOND, Act::Bye)],
        headers: headers(&[("Supported", "timer"), ("Session-Expires", "100")]),
        ..CallPlan::default()
    });
    world.run_until(20 * SECOND);
    world.kill();
    assert_eq!(world.restart(2), 1);
    finish(&mut world);
    assert_expired(&world);
    let leg = world.vendors[0].calls[0].leg.as_ref().unwrap();
    assert!(leg.log.bye_heard_us.is_some());
}
