//! Calls that pass through the proxy twice, which is its own vendor and its own customer, and such as go round for ever.

use accounting::{Cause, Cdr, EndedBy};
use sim::clock::{MS, SECOND};
use sim::leg::Act;
use sim::network::LinkQuality;
use sim::peer_caller::{CallPlan, CancelPlan};
use sim::peer_vendor::VendorScript;
use sim::routing_data::Round;
use sim::world::{Handoff, World, WorldConfig};

use crate::{call, decimal, finish, heard, vendors_of, world};

fn going(round: Round, lanes: u8) -> WorldConfig {
    let mut config = WorldConfig {
        lanes,
        ..WorldConfig::default()
    };
    config.customer.round = Some(round);
    config
}

/// As `going`, on links that lose, double and delay, with lanes that take their time.
fn going_badly(round: Round, seed: u64) -> WorldConfig {
    WorldConfig {
        seed,
        link: LinkQuality {
            loss_permille: 200,
            duplicate_permille: 100,
            reorder_permille: 50,
            delay_min_us: 5 * MS,
            delay_max_us: 80 * MS,
        },
        handoff: Some(Handoff {
            delay_min_us: 0,
            delay_max_us: 20 * MS,
            keeps_order: true,
        }),
        ..going(round, u8::try_from(seed % 2).unwrap() + 1)
    }
}

/// The CDRs of the first pass and of the second.
fn passes(world: &World) -> [&Cdr; 2] {
    let cdrs = world.cdrs();
    let of = |customer: &str| {
        let mut of = cdrs.iter().filter(|cdr| cdr.customer == customer);
        match (of.next(), of.next()) {
            (Some(cdr), None) => *cdr,
            _ => panic!("{customer}: {cdrs:#?}"),
        }
    };
    assert_eq!(cdrs.len(), 2, "{cdrs:#?}");
    [of("acme"), of("onward")]
}

/// Almost ten seconds of talk that one side ends.
fn talk(by: EndedBy) -> (CallPlan, VendorScript) {
    let (caller, callee) = match by {
        EndedBy::Callee => (vec![], vec![(9900 * MS, Act::Bye)]),
        _ => (vec![(9900 * MS, Act::Bye)], vec![]),
    };
    let plan = CallPlan {
        acts: caller,
        ..CallPlan::default()
    };
    let script = VendorScript {
        acts: callee,
        ..VendorScript::default()
    };
    (plan, script)
}

#[test]
fn a_spiral_makes_two_calls_that_are_both_billed_and_end_by_one_bye_of_either_side() {
    for lanes in [1, 2] {
        for by in [EndedBy::Caller, EndedBy::Callee] {
            for drop_route in [false, true] {
                let (mut plan, mut script) = talk(by);
                (plan.drop_route, script.drop_route) = (drop_route, drop_route);
                let mut world = world(going(Round::Spiral, lanes), vendors_of(vec![script]));
                call(&mut world, plan);
                assert_eq!(heard(&world.callers[0].calls[0]), [200]);
                let [callee] = &world.vendors[0].calls[..] else {
                    panic!("{:?}", world.vendors[0].calls);
                };
                assert!(callee.uri.starts_with("sip:4930123456@"), "{}", callee.uri);
                assert_eq!(callee.max_forwards, "68");
                is_billed_twice(&world, by);
            }
        }
    }
}

/// Both passes are answered, ended by `by` and billed for ten seconds.
fn is_billed_twice(world: &World, by: EndedBy) {
    let prices = [("0.10", "0.05"), ("0.05", "0.01")];
    for (cdr, (customer, vendor)) in passes(world).into_iter().zip(prices) {
        assert_eq!((cdr.status, cdr.ended_by), (200, Some(by)), "{cdr:#?}");
        assert_eq!(cdr.duration_us / SECOND, 9, "{cdr:#?}");
        let rated = cdr.rated();
        assert_eq!(rated.customer_price, Some(decimal(customer)));
        assert_eq!(rated.vendor_price, Some(decimal(vendor)));
    }
}

#[test]
fn a_spiral_that_was_restored_ends_by_one_bye_of_either_side_in_any_lane() {
    for (before, after) in [(1, 2), (2, 3), (3, 1)] {
        for by in [EndedBy::Caller, EndedBy::Callee] {
            let (plan, script) = talk(by);
            let mut world = world(going(Round::Spiral, before), vendors_of(vec![script]));
            world.callers[0].plan(plan);
            world.run_until(5 * SECOND);
            assert_eq!(world.restart(after), 2);
            finish(&mut world);
            is_billed_twice(&world, by);
        }
    }
}

#[test]
fn a_spiral_is_refused_once_and_makes_two_calls_without_a_price() {
    for lanes in [1, 2] {
        let vendors = vendors_of(vec![VendorScript::refuse(503), VendorScript::refuse(486)]);
        let mut world = world(going(Round::Spiral, lanes), vendors);
        call(&mut world, CallPlan::default());
        assert_eq!(heard(&world.callers[0].calls[0]), [486]);
        let [first, second] = passes(&world);
        assert_eq!((first.attempts.len(), second.attempts.len()), (1, 2));
        for cdr in [first, second] {
            assert_eq!((cdr.status, cdr.cause), (486, Cause::Busy));
            assert_eq!(cdr.rated().customer_price, Some(decimal("0")));
        }
    }
}

//= proves RFC 3261 §16.10
#[test]
fn a_cancel_goes_through_both_passes_of_a_spiral() {
    for lanes in [1, 2] {
        let vendors = vendors_of(vec![VendorScript::rings_for_ever()]);
        let mut world = world(going(Round::Spiral, lanes), vendors);
        let plan = CallPlan {
            cancel: CancelPlan::AfterRinging(SECOND),
            ..CallPlan::default()
        };
        call(&mut world, plan);
        let caller = &world.callers[0].calls[0];
        assert_eq!(
            (heard(caller), caller.saw.cancel_answer),
            (vec![487], Some(200))
        );
        assert!(world.vendors[0].calls[0].cancelled_us.is_some());
        for cdr in passes(&world) {
            assert_eq!((cdr.status, cdr.cause), (487, Cause::Cancelled));
        }
    }
}

#[test]
fn spirals_survive_loss_and_delay_whoever_hangs_up_or_cancels() {
    let (mut answered, mut cancelled) = (0, 0);
    for seed in 0..30 {
        let by = match seed % 3 {
            0 => EndedBy::Callee,
            _ => EndedBy::Caller,
        };
        let (mut plan, script) = talk(by);
        if seed % 5 == 4 {
            plan.cancel = CancelPlan::AfterRinging(SECOND);
        }
        let config = going_badly(Round::Spiral, seed);
        let mut world = world(config, vendors_of(vec![script]));
        world.callers[0].plan(plan);
        finish(&mut world);
        let [first, second] = passes(&world);
        match first.cause {
            Cause::Cancelled => cancelled += 1,
            _ => {
                assert_eq!((first.status, second.status), (200, 200), "{seed}");
                assert!(first.duration_us > 0 && second.duration_us > 0, "{seed}");
                answered += 1;
            }
        }
    }
    assert!(answered >= 20 && cancelled > 0, "{answered} {cancelled}");
}

//= proves RFC 5393 §4.2.2
#[test]
fn a_call_that_comes_round_unchanged_is_refused_482_and_nobody_pays() {
    for seed in 0..20 {
        let config = match seed {
            0 => going(Round::Loop, 1),
            1 => going(Round::Loop, 2),
            _ => going_badly(Round::Loop, seed),
        };
        let mut world = world(config, vendors_of(vec![VendorScript::default()]));
        world.callers[0].plan(CallPlan::default());
        finish(&mut world);
        assert_eq!(heard(&world.callers[0].calls[0]), [482], "{seed}");
        assert!(world.vendors[0].calls.is_empty());
        // The refusal is made without state: when it is lost, the INVITE that comes again is refused again.
        let refused = world.refused(Cause::LoopDetected);
        assert!(refused == 1 || refused > 1 && seed > 1, "{seed}: {refused}");
        for cdr in world.cdrs() {
            assert_eq!((cdr.status, cdr.customer.as_str()), (482, "acme"));
            assert_eq!(cdr.rated().customer_price, Some(decimal("0")));
        }
    }
}
