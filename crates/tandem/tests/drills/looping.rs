//! A routing table that leads back to the proxy itself: the call goes round once and is refused, whichever worker it meets.

use crate::support::call::Call;
use crate::support::eventually;
use crate::support::peer::Peer;
use crate::support::proxy::Setup;
use crate::support::shared_machine;

#[test]
fn a_call_to_a_vendor_that_is_the_proxy_itself_goes_round_once() {
    let _machine = shared_machine();
    let mut setup = Setup::new();
    setup.vendor("mirror", setup.sip, "0.10");
    let proxy = setup.start();
    let caller = Peer::bind(setup.at(5061));
    for n in 0..8 {
        let call = Call::new(&caller, setup.sip, &format!("49301234{n}"));
        call.send_invite();
        let refusal = caller.expect_final("INVITE");
        assert_eq!(refusal.status(), 482, "{}", refusal.text);
        call.acknowledge_refusal(&refusal);
    }
    eventually("eight loops in the metrics", || {
        let page = proxy.get("/metrics").body;
        let line = page
            .lines()
            .find(|line| line.contains("cause=\"loop_detected\""))?;
        line.ends_with(" 8").then_some(())
    });
    // One record for each call: what came back began none.
    let cdrs = setup.expect_cdrs(8);
    assert!(
        cdrs.iter()
            .all(|cdr| cdr.number("status") == 482 && cdr.attempts().len() == 1)
    );
    proxy.stop();
}
