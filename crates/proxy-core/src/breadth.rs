//! Max-Breadth: how many branches of a request may be out at the same time.
//!
//! RFC 5393 §5. What a request brings is shared among its branches; what a branch has is free again with its final
//! response. A fork that is too broad goes out piece by piece, so 440 is left for a request that brings nothing.

use crate::{context::ResponseContext, reply::Reject};
use accounting::Cause;
use sip_parser::{Edits, KnownHeader, Message};
use std::io::Write as _;

/// The most that a request may bring, and what one brings that says nothing.
pub(crate) const BREADTH_MAX: u8 = 60;

/// The Incoming Max-Breadth of a request.
///
/// # Errors
/// 400 when the header is no number or stands there twice, 440 when it is 0.
pub(crate) fn incoming(request: &Message<'_>) -> Result<u8, Reject> {
    let mut lines = request.headers_named(KnownHeader::MaxBreadth);
    //= RFC 5393 §5.3.3: a request without Max-Breadth gets 60
    let Some(line) = lines.next() else {
        return Ok(BREADTH_MAX);
    };
    let digits = line.value.trim_ascii();
    let malformed = digits.is_empty() || !digits.iter().all(u8::is_ascii_digit);
    //= RFC 5393 §5.3.1: one number without parameters, else 400
    if malformed || lines.next().is_some() {
        let mut reject = Reject::new(400, Cause::BadRequest);
        reject.reason = Some("Malformed Max-Breadth");
        return Err(reject);
    }
    //= RFC 5393 §5.3.3: more than the maximum of 60 is taken for 60
    let value = digits.iter().fold(0_u32, |value, digit| {
        value
            .saturating_mul(10)
            .saturating_add(u32::from(digit - b'0'))
    });
    let value = u8::try_from(value).unwrap_or(u8::MAX).min(BREADTH_MAX);
    if value == 0 {
        //= RFC 5393 §5.3.3: not even one branch is possible: 440
        return Err(Reject::new(440, Cause::MaxBreadth));
    }
    Ok(value)
}

/// Writes the one Max-Breadth of a forwarded request.
pub(crate) fn write(message: &Message<'_>, value: u8, edits: &mut Edits) {
    let mut text = smallvec::SmallVec::<[u8; 4]>::new();
    let _ = write!(text, "{value}");
    //= RFC 5393 §5.3.3: every forwarded request has Max-Breadth, once
    match message.header(KnownHeader::MaxBreadth) {
        Some(header) if header.value == text.as_slice() => {}
        Some(header) => edits.replace(header.value_range, &text),
        None => edits.add_header(message, b"Max-Breadth", &text),
    }
}

/// What a request that does not fork passes on: all that it brought.
pub(crate) fn write_whole(message: &Message<'_>, edits: &mut Edits) {
    write(message, incoming(message).unwrap_or(BREADTH_MAX), edits);
}

/// The share of the next branch, out of `free`: the `members` of its group that are not out yet share what is there, and
/// each of the `later` targets keeps one for itself, since a branch that was given up on holds its share until it ends.
///
/// `None`: nothing is free before a branch has had its final response.
pub(crate) fn share(free: u8, members: usize, later: usize) -> Option<u8> {
    if free == 0 {
        return None;
    }
    let each = usize::from(free).saturating_sub(later) / members.max(1);
    Some(u8::try_from(each).unwrap_or(free).clamp(1, free))
}

impl ResponseContext {
    /// What is left of the Incoming Max-Breadth.
    pub(crate) fn breadth_left(&self) -> u8 {
        let Some(hunt) = &self.hunt else { return 0 };
        let waiting = hunt.waiting.iter().map(|waiting| waiting.breadth);
        //= RFC 5393 §5.3.3: branches without a final response never have more, together, than the request brought
        //= RFC 5393 §5.3.3.1: a final response makes the share of its branch free
        let pending = self.branches.iter().filter(|branch| branch.is_pending());
        pending
            .filter_map(|branch| branch.breadth)
            .chain(waiting)
            .fold(hunt.breadth, u8::saturating_sub)
    }
}

#[cfg(test)]
mod tests {
    use super::share;

    #[test]
    fn shares_never_add_up_to_more_than_there_is_and_use_all_of_it() {
        for breadth in 1..=60_u8 {
            for members in 1..=20_usize {
                for later in 0..=5 {
                    let (mut free, mut out) = (breadth, 0);
                    for left in (1..=members).rev() {
                        let Some(share) = share(free, left, later) else {
                            break;
                        };
                        assert!((1..=free).contains(&share), "{breadth} {members} {later}");
                        free -= share;
                        out += 1;
                    }
                    assert_eq!(out, members.min(usize::from(breadth)));
                    assert!(later > 0 || free == 0, "{breadth} {members}: {free} unused");
                    assert!(
                        usize::from(free) >= later.min(usize::from(breadth) - out),
                        "{breadth} {members} {later}: {free} left"
                    );
                }
            }
        }
        assert_eq!(share(0, 1, 0), None);
    }
}
