//! Parameters behind a header value or a URI: `;name=value` (RFC 3261 §7.3.1, §25.1).
//! One cursor serves the strict walk of the parser and the forgiving one of the iterator.
//! Values are handed out as received: quotes and escapes stay.

use crate::error::ParseErrorKind;
use crate::octet::{self, NAME, TOKEN, VALUE};

/// One parameter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Param<'b> {
    /// The name as received; compare without regard to case.
    pub name: &'b [u8],
    /// The value as received, with its quotes if it has any; `None` when there is no `=`.
    pub value: Option<&'b [u8]>,
}

/// The parameters of a header value or URI; iterates in message order.
#[derive(Clone, Copy, Debug, Default)]
pub struct Params<'b> {
    raw: &'b [u8],
}

impl<'b> Params<'b> {
    /// Parameters read from `raw`, which starts with a semicolon or is empty.
    pub fn new(raw: &'b [u8]) -> Self {
        Self { raw }
    }

    /// The octets from the first semicolon to the end of the last parameter.
    pub fn as_bytes(&self) -> &'b [u8] {
        self.raw
    }

    /// The first parameter called `name`, without regard to case.
    pub fn find(&self, name: &[u8]) -> Option<Param<'b>> {
        self.iter()
            .find(|param| param.name.eq_ignore_ascii_case(name))
    }

    /// The value of the first parameter called `name`; `None` too when it has no value.
    pub fn get(&self, name: &[u8]) -> Option<&'b [u8]> {
        self.find(name)?.value
    }

    /// Whether a parameter called `name` is there, with or without value.
    pub fn contains(&self, name: &[u8]) -> bool {
        self.find(name).is_some()
    }

    /// The parameters in order; stops at the first malformed one.
    pub fn iter(&self) -> ParamsIter<'b> {
        ParamsIter {
            cursor: ParamCursor::new(self.raw, 0, usize::MAX, true),
        }
    }
}

impl<'b> IntoIterator for Params<'b> {
    type Item = Param<'b>;
    type IntoIter = ParamsIter<'b>;

    fn into_iter(self) -> ParamsIter<'b> {
        self.iter()
    }
}

/// Iterator over [`Params`].
#[derive(Clone, Debug)]
pub struct ParamsIter<'b> {
    cursor: ParamCursor<'b>,
}

impl<'b> Iterator for ParamsIter<'b> {
    type Item = Param<'b>;

    fn next(&mut self) -> Option<Param<'b>> {
        self.cursor.next_param().ok().flatten()
    }
}

/// A fault in one value: its kind, and its offset in the bytes that were walked.
pub(crate) type Fault = (ParseErrorKind, usize);

/// Walks parameters up to a comma, the end, or an octet that belongs to neither.
#[derive(Clone, Debug)]
pub(crate) struct ParamCursor<'b> {
    bytes: &'b [u8],
    /// Where the walk stands; after `Ok(None)` a comma or the end.
    pub(crate) at: usize,
    /// The end of the last parameter, without the white space behind it.
    pub(crate) end: usize,
    left: usize,
    forgiving: bool,
}

impl<'b> ParamCursor<'b> {
    /// Starts at `at`; `forgiving` skips empty parameters and accepts empty values.
    pub(crate) fn new(bytes: &'b [u8], at: usize, params_max: usize, forgiving: bool) -> Self {
        Self {
            bytes,
            at,
            end: at,
            left: params_max,
            forgiving,
        }
    }

    /// The next parameter; `None` at a comma or the end.
    /// Errors: `NameAddrSyntax` (the caller renames it) and `ParamsTooMany`.
    #[inline]
    pub(crate) fn next_param(&mut self) -> Result<Option<Param<'b>>, Fault> {
        if self.at == self.bytes.len() {
            return Ok(None);
        }
        if let Some(param) = self.next_plain() {
            return Ok(Some(param));
        }
        self.next_any()
    }

    /// The next parameter when it is as most are: a token and a value without quotes, with no white space between.
    /// `None` says that a second look is needed.
    #[inline(always)]
    fn next_plain(&mut self) -> Option<Param<'b>> {
        let bytes = self.bytes;
        let [b';', name @ ..] = bytes.get(self.at..)? else {
            return None;
        };
        let name_len = octet::run(name, 0, TOKEN);
        let (name, after) = name.split_at_checked(name_len)?;
        let (value, rest) = match after {
            [b'=', value @ ..] => {
                let value_len = octet::run(value, 0, VALUE);
                let (value, rest) = value.split_at_checked(value_len)?;
                (Some(value), rest)
            }
            _ => (None, after),
        };
        let is_plain = !name.is_empty()
            && value != Some(b"")
            && matches!(rest, [] | [b';' | b',', ..])
            && self.left > 0;
        is_plain.then(|| {
            self.left -= 1;
            self.at = bytes.len() - rest.len();
            self.end = self.at;
            Param { name, value }
        })
    }

    /// The next parameter, however it is written.
    #[cold]
    fn next_any(&mut self) -> Result<Option<Param<'b>>, Fault> {
        let bytes = self.bytes;
        loop {
            let semicolon = octet::skip_lws(bytes, self.at);
            match bytes.get(semicolon) {
                None | Some(b',') => {
                    self.at = semicolon;
                    return Ok(None);
                }
                Some(b';') => {}
                Some(_) => return Err((ParseErrorKind::NameAddrSyntax, semicolon)),
            }
            let start = octet::skip_lws(bytes, semicolon + 1);
            let name_end = octet::run(bytes, start, if self.forgiving { NAME } else { TOKEN });
            if name_end == start {
                if self.forgiving {
                    self.at = start;
                    continue;
                }
                return Err((ParseErrorKind::NameAddrSyntax, start));
            }
            if self.left == 0 {
                return Err((ParseErrorKind::ParamsTooMany, start));
            }
            self.left -= 1;
            let name = &bytes[start..name_end];
            self.end = name_end;
            self.at = octet::skip_lws(bytes, name_end);
            if bytes.get(self.at) != Some(&b'=') {
                return Ok(Some(Param { name, value: None }));
            }
            let value = octet::skip_lws(bytes, self.at + 1);
            let value_end = match bytes.get(value) {
                Some(b'"') => octet::skip_quoted(bytes, value)
                    .ok_or((ParseErrorKind::NameAddrSyntax, value))?,
                _ => octet::run(bytes, value, VALUE),
            };
            if value_end == value && !self.forgiving {
                return Err((ParseErrorKind::NameAddrSyntax, value));
            }
            self.end = value_end;
            self.at = value_end;
            return Ok(Some(Param {
                name,
                value: Some(&bytes[value..value_end]),
            }));
        }
    }
}
