//! Names of header fields in the spelling that nearly everybody uses, found by comparing words of eight octets.
//! What is written otherwise (RFC 3261 §7.3.1: case is of no matter) is left to `KnownHeader::from_name`.
//! One read and a few comparisons serve all: a header that is not listed only costs a little more.

use super::name::KnownHeader as H;
use crate::octet;

/// A name with its colon as two words, and which header it is.
#[derive(Clone, Copy)]
struct Entry {
    first: u64,
    second: u64,
    header: H,
}

/// The headers of ordinary calls; no name is longer than 15 octets.
const USUAL: [(&[u8], H); 24] = [
    (b"Via:", H::Via),
    (b"To:", H::To),
    (b"From:", H::From),
    (b"CSeq:", H::CSeq),
    (b"Call-ID:", H::CallId),
    (b"Contact:", H::Contact),
    (b"Max-Forwards:", H::MaxForwards),
    (b"Content-Type:", H::ContentType),
    (b"Content-Length:", H::ContentLength),
    (b"Record-Route:", H::RecordRoute),
    (b"Route:", H::Route),
    (b"Allow:", H::Allow),
    (b"Supported:", H::Supported),
    (b"User-Agent:", H::UserAgent),
    (b"Server:", H::Server),
    (b"Require:", H::Require),
    (b"Reason:", H::Reason),
    (b"Privacy:", H::Privacy),
    (b"Session-Expires:", H::SessionExpires),
    (b"Min-SE:", H::MinSe),
    (b"Date:", H::Date),
    (b"Diversion:", H::Diversion),
    (b"RSeq:", H::RSeq),
    (b"RAck:", H::RAck),
];

/// A place for each usual name, found by its [`slot`].
static TABLE: [Entry; SLOTS] = table();

const SLOTS: usize = 64;

/// Sends every usual name to a slot of its own: otherwise the table does not compile, and another one is to be found.
const FACTOR: u64 = 0xc16c_30e7_cb40_da89;

const fn slot(first: u64, second: u64) -> usize {
    (first.wrapping_add(second).wrapping_mul(FACTOR) >> 58) as usize
}

const fn table() -> [Entry; SLOTS] {
    let empty = Entry {
        first: 0,
        second: 0,
        header: H::Via,
    };
    let mut table = [empty; SLOTS];
    let mut index = 0;
    while index < USUAL.len() {
        let (name, header) = USUAL[index];
        let (first, second) = words(name);
        let place = slot(first, second);
        assert!(table[place].first == 0, "two names in one slot");
        table[place] = Entry {
            first,
            second,
            header,
        };
        index += 1;
    }
    table
}

/// Up to sixteen octets as two words in little-endian order.
const fn words(name: &[u8]) -> (u64, u64) {
    let mut octets = [[0; 8]; 2];
    let mut index = 0;
    while index < name.len() {
        octets[index / 8][index % 8] = name[index];
        index += 1;
    }
    (u64::from_le_bytes(octets[0]), u64::from_le_bytes(octets[1]))
}

/// The octets of a word up to and with that at `index`, below 8.
#[inline]
fn through(index: usize) -> u64 {
    u64::MAX >> (56 - 8 * index)
}

/// The header whose line starts `bytes`, and the length of its name: a usual spelling with the colon right behind it.
#[inline]
pub(crate) fn name_of(bytes: &[u8]) -> Option<(H, usize)> {
    let (head, _) = bytes.split_first_chunk::<8>()?;
    let mut first = u64::from_le_bytes(*head);
    let mut second = 0;
    let mut length = octet::position_in_word(first, b':');
    if length < 8 {
        first &= through(length);
    } else {
        let (tail, rest) = bytes[8..].split_first_chunk::<8>()?;
        second = u64::from_le_bytes(*tail);
        let index = octet::position_in_word(second, b':');
        if index == 8 {
            let is_asserted = head == b"P-Assert" && tail == b"ed-Ident";
            let is_asserted = is_asserted && rest.starts_with(b"ity:");
            return is_asserted.then_some((H::PAssertedIdentity, 19));
        }
        second &= through(index);
        length += index;
    }
    let entry = &TABLE[slot(first, second)];
    let is_entry = entry.first == first && entry.second == second;
    is_entry.then_some((entry.header, length))
}

#[cfg(test)]
mod tests;
