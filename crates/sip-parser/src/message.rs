//! A parsed message: a small view that is copied freely (RFC 3261 §7).
//! What every proxy needs was checked when it was parsed; the rest is read on demand.
//! The message is never changed: [`Edits`](crate::Edits) say what the next one looks like.

use std::ops::Range;

use crate::error::ParseError;
use crate::header::contact::Contacts;
use crate::header::cseq::CSeq;
use crate::header::list::{ListCursor, Tokens};
use crate::header::name::{HeaderName, KnownHeader};
use crate::header::name_addr::{NameAddr, NameAddrs};
use crate::header::via::{Via, Vias};
use crate::method::Method;
use crate::octet;
use crate::span::Span;
use crate::table::{AddressParts, Field, HeaderTable, NO_FIELD};

/// A view of one message; all ranges and offsets count from the start of [`Message::bytes`].
#[derive(Clone, Copy, Debug)]
pub struct Message<'b> {
    pub(crate) bytes: &'b [u8],
    pub(crate) table: &'b HeaderTable,
}

/// One header field of a message.
#[derive(Clone, Debug)]
pub struct Header<'b> {
    /// The name as received.
    pub name: HeaderName<'b>,
    /// The value without white space around it; it may hold folds.
    pub value: &'b [u8],
    /// The whole line or lines, with the final CRLF.
    pub line: Range<usize>,
    /// Where `value` lies.
    pub value_range: Range<usize>,
}

impl<'b> Message<'b> {
    /// Whether this is a request.
    pub fn is_request(&self) -> bool {
        self.table.start.status == 0
    }

    /// The method: of the Request-Line, or of the CSeq in a response.
    pub fn method(&self) -> Method<'b> {
        let span = if self.is_request() {
            self.table.start.method
        } else {
            self.table.cseq_method
        };
        Method::from_bytes(span.slice(self.bytes))
    }

    /// The Request-URI; empty in a response.
    pub fn request_uri(&self) -> &'b [u8] {
        self.table.start.uri.slice(self.bytes)
    }

    /// The status code, 100 to 699; 0 in a request.
    pub fn status(&self) -> u16 {
        self.table.start.status
    }

    /// The reason phrase; empty in a request.
    pub fn reason(&self) -> &'b [u8] {
        self.table.start.reason.slice(self.bytes)
    }

    /// The message, without line ends before it and octets behind its body.
    pub fn bytes(&self) -> &'b [u8] {
        self.bytes
    }

    /// Where the header lines end and the empty line starts.
    pub fn headers_end(&self) -> usize {
        self.table.headers_end
    }

    /// The body.
    pub fn body(&self) -> &'b [u8] {
        self.bytes.get(self.table.body_start..).unwrap_or_default()
    }

    /// All header fields in order.
    pub fn headers(&self) -> Headers<'b> {
        Headers {
            message: *self,
            walk: Walk::All(0),
        }
    }

    /// The first field of `header`.
    pub fn header(&self, header: KnownHeader) -> Option<Header<'b>> {
        self.table
            .first_of(header)
            .map(|field| self.header_of(field))
    }

    /// All fields of `header` in order.
    pub fn headers_named(&self, header: KnownHeader) -> Headers<'b> {
        Headers {
            message: *self,
            walk: Walk::Chain(self.table.first_field(header)),
        }
    }

    /// All fields called `name`, without regard to case; the name may be known or not.
    pub fn other<'n>(&self, name: &'n [u8]) -> impl Iterator<Item = Header<'b>> + use<'b, 'n> {
        let known = KnownHeader::from_name(name);
        self.headers().filter(move |header| {
            known.map_or_else(
                || header.name.raw.eq_ignore_ascii_case(name),
                |known| header.name.known == Some(known),
            )
        })
    }

    /// The Via values, top first.
    pub fn vias(&self) -> Vias<'b> {
        Vias {
            values: ListCursor::new(*self, KnownHeader::Via),
        }
    }

    /// The top Via.
    ///
    /// # Errors
    /// Never on a message from [`parse_datagram`](crate::parse_datagram).
    #[inline]
    pub fn top_via(&self) -> Result<Via<'b>, ParseError> {
        self.table.top_via.map(|parts| parts.view(self.bytes))
    }

    /// The From.
    ///
    /// # Errors
    /// Never on a message from [`parse_datagram`](crate::parse_datagram).
    #[inline]
    pub fn from(&self) -> Result<NameAddr<'b>, ParseError> {
        self.table.from.map(|parts| parts.view(self.bytes))
    }

    /// The To.
    ///
    /// # Errors
    /// Never on a message from [`parse_datagram`](crate::parse_datagram).
    #[inline]
    pub fn to(&self) -> Result<NameAddr<'b>, ParseError> {
        self.table.to.map(|parts| parts.view(self.bytes))
    }

    /// The tag of the From.
    pub fn from_tag(&self) -> Option<&'b [u8]> {
        self.tag(self.table.from, KnownHeader::From)
    }

    /// The tag of the To.
    pub fn to_tag(&self) -> Option<&'b [u8]> {
        self.tag(self.table.to, KnownHeader::To)
    }

    fn tag(
        &self,
        parts: Result<AddressParts, ParseError>,
        header: KnownHeader,
    ) -> Option<&'b [u8]> {
        match parts {
            Ok(parts) => parts.tag.slice_option(self.bytes),
            Err(_) => crate::salvage::guess_tag(self.header(header)?.value),
        }
    }

    /// The Call-ID.
    #[inline]
    pub fn call_id(&self) -> &'b [u8] {
        self.table
            .first_of(KnownHeader::CallId)
            .map_or(b"", |field| field.value.slice(self.bytes))
    }

    /// The CSeq.
    #[inline]
    pub fn cseq(&self) -> CSeq<'b> {
        CSeq {
            number: self.table.cseq_number,
            method: Method::from_bytes(self.table.cseq_method.slice(self.bytes)),
        }
    }

    /// The Max-Forwards, if there is one.
    ///
    /// # Errors
    /// Never on a message from [`parse_datagram`](crate::parse_datagram).
    pub fn max_forwards(&self) -> Result<Option<u8>, ParseError> {
        self.table.max_forwards
    }

    /// The Contact values.
    pub fn contacts(&self) -> Contacts<'b> {
        Contacts {
            values: ListCursor::new(*self, KnownHeader::Contact),
        }
    }

    /// The Route values, the next hop first.
    pub fn routes(&self) -> NameAddrs<'b> {
        self.addresses(KnownHeader::Route)
    }

    /// The Record-Route values, the last proxy passed first.
    pub fn record_routes(&self) -> NameAddrs<'b> {
        self.addresses(KnownHeader::RecordRoute)
    }

    /// The addresses of any header that is a list of them: P-Asserted-Identity, Diversion, Path …
    pub fn addresses(&self, header: KnownHeader) -> NameAddrs<'b> {
        NameAddrs {
            values: ListCursor::new(*self, header),
        }
    }

    /// The Content-Length as sent; `None` when there is none.
    pub fn content_length(&self) -> Option<usize> {
        self.table.content_length
    }

    /// The Content-Type as sent.
    pub fn content_type(&self) -> Option<&'b [u8]> {
        self.header(KnownHeader::ContentType)
            .map(|header| header.value)
    }

    /// The option tags of Require.
    pub fn require(&self) -> Tokens<'b> {
        self.tokens(KnownHeader::Require)
    }

    /// The option tags of Proxy-Require.
    pub fn proxy_require(&self) -> Tokens<'b> {
        self.tokens(KnownHeader::ProxyRequire)
    }

    /// The option tags of Supported.
    pub fn supported(&self) -> Tokens<'b> {
        self.tokens(KnownHeader::Supported)
    }

    /// The elements of any header that is a comma list of tokens: Allow, Privacy …
    pub fn tokens(&self, header: KnownHeader) -> Tokens<'b> {
        Tokens {
            values: ListCursor::new(*self, header),
        }
    }

    /// Where `part` lies in this message; `None` when it is not a slice of it.
    pub fn range_of(&self, part: &[u8]) -> Option<Range<usize>> {
        let start = part
            .as_ptr()
            .addr()
            .checked_sub(self.bytes.as_ptr().addr())?;
        let end = start.checked_add(part.len())?;
        (end <= self.bytes.len()).then_some(start..end)
    }

    pub(crate) fn header_of(&self, field: &Field) -> Header<'b> {
        let start = field.line.start();
        let name = Span::new(start, start + field.name_len as usize);
        Header {
            name: HeaderName {
                raw: name.slice(self.bytes),
                known: field.known,
            },
            value: field.value.slice(self.bytes),
            line: field.line.range(),
            value_range: field.value.range(),
        }
    }

    /// Where the first line ends, behind its CRLF.
    pub(crate) fn start_line_end(&self) -> usize {
        self.table
            .fields
            .first()
            .map_or(self.table.headers_end, |field| field.line.start())
    }
}

/// Iterator over header fields.
#[derive(Clone, Debug)]
pub struct Headers<'b> {
    message: Message<'b>,
    walk: Walk,
}

#[derive(Clone, Debug)]
enum Walk {
    All(usize),
    Chain(u16),
}

impl<'b> Iterator for Headers<'b> {
    type Item = Header<'b>;

    fn next(&mut self) -> Option<Header<'b>> {
        let table = self.message.table;
        let field = match &mut self.walk {
            Walk::All(index) => {
                let field = table.fields.get(*index)?;
                *index += 1;
                field
            }
            Walk::Chain(NO_FIELD) => return None,
            Walk::Chain(index) => {
                let field = table.field(*index)?;
                *index = field.next;
                field
            }
        };
        Some(self.message.header_of(field))
    }
}

impl Header<'_> {
    /// The value with its folds and other runs of white space as single spaces, appended to `out`.
    pub fn unfold_into(&self, out: &mut Vec<u8>) {
        push_unfolded(out, self.value);
    }
}

/// Appends `value`, each run of white space that holds a fold as one space (RFC 3261 §7.3.1).
//= RFC 3261 §7.3.1: a fold is a space
pub(crate) fn push_unfolded(out: &mut Vec<u8>, value: &[u8]) {
    let mut rest = value;
    while let Some(at) = memchr::memchr2(b'\r', b'\n', rest) {
        let (line, fold) = rest.split_at(at);
        out.extend_from_slice(octet::trim_end(line));
        rest = &fold[octet::skip_lws(fold, 0)..];
        if !rest.is_empty() {
            out.push(b' ');
        }
    }
    out.extend_from_slice(rest);
}
