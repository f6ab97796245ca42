//! A vendor that was given up and speaks after all.

use crate::bench::*;
use accounting::Cause;

#[test]
fn a_vendor_that_rings_after_it_was_given_up_and_never_ends_leaves_nothing_behind() {
    let mut bench = Bench::new(&ONE_VENDOR);
    let invite = bench.invite();
    let sent = bench.send(CALLER, &invite);
    let forwarded = only(&sent, "INVITE").clone();
    let sent = bench.wait(5 * SECOND);
    let refused = sent.iter().find(|sent| sent.what() == "408").unwrap();
    bench.send(
        CALLER,
        &beside(&invite, "ACK", refused.header("To").unwrap(), ""),
    );

    let ringing = reply(&forwarded.text, 180, "callee", "");
    let sent = bench.send(VENDOR, &ringing);
    assert_eq!(summary(&sent), [(VENDOR.to_owned(), "CANCEL")]);
    bench.send(VENDOR, &reply(&sent[0].text, 200, "callee", ""));
    // It rings on, and never says how it ended.
    bench.wait(10 * SECOND);
    bench.send(VENDOR, &ringing);
    bench.rest();
    assert_eq!(bench.only_cdr().cause, Cause::TimeoutNo1xx);
}
