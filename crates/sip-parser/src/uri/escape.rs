//! Percent escapes in URIs (RFC 3261 §19.1.2, RFC 3986).
//! Outside URIs a percent sign is a letter like any other (RFC 4475 §3.1.1.5).
//! A malformed escape stays as it is: refusing is for the parser.

/// Appends `text` with its `%HH` escapes replaced by the octets they stand for, NUL included.
pub fn unescape(text: &[u8], out: &mut Vec<u8>) {
    out.extend(Unescaped::new(text).map(|(octet, _)| octet));
}

/// The octets of a text, escapes resolved; each with whether it was escaped.
#[derive(Clone)]
pub(crate) struct Unescaped<'b> {
    rest: &'b [u8],
}

impl<'b> Unescaped<'b> {
    pub(crate) fn new(text: &'b [u8]) -> Self {
        Self { rest: text }
    }
}

impl Iterator for Unescaped<'_> {
    type Item = (u8, bool);

    fn next(&mut self) -> Option<(u8, bool)> {
        let (&first, rest) = self.rest.split_first()?;
        if first == b'%'
            && let [high, low, after @ ..] = rest
            && let (Some(high), Some(low)) = (hex(*high), hex(*low))
        {
            self.rest = after;
            return Some((high << 4 | low, true));
        }
        self.rest = rest;
        Some((first, false))
    }
}

/// The value of a hexadecimal digit.
pub(crate) fn hex(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        b'A'..=b'F' => Some(digit - b'A' + 10),
        _ => None,
    }
}

/// Whether each `%` in `text` starts an escape.
pub(crate) fn is_well_formed(text: &[u8]) -> bool {
    memchr::memchr_iter(b'%', text).all(|at| {
        matches!(text.get(at + 1..at + 3), Some([high, low]) if hex(*high).is_some() && hex(*low).is_some())
    })
}

#[cfg(test)]
mod tests;
