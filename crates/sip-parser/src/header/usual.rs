//! Names of header fields in the spelling that nearly everybody uses, found by comparing words of eight octets.
//! What is written otherwise (RFC 3261 §7.3.1: case is of no matter) is left to `KnownHeader::from_name`.
//! One read and a few comparisons serve all: a header that is not listed only costs a little more.

use super::name::KnownHeader as H;

/// A name with its colon as two words, the octets of a line that it covers, and which header it is.
#[derive(Clone, Copy)]
struct Entry {
    first: u64,
    first_mask: u64,
    second: u64,
    second_mask: u64,
    name_len: usize,
    header: H,
}

impl Entry {
    /// Like no line: what is masked away can't be one.
    const EMPTY: Self = Self {
        first: 1,
        first_mask: 0,
        second: 0,
        second_mask: 0,
        name_len: 0,
        header: H::Via,
    };
}

/// The headers of ordinary calls, each with its colon within sixteen octets. Of names that start alike, the first is found first.
const USUAL: [(&[u8], H); 25] = [
    (b"Via:", H::Via),
    (b"To:", H::To),
    (b"From:", H::From),
    (b"CSeq:", H::CSeq),
    (b"Call-ID:", H::CallId),
    (b"Max-Forwards:", H::MaxForwards),
    (b"Content-Length:", H::ContentLength),
    (b"Content-Type:", H::ContentType),
    (b"Contact:", H::Contact),
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
    // The rest of this one is looked at besides.
    (b"P-Asserted-Ident", H::PAssertedIdentity),
];

/// A place for each usual name: its [`slot`], or one of the next when others were there before.
static TABLE: [Entry; SLOTS] = table();

const SLOTS: usize = 66;

/// How many names may share a slot: those of the three Content-… and Contact.
const SHARED: usize = 3;

/// Sends all names that start differently to different slots.
const FACTOR: u64 = 0x7a86_2ed6_68c1_b129;

/// By the first three octets, since no name with its colon is shorter.
const fn slot(first: u64) -> usize {
    ((first & 0xff_ffff).wrapping_mul(FACTOR) >> 59) as usize * 2
}

const fn table() -> [Entry; SLOTS] {
    let mut table = [Entry::EMPTY; SLOTS];
    let mut index = 0;
    while index < USUAL.len() {
        let (name, header) = USUAL[index];
        let (first, second) = words(name);
        let mut place = slot(first);
        let last = place + SHARED;
        while table[place].name_len != 0 {
            place += 1;
        }
        assert!(place < last, "too many names in one slot");
        table[place] = Entry {
            first,
            first_mask: mask(first),
            second,
            second_mask: mask(second),
            name_len: name.len() - 1,
            header,
        };
        index += 1;
    }
    table
}

/// All ones where `word` has octets; a name holds no zero.
const fn mask(word: u64) -> u64 {
    let octets = 8 - word.leading_zeros() / 8;
    if octets == 0 {
        0
    } else {
        u64::MAX >> (64 - 8 * octets)
    }
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

/// The header whose line starts `bytes`, and the length of its name: a usual spelling with the colon right behind it.
#[inline]
pub(crate) fn name_of(bytes: &[u8]) -> Option<(H, usize)> {
    let (head, rest) = bytes.split_first_chunk::<16>()?;
    let head = u128::from_le_bytes(*head);
    #[expect(
        clippy::cast_possible_truncation,
        reason = "the one half and the other"
    )]
    let (first, second) = (head as u64, (head >> 64) as u64);
    let place = slot(first);
    let entry = TABLE[place..place + SHARED].iter().find(|entry| {
        first & entry.first_mask == entry.first && second & entry.second_mask == entry.second
    })?;
    match entry.header {
        H::PAssertedIdentity => rest.starts_with(b"ity:").then_some((entry.header, 19)),
        _ => Some((entry.header, entry.name_len)),
    }
}

#[cfg(test)]
mod tests;
