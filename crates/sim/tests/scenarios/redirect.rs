//! Vendors that redirect: followed to their own address, and nowhere else (RFC 3261 §16.5).

use accounting::Cause;
use proxy_core::Stat;
use sim::peer_caller::CallPlan;
use sim::peer_vendor::VendorScript;
use sim::world::{World, WorldConfig};

use crate::{attempts, call, decimal, heard, only_cdr, vendors_of, world};

fn redirects_to(contact: &str) -> VendorScript {
    let mut script = VendorScript::refuse(302);
    script.headers = vec![("Contact".to_owned(), contact.to_owned())];
    script
}

/// The first vendor follows these scripts and may redirect; the second answers.
fn world_with(scripts: Vec<VendorScript>) -> World {
    let mut plans = vendors_of(vec![VendorScript::default(), VendorScript::default()]);
    plans[0].scripts = scripts;
    plans[0].redirect = true;
    world(WorldConfig::default(), plans)
}

#[test]
fn a_redirect_to_the_vendors_own_address_is_a_further_attempt_at_its_rate() {
    let mut world = world_with(vec![
        redirects_to("<sip:4930999;rn=49301@203.0.113.10>"),
        VendorScript::default(),
    ]);
    call(&mut world, CallPlan::default());
    assert_eq!(heard(&world.callers[0].calls[0]), [200]);
    assert_eq!(
        world.vendors[0].calls[1].uri,
        "sip:4930999;rn=49301@203.0.113.10:5060"
    );
    let cdr = only_cdr(&world);
    assert_eq!(
        attempts(cdr),
        [
            ("v0", 302, Cause::VendorRedirect),
            ("v0", 200, Cause::Answered)
        ]
    );
    assert_eq!(cdr.callee_sent.as_deref(), Some("4930999"));
    let sent = cdr.rated().attempts.into_iter();
    assert_eq!(
        sent.map(|attempt| attempt.callee_sent).collect::<Vec<_>>(),
        ["4930123456", "4930999"]
    );
    assert_eq!(cdr.rated().vendor_price, Some(decimal("0.011")));
    assert!(world.vendors[1].calls.is_empty());
}

#[test]
fn a_redirect_elsewhere_is_a_failed_attempt() {
    for contact in [
        "<sip:4930999@203.0.113.11>",
        "<sip:4930999@192.0.2.77>",
        "<sip:4930999@203.0.113.10:5999>",
    ] {
        let mut world = world_with(vec![redirects_to(contact)]);
        call(&mut world, CallPlan::default());
        assert_eq!(heard(&world.callers[0].calls[0]), [200]);
        assert_eq!(
            attempts(only_cdr(&world)),
            [
                ("v0", 302, Cause::VendorRedirect),
                ("v1", 200, Cause::Answered)
            ]
        );
        assert_eq!(world.stat(Stat::RedirectsFollowed), 0);
    }
}

#[test]
fn a_vendor_that_redirects_in_circles_is_left_after_the_limit() {
    let circle = |step: u32| redirects_to(&format!("<sip:{step}@203.0.113.10>"));
    let mut world = world_with((1..=9).map(circle).collect());
    call(&mut world, CallPlan::default());
    assert_eq!(heard(&world.callers[0].calls[0]), [200]);
    let cdr = only_cdr(&world);
    // The INVITE, five Contacts, the next vendor.
    assert_eq!(cdr.attempts.len(), 7);
    assert_eq!(cdr.vendor.as_deref(), Some("v1"));

    let mut world = world_with(vec![redirects_to("<sip:1@203.0.113.10>"); 9]);
    call(&mut world, CallPlan::default());
    assert_eq!(only_cdr(&world).attempts.len(), 3, "each URI once");
}
