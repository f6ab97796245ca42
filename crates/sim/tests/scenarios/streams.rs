//! Calls over connections that cut messages anywhere: nothing is sent again, everything else is as over datagrams.

use accounting::Cause;
use proxy_core::Stat;
use sim::clock::{MS, SECOND};
use sim::leg::Act;
use sim::network::LinkQuality;
use sim::peer_caller::{CallPlan, CancelPlan};
use sim::peer_vendor::VendorScript;
use sim::world::{World, WorldConfig};
use transaction_layer::Transport;

use crate::{attempts, call, heard, only_cdr, vendors_of, world};

/// Connections whose octets may take longer than T1.
fn stream_world(scripts: Vec<VendorScript>) -> World {
    let config = WorldConfig {
        transport: Transport::Tcp,
        link: LinkQuality {
            delay_max_us: 700 * MS,
            ..LinkQuality::CLEAN
        },
        ..WorldConfig::default()
    };
    world(config, vendors_of(scripts))
}

#[test]
fn a_call_over_streams_is_answered_hung_up_and_nothing_is_sent_again() {
    let mut world = stream_world(vec![VendorScript::default()]);
    let plan = CallPlan {
        acts: vec![
            (SECOND, Act::ReInvite),
            (SECOND, Act::Info),
            (5 * SECOND, Act::Bye),
        ],
        ..CallPlan::default()
    };
    call(&mut world, plan);
    assert_eq!(heard(&world.callers[0].calls[0]), [200]);
    // RFC 3261 §17.1.1.2, §17.1.2.2, §17.2.1: Timers A, E and G do not run.
    assert_eq!(world.stat(Stat::RequestsRetransmitted), 0);
    assert!(world.network.broken().is_empty());
    assert!(only_cdr(&world).duration_us >= 5 * SECOND);
}

#[test]
fn the_next_vendor_takes_over_on_streams_too() {
    let mut world = stream_world(vec![VendorScript::refuse(503), VendorScript::default()]);
    call(&mut world, CallPlan::default());
    assert_eq!(heard(&world.callers[0].calls[0]), [200]);
    assert_eq!(attempts(only_cdr(&world)).len(), 2);
}

#[test]
fn a_cancel_over_streams_ends_the_call() {
    let mut world = stream_world(vec![VendorScript::rings_for_ever()]);
    let plan = CallPlan {
        cancel: CancelPlan::AfterRinging(100 * MS),
        ..CallPlan::default()
    };
    call(&mut world, plan);
    assert_eq!(heard(&world.callers[0].calls[0]), [487]);
    assert_eq!(only_cdr(&world).cause, Cause::Cancelled);
}

#[test]
fn a_vendor_that_never_speaks_is_given_up_by_timer_b_over_streams() {
    let mut world = stream_world(vec![VendorScript::silent()]);
    call(&mut world, CallPlan::default());
    assert_eq!(heard(&world.callers[0].calls[0]), [408]);
    // One INVITE was written, however long nothing came.
    assert_eq!(world.vendors[0].calls.len(), 1);
}
