//! Media descriptions: an `m=` line and the lines that belong to it (RFC 8866 §5.14, §6.6, §6.7, §6.15).
//! What a description leaves out is taken from the session part: connection and direction.
//! Formats are text here, payload numbers included: their meaning depends on the protocol.

use super::connection::Connection;
use super::{Sdp, SdpLine, SdpLines};
use crate::octet;

/// One media description.
#[derive(Clone, Copy, Debug)]
pub struct Media<'b> {
    /// The media type as sent: `audio`, `video`, `image` …
    pub kind: &'b [u8],
    /// The port; 0 means that the medium is refused (RFC 3264 §6).
    pub port: u16,
    /// How many ports, 1 at least.
    pub port_count: u32,
    /// The protocol as sent: `RTP/AVP`, `RTP/SAVP`, `udptl` …
    pub protocol: &'b [u8],
    formats: &'b [u8],
    lines: &'b [u8],
    session_connection: Option<Connection<'b>>,
    session_direction: Direction,
}

/// In which directions media flows, as the sender of the description sees it (RFC 8866 §6.7).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Direction {
    /// Both.
    #[default]
    SendRecv,
    /// It only sends.
    SendOnly,
    /// It only receives.
    RecvOnly,
    /// Neither.
    Inactive,
}

impl Direction {
    /// The direction that an attribute says; `None` when it says something else.
    pub(crate) fn from_attribute(attribute: &[u8]) -> Option<Self> {
        Some(match attribute {
            b"sendrecv" => Self::SendRecv,
            b"sendonly" => Self::SendOnly,
            b"recvonly" => Self::RecvOnly,
            b"inactive" => Self::Inactive,
            _ => return None,
        })
    }
}

/// One attribute: `a=name` or `a=name:value`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attribute<'b> {
    /// The name; names are case-sensitive.
    pub name: &'b [u8],
    /// What stands behind the colon.
    pub value: Option<&'b [u8]>,
}

/// What a payload number stands for: `encoding/clock rate/parameters` (RFC 8866 §6.6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RtpMap<'b> {
    /// The encoding name as sent: `PCMA`, `opus` … compare without regard to case.
    pub encoding: &'b [u8],
    /// The clock rate in Hz.
    pub clock_rate: u32,
    /// The parameters as sent: for audio the number of channels.
    pub parameters: Option<&'b [u8]>,
}

impl<'b> Media<'b> {
    /// Reads what stands behind `m=`; `None` when malformed.
    pub(crate) fn parse_line(value: &'b [u8]) -> Option<Self> {
        let mut words = words(value);
        let (kind, port, protocol) = (words.next()?, words.next()?, words.next()?);
        let (port, count) = match memchr::memchr(b'/', port) {
            None => (port, None),
            Some(slash) => (&port[..slash], Some(&port[slash + 1..])),
        };
        let port = u16::try_from(octet::decimal(port, 65_535)?).ok()?;
        let port_count = match count {
            None => 1,
            Some(count) => octet::decimal(count, u32::MAX).filter(|count| *count > 0)?,
        };
        let formats = words.rest;
        // A refused medium has been seen without formats; nothing is lost by reading it.
        if port != 0 && words.next().is_none() {
            return None;
        }
        Some(Self {
            kind,
            port,
            port_count,
            protocol,
            formats,
            lines: &[],
            session_connection: None,
            session_direction: Direction::default(),
        })
    }

    /// The description that starts with `m=value` and has these lines.
    pub(crate) fn new(value: &'b [u8], lines: &'b [u8], sdp: &Sdp<'b>) -> Option<Self> {
        Some(Self {
            lines,
            session_connection: sdp.connection(),
            session_direction: sdp.direction(),
            ..Self::parse_line(value)?
        })
    }

    /// The formats in order of preference: for RTP, payload numbers.
    pub fn formats(&self) -> Words<'b> {
        words(self.formats)
    }

    /// The lines of the description behind its `m=` line, in order.
    pub fn lines(&self) -> SdpLines<'b> {
        SdpLines { rest: self.lines }
    }

    /// The `c=` lines of the description, in order: several for the layers of an encoding (RFC 8866 §5.7).
    pub fn connections(&self) -> impl Iterator<Item = Connection<'b>> + use<'b> {
        self.lines()
            .filter(|line| line.letter == b'c')
            .filter_map(|line| Connection::parse(line.value))
    }

    /// Where the media is sent to: the first `c=` of the description, else that of the session.
    pub fn connection(&self) -> Option<Connection<'b>> {
        //= RFC 8866 §5.7: the c= of a media description overrides that of the session
        self.connections().next().or(self.session_connection)
    }

    /// The attributes in order.
    pub fn attributes(&self) -> impl Iterator<Item = Attribute<'b>> + use<'b> {
        self.lines()
            .filter(|line| line.letter == b'a')
            .map(|line| attribute(&line))
    }

    /// The direction: of the description, else of the session, else `sendrecv`.
    pub fn direction(&self) -> Direction {
        //= RFC 8866 §6.7: without a direction of its own a medium has that of the session, and without any it is sendrecv
        self.lines()
            .filter(|line| line.letter == b'a')
            .find_map(|line| Direction::from_attribute(line.value))
            .unwrap_or(self.session_direction)
    }

    /// What the payload number `format` stands for, when the description says so.
    pub fn rtpmap(&self, format: &[u8]) -> Option<RtpMap<'b>> {
        let mut parts = self
            .of_format(b"rtpmap", format)?
            .splitn(3, |octet| *octet == b'/');
        Some(RtpMap {
            encoding: parts.next()?,
            clock_rate: octet::decimal(octet::trim(parts.next()?), u32::MAX)?,
            parameters: parts.next(),
        })
    }

    /// The parameters of `format` as sent (RFC 8866 §6.15), when there are any.
    pub fn fmtp(&self, format: &[u8]) -> Option<&'b [u8]> {
        self.of_format(b"fmtp", format)
    }

    /// Whether media flows in one direction at least: the medium is not refused, not inactive and not on hold.
    pub fn is_active(&self) -> bool {
        self.port != 0
            && self.direction() != Direction::Inactive
            && !self.connection().is_some_and(|c| c.is_unspecified())
    }

    /// What stands behind `a=name:format `.
    fn of_format(&self, name: &[u8], format: &[u8]) -> Option<&'b [u8]> {
        self.attributes()
            .filter(|attribute| attribute.name == name)
            .filter_map(|attribute| attribute.value)
            .find_map(|value| value.strip_prefix(format)?.strip_prefix(b" "))
            .map(octet::trim)
    }
}

fn attribute<'b>(line: &SdpLine<'b>) -> Attribute<'b> {
    match memchr::memchr(b':', line.value) {
        None => Attribute {
            name: line.value,
            value: None,
        },
        Some(colon) => Attribute {
            name: &line.value[..colon],
            value: Some(&line.value[colon + 1..]),
        },
    }
}

/// Iterator over words with spaces between them.
#[derive(Clone, Debug)]
pub struct Words<'b> {
    rest: &'b [u8],
}

pub(crate) fn words(text: &[u8]) -> Words<'_> {
    Words { rest: text }
}

impl<'b> Iterator for Words<'b> {
    type Item = &'b [u8];

    fn next(&mut self) -> Option<&'b [u8]> {
        let start = self.rest.iter().position(|octet| *octet != b' ')?;
        let text = &self.rest[start..];
        let end = memchr::memchr(b' ', text).unwrap_or(text.len());
        self.rest = &text[end..];
        Some(&text[..end])
    }
}

#[cfg(test)]
mod tests;
