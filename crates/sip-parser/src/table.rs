//! The index of a message: where its lines and their typed parts lie (RFC 3261 §7.3).
//! One table serves any number of messages, one after the other, without allocating again.
//! It holds offsets only; a [`Message`](crate::Message) joins it with the bytes.

use crate::error::{ParseError, ParseErrorKind};
use crate::header::name::{KNOWN_COUNT, KnownHeader};
use crate::header::name_addr::NameAddr;
use crate::header::param::Params;
use crate::header::via::Via;
use crate::limits::Limits;
use crate::span::Span;
use crate::uri::host::Host;

/// No line: the end of a chain.
pub(crate) const NO_FIELD: u16 = u16::MAX;

/// A reusable index of the header fields of one message.
#[derive(Clone, Debug)]
pub struct HeaderTable {
    pub(crate) limits: Limits,
    pub(crate) fields: Vec<Field>,
    /// First and last line of each known header.
    first: [u16; KNOWN_COUNT],
    last: [u16; KNOWN_COUNT],
    /// Where the headers end and the empty line starts.
    pub(crate) headers_end: usize,
    /// Where the body starts.
    pub(crate) body_start: usize,
    pub(crate) start: StartLine,
    pub(crate) top_via: Result<ViaParts, ParseError>,
    pub(crate) from: Result<AddressParts, ParseError>,
    pub(crate) to: Result<AddressParts, ParseError>,
    pub(crate) cseq_number: u32,
    pub(crate) cseq_method: Span,
    pub(crate) max_forwards: Result<Option<u8>, ParseError>,
    pub(crate) content_length: Option<usize>,
}

/// One header line.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Field {
    /// The line with its folds and its CRLF.
    pub(crate) line: Span,
    /// The value without white space around it.
    pub(crate) value: Span,
    /// Length of the name; the name starts the line.
    pub(crate) name_len: u32,
    pub(crate) known: Option<KnownHeader>,
    /// The next line of the same known header.
    pub(crate) next: u16,
}

/// The first line, taken apart.
#[derive(Clone, Copy, Debug)]
pub(crate) struct StartLine {
    /// The method; absent in a response.
    pub(crate) method: Span,
    pub(crate) uri: Span,
    /// Zero in a request.
    pub(crate) status: u16,
    pub(crate) reason: Span,
}

impl StartLine {
    pub(crate) const EMPTY: Self = Self {
        method: Span::NONE,
        uri: Span::NONE,
        status: 0,
        reason: Span::NONE,
    };
}

impl HeaderTable {
    /// An empty table that enforces `limits`.
    pub fn new(limits: Limits) -> Self {
        let absent = ParseError::new(ParseErrorKind::Empty, 0);
        Self {
            limits: limits.clamped(),
            fields: Vec::with_capacity(limits.headers_max.min(64)),
            first: [NO_FIELD; KNOWN_COUNT],
            last: [NO_FIELD; KNOWN_COUNT],
            headers_end: 0,
            body_start: 0,
            start: StartLine::EMPTY,
            top_via: Err(absent),
            from: Err(absent),
            to: Err(absent),
            cseq_number: 0,
            cseq_method: Span::NONE,
            max_forwards: Ok(None),
            content_length: None,
        }
    }

    /// The limits that were given, as far as they can be kept.
    pub fn limits(&self) -> Limits {
        self.limits
    }

    /// Forgets the lines of the message before.
    pub(crate) fn clear(&mut self) {
        self.fields.clear();
        self.first = [NO_FIELD; KNOWN_COUNT];
        self.max_forwards = Ok(None);
        self.content_length = None;
    }

    /// Whether there is room for a line of `len` octets, and it is not too long.
    #[inline]
    pub(crate) fn accepts(&self, len: usize) -> bool {
        self.fields.len() < self.limits.headers_max && len <= self.limits.line_max
    }

    /// Appends a line, of which there are fewer than `Limits::headers_max` yet.
    /// Says whether it repeats a header that may appear once.
    #[inline]
    pub(crate) fn push(&mut self, field: Field) -> bool {
        #[expect(
            clippy::cast_possible_truncation,
            reason = "below Limits::headers_max, which is clamped"
        )]
        let index = self.fields.len() as u16;
        self.fields.push(field);
        let Some(known) = field.known else {
            return false;
        };
        let first = &mut self.first[known.index()];
        if *first != NO_FIELD {
            return self.chain(known, index);
        }
        *first = index;
        self.last[known.index()] = index;
        false
    }

    /// Hangs the line at `index`, not the first of `known`, behind the last one; says whether that may not be.
    #[cold]
    fn chain(&mut self, known: KnownHeader, index: u16) -> bool {
        let last = &mut self.last[known.index()];
        self.fields[usize::from(*last)].next = index;
        *last = index;
        known.is_single()
    }

    #[inline]
    pub(crate) fn first_field(&self, header: KnownHeader) -> u16 {
        self.first[header.index()]
    }

    #[inline]
    pub(crate) fn field(&self, index: u16) -> Option<&Field> {
        self.fields.get(usize::from(index))
    }

    /// The first line of `header`.
    #[inline]
    pub(crate) fn first_of(&self, header: KnownHeader) -> Option<&Field> {
        self.field(self.first_field(header))
    }
}

impl Default for HeaderTable {
    fn default() -> Self {
        Self::new(Limits::default())
    }
}

/// A [`Host`] without its lifetime.
#[derive(Clone, Copy, Debug)]
enum HostParts {
    Name(Span),
    Address(Host<'static>),
}

/// A [`Via`] without its lifetime.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ViaParts {
    version: Span,
    transport: Span,
    host: HostParts,
    port: Option<u16>,
    branch: Span,
    received: Span,
    rport: Option<Option<u16>>,
    maddr: Span,
    ttl: Option<u8>,
    sent_by: Span,
    params: Span,
    value: Span,
}

impl ViaParts {
    #[inline]
    pub(crate) fn of(via: &Via<'_>, whole: &[u8]) -> Self {
        Self {
            version: Span::of(via.version, whole),
            transport: Span::of(via.transport, whole),
            host: match via.host {
                Host::Name(name) => HostParts::Name(Span::of(name, whole)),
                Host::V4(address) => HostParts::Address(Host::V4(address)),
                Host::V6(address) => HostParts::Address(Host::V6(address)),
            },
            port: via.port,
            branch: Span::of_option(via.branch, whole),
            received: Span::of_option(via.received, whole),
            rport: via.rport,
            maddr: Span::of_option(via.maddr, whole),
            ttl: via.ttl,
            sent_by: Span::of(via.sent_by, whole),
            params: Span::of(via.params.as_bytes(), whole),
            value: Span::of(via.value, whole),
        }
    }

    #[inline]
    pub(crate) fn view<'b>(&self, whole: &'b [u8]) -> Via<'b> {
        Via {
            version: self.version.slice(whole),
            transport: self.transport.slice(whole),
            host: match self.host {
                HostParts::Name(name) => Host::Name(name.slice(whole)),
                HostParts::Address(host) => host,
            },
            port: self.port,
            branch: self.branch.slice_option(whole),
            received: self.received.slice_option(whole),
            rport: self.rport,
            maddr: self.maddr.slice_option(whole),
            ttl: self.ttl,
            sent_by: self.sent_by.slice(whole),
            params: Params::new(self.params.slice(whole)),
            value: self.value.slice(whole),
        }
    }
}

/// A [`NameAddr`] without its lifetime.
#[derive(Clone, Copy, Debug)]
pub(crate) struct AddressParts {
    display: Span,
    uri: Span,
    params: Span,
    pub(crate) tag: Span,
    value: Span,
}

impl AddressParts {
    #[inline]
    pub(crate) fn of(address: &NameAddr<'_>, whole: &[u8]) -> Self {
        Self {
            display: Span::of_option(address.display, whole),
            uri: Span::of(address.uri, whole),
            params: Span::of(address.params.as_bytes(), whole),
            tag: Span::of_option(address.tag, whole),
            value: Span::of(address.value, whole),
        }
    }

    #[inline]
    pub(crate) fn view<'b>(&self, whole: &'b [u8]) -> NameAddr<'b> {
        NameAddr {
            display: self.display.slice_option(whole),
            uri: self.uri.slice(whole),
            params: Params::new(self.params.slice(whole)),
            tag: self.tag.slice_option(whole),
            value: self.value.slice(whole),
        }
    }
}
