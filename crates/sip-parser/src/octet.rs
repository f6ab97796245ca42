//! Classes of octets and the runs made of them (RFC 3261 §25.1).
//! One table look-up an octet; a run stops at the first octet outside its class.
//! Linear white space inside a header value covers folds: framing has already proved them well formed.

/// `token` of RFC 3261 §25.1.
pub(crate) const TOKEN: u16 = 1;
/// SP, HTAB, and the CR and LF of a fold.
pub(crate) const LWS: u16 = 2;
/// What an absolute URI may be made of, taken widely: visible ASCII but `"`, `<` and `>`.
pub(crate) const URI: u16 = 4;
/// Unquoted parameter value, taken widely: visible or non-ASCII but `;`, `,`, `"`, `<` and `>`.
pub(crate) const VALUE: u16 = 8;
/// Letters, digits, `-`, `.` and the `_` that operators do use in host names.
pub(crate) const HOST: u16 = 16;
/// `0` to `9`.
pub(crate) const DIGIT: u16 = 32;
/// Visible or non-ASCII: all but controls and space.
pub(crate) const VISIBLE: u16 = 64;
/// Unquoted display name: token octets and UTF-8.
pub(crate) const DISPLAY: u16 = 128;
/// Parameter name of a URI, taken widely: as [`VALUE`] but `=`.
pub(crate) const NAME: u16 = 256;

/// As [`URI`] but `%` and `,`: what needs no second look.
pub(crate) const URI_PLAIN: u16 = 512;

/// As [`URI_PLAIN`] but `@` and `:`: a user part without password, or a host with parameters.
pub(crate) const USER_PLAIN: u16 = 1_024;
/// As [`URI_PLAIN`] but `;`, `=` and `?`: the name or the value of a URI parameter.
pub(crate) const PARAM_PLAIN: u16 = 2_048;

/// [`DISPLAY`] or [`LWS`].
pub(crate) const WORDS: u16 = 4_096;

static CLASSES: [u16; 256] = classes();

const fn classes() -> [u16; 256] {
    let mut classes = [0u16; 256];
    let mut octet = 0usize;
    while octet < 256 {
        #[expect(clippy::cast_possible_truncation, reason = "the loop ends at 255")]
        let byte = octet as u8;
        let alnum = byte.is_ascii_alphanumeric();
        let visible = byte > 0x20 && byte != 0x7f;
        let bracket = matches!(byte, b'"' | b'<' | b'>');
        let mut class = 0;
        if alnum
            || matches!(
                byte,
                b'-' | b'.' | b'!' | b'%' | b'*' | b'_' | b'+' | b'`' | b'\'' | b'~'
            )
        {
            class |= TOKEN | DISPLAY;
        }
        if matches!(byte, b' ' | b'\t' | b'\r' | b'\n') {
            class |= LWS;
        }
        if visible && byte < 0x80 && !bracket {
            class |= URI;
            if !matches!(byte, b'%' | b',') {
                class |= URI_PLAIN;
                if !matches!(byte, b'@' | b':') {
                    class |= USER_PLAIN;
                }
                if !matches!(byte, b';' | b'=' | b'?') {
                    class |= PARAM_PLAIN;
                }
            }
        }
        if visible && !bracket && !matches!(byte, b';' | b',') {
            class |= VALUE;
            if byte != b'=' {
                class |= NAME;
            }
        }
        if alnum || matches!(byte, b'-' | b'.' | b'_') {
            class |= HOST;
        }
        if byte.is_ascii_digit() {
            class |= DIGIT;
        }
        if visible {
            class |= VISIBLE;
        }
        if byte >= 0x80 {
            class |= DISPLAY;
        }
        if class & (DISPLAY | LWS) != 0 {
            class |= WORDS;
        }
        classes[octet] = class;
        octet += 1;
    }
    classes
}

/// Whether `octet` belongs to one of the classes in `mask`.
#[inline]
pub(crate) fn is(octet: u8, mask: u16) -> bool {
    class(octet) & mask != 0
}

/// The end of the run of octets of one class, `mask`, that starts at `from`.
#[inline(always)]
pub(crate) fn run(bytes: &[u8], from: usize, mask: u16) -> usize {
    debug_assert!(mask.is_power_of_two());
    let Some(mut rest) = bytes.get(from..) else {
        return from;
    };
    // Four at a time, and where the run ends without a branch for each.
    while let Some(([one, two, three, four], after)) = rest.split_first_chunk() {
        let one = class(*one) & mask;
        let two = class(*two) & one;
        let three = class(*three) & two;
        if class(*four) & three == 0 {
            let in_run = usize::from(one != 0) + usize::from(two != 0) + usize::from(three != 0);
            return bytes.len() - rest.len() + in_run;
        }
        rest = after;
    }
    while let [first, after @ ..] = rest {
        if !is(*first, mask) {
            break;
        }
        rest = after;
    }
    bytes.len() - rest.len()
}

#[inline]
fn class(octet: u8) -> u16 {
    CLASSES[usize::from(octet)]
}

/// How many octets precede the first control octet up to CR, in an ordinary line the CR that ends it.
/// `None` too when that is close to the end of `bytes`: a second look is needed.
#[inline]
pub(crate) fn ordinary_line_len(bytes: &[u8]) -> Option<usize> {
    for (index, chunk) in bytes.as_chunks::<16>().0.iter().enumerate() {
        // Without early end, so that the compiler looks at all sixteen at once.
        let has_low = chunk
            .iter()
            .fold(false, |has_low, octet| has_low | (*octet < 14));
        if has_low {
            return Some(index * 16 + first_low(u128::from_le_bytes(*chunk)));
        }
    }
    None
}

/// Which of sixteen octets is the first below 14.
#[inline]
fn first_low(octets: u128) -> usize {
    const ONES: u64 = u64::from_ne_bytes([1; 8]);
    const HIGHS: u64 = u64::from_ne_bytes([0x80; 8]);
    // The high bit of each octet below 14; the lowest bit set is exact.
    let low = |word: u64| word.wrapping_sub(ONES * 14) & !word & HIGHS;
    #[expect(
        clippy::cast_possible_truncation,
        reason = "the one half and the other"
    )]
    let (one, two) = (low(octets as u64), low((octets >> 64) as u64));
    let (word, before) = if one == 0 { (two, 8) } else { (one, 0) };
    before + word.trailing_zeros() as usize / 8
}

/// The end of the run of [`VISIBLE`] octets that starts at `from`; as [`run`], but for long ones.
#[inline]
pub(crate) fn run_visible(bytes: &[u8], from: usize) -> usize {
    run_long(bytes, from, VISIBLE, |octet| {
        (octet > b' ') & (octet != 0x7f)
    })
}

/// The end of the run of [`URI`] octets that starts at `from`; as [`run`], but for long ones.
#[inline]
pub(crate) fn run_uri(bytes: &[u8], from: usize) -> usize {
    run_long(bytes, from, URI, |octet| {
        let is_visible = (octet > b' ') & (octet < 0x7f);
        is_visible & (octet != b'"') & (octet != b'<') & (octet != b'>')
    })
}

/// As [`run`], with `is_in` for `mask`, sixteen octets at once.
#[inline]
fn run_long(bytes: &[u8], from: usize, mask: u16, is_in: impl Fn(u8) -> bool) -> usize {
    let mut at = from;
    while let Some(chunk) = bytes.get(at..).and_then(<[u8]>::first_chunk::<16>) {
        // Without early end, so that the compiler looks at all sixteen at once.
        if !chunk.iter().fold(true, |all, octet| all & is_in(*octet)) {
            break;
        }
        at += 16;
    }
    run(bytes, at, mask)
}

/// The first offset at or after `from` that is not linear white space.
#[inline]
pub(crate) fn skip_lws(bytes: &[u8], from: usize) -> usize {
    let mut at = from;
    while matches!(bytes.get(at), Some(b' ' | b'\t' | b'\r' | b'\n')) {
        at += 1;
    }
    at
}

/// `bytes` without linear white space at either end.
#[inline]
pub(crate) fn trim(bytes: &[u8]) -> &[u8] {
    trim_end(&bytes[skip_lws(bytes, 0)..])
}

/// `bytes` without linear white space at its end.
#[inline]
pub(crate) fn trim_end(mut bytes: &[u8]) -> &[u8] {
    while let [rest @ .., last] = bytes {
        if !is(*last, LWS) {
            break;
        }
        bytes = rest;
    }
    bytes
}

/// The offset behind the closing quote of the quoted string that opens at `from`, if it closes.
pub(crate) fn skip_quoted(bytes: &[u8], from: usize) -> Option<usize> {
    let mut at = from + 1;
    loop {
        at += memchr::memchr2(b'"', b'\\', bytes.get(at..)?)?;
        if bytes[at] == b'"' {
            return Some(at + 1);
        }
        // RFC 3261 §25.1: quoted-pair, whatever octet follows the backslash.
        at += 2;
    }
}

/// The value of a run of decimal digits, leading zeros allowed; `None` when empty, not a number or above `max`.
#[inline]
pub(crate) fn decimal(digits: &[u8], max: u32) -> Option<u32> {
    if digits.is_empty() {
        return None;
    }
    let mut value = 0u64;
    for &octet in digits {
        if !octet.is_ascii_digit() {
            return None;
        }
        value = value * 10 + u64::from(octet - b'0');
        if value > u64::from(max) {
            return None;
        }
    }
    u32::try_from(value).ok()
}

/// The number that starts `bytes`, and what follows its digits; `None` when there is none, or one of ten digits or more.
#[inline]
pub(crate) fn leading_decimal(bytes: &[u8]) -> Option<(u32, &[u8])> {
    let mut value = 0u32;
    let mut rest = bytes;
    while let [digit @ b'0'..=b'9', after @ ..] = rest {
        value = value.wrapping_mul(10).wrapping_add(u32::from(digit - b'0'));
        rest = after;
    }
    let digits = bytes.len() - rest.len();
    (1..10).contains(&digits).then_some((value, rest))
}

/// Appends `value` in decimal.
pub(crate) fn push_decimal(out: &mut Vec<u8>, mut value: u32) {
    let mut digits = [0u8; 10];
    let mut at = digits.len();
    loop {
        at -= 1;
        digits[at] = b'0' + u8::try_from(value % 10).unwrap_or_default();
        value /= 10;
        if value == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[at..]);
}

#[cfg(test)]
mod tests;
