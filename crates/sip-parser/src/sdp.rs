//! Session descriptions as a proxy needs them: where media goes, in which formats and directions (RFC 8866).
//! [`Sdp::parse`] visits each octet a fixed number of times and copies none; the views read on demand.
//! Leaves out times, bandwidths, encryption keys and grouping (RFC 8843), which are lines like any other here.

pub(crate) mod connection;
pub(crate) mod media;

use connection::Connection;
use media::{Direction, Media};
use thiserror::Error;

/// A session description that could not be read: what is wrong with it, and where.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("{} at offset {offset}", kind.as_str())]
pub struct SdpError {
    /// What is wrong.
    pub kind: SdpErrorKind,
    /// Octets from the start of the body to the start of the line that is wrong.
    pub offset: usize,
}

/// The closed set of faults of a session description.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SdpErrorKind {
    /// The first line is not `v=0` (§5.1).
    Version,
    /// A line is not a letter, `=` and a value (§5), or holds a CR that is not part of its end.
    Line,
    /// A `c=` line is malformed (§5.7).
    Connection,
    /// An `m=` line is malformed (§5.14).
    Media,
}

impl SdpErrorKind {
    /// The label: lower case with underscores.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Version => "sdp_version",
            Self::Line => "sdp_line",
            Self::Connection => "sdp_connection",
            Self::Media => "sdp_media",
        }
    }
}

/// A session description whose lines are well formed.
#[derive(Clone, Copy, Debug)]
pub struct Sdp<'b> {
    /// The lines up to the first `m=`.
    session: &'b [u8],
    /// The first `m=` line and all that follow.
    descriptions: &'b [u8],
    connection: Option<Connection<'b>>,
    direction: Option<Direction>,
}

impl<'b> Sdp<'b> {
    /// Reads an `application/sdp` body.
    ///
    /// Lines may end with a LF alone (RFC 8866 §5), and lines that are required but not used here may be missing.
    ///
    /// # Errors
    /// The first line that is malformed; see [`SdpErrorKind`].
    pub fn parse(body: &'b [u8]) -> Result<Self, SdpError> {
        let mut sdp = Self {
            session: body,
            descriptions: &[],
            connection: None,
            direction: None,
        };
        let mut rest = body;
        let mut is_first = true;
        let mut in_session = true;
        while let Some((line, after)) = next_line(rest) {
            let offset = body.len() - rest.len();
            let error = |kind| SdpError { kind, offset };
            // An empty line at the end is common; nothing may follow it.
            if line.is_empty() && !is_first && is_blank(after) {
                if in_session {
                    sdp.session = &body[..offset];
                } else {
                    let start = sdp.session.len();
                    sdp.descriptions = &body[start..offset];
                }
                break;
            }
            if is_first && line != b"v=0" {
                return Err(error(SdpErrorKind::Version));
            }
            is_first = false;
            let (letter, value) = split(line).ok_or(error(SdpErrorKind::Line))?;
            match letter {
                b'm' => {
                    if in_session {
                        (sdp.session, sdp.descriptions) = body.split_at(offset);
                        in_session = false;
                    }
                    Media::parse_line(value).ok_or(error(SdpErrorKind::Media))?;
                }
                b'c' => {
                    let connection =
                        Connection::parse(value).ok_or(error(SdpErrorKind::Connection))?;
                    if in_session {
                        sdp.connection = sdp.connection.or(Some(connection));
                    }
                }
                b'a' if in_session => {
                    sdp.direction = sdp.direction.or_else(|| Direction::from_attribute(value));
                }
                _ => {}
            }
            rest = after;
        }
        if is_first {
            let kind = SdpErrorKind::Version;
            return Err(SdpError { kind, offset: 0 });
        }
        Ok(sdp)
    }

    /// The lines of the session part, in order.
    pub fn lines(&self) -> SdpLines<'b> {
        SdpLines { rest: self.session }
    }

    /// The `o=` value: who made the description, and its version (§5.2).
    pub fn origin(&self) -> Option<&'b [u8]> {
        self.lines()
            .find(|line| line.letter == b'o')
            .map(|line| line.value)
    }

    /// The first `c=` of the session part.
    pub fn connection(&self) -> Option<Connection<'b>> {
        self.connection
    }

    /// The direction given for the whole session; `sendrecv` when none is (§6.7).
    pub fn direction(&self) -> Direction {
        self.direction.unwrap_or_default()
    }

    /// The media descriptions, in order.
    pub fn media(&self) -> MediaDescriptions<'b> {
        MediaDescriptions {
            sdp: *self,
            rest: self.descriptions,
        }
    }

    /// Whether any of the media descriptions is [active](Media::is_active).
    pub fn has_active_media(&self) -> bool {
        self.media().any(|media| media.is_active())
    }
}

/// Whether `body` is a session description under which media flows, in one direction at least.
///
/// False too for what is no session description: there is nothing then that could be heard.
pub fn has_active_media(body: &[u8]) -> bool {
    Sdp::parse(body).is_ok_and(|sdp| sdp.has_active_media())
}

/// One line: `letter=value`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SdpLine<'b> {
    /// The type: `v`, `o`, `c`, `m`, `a` …
    pub letter: u8,
    /// What stands behind the `=`, without the line end.
    pub value: &'b [u8],
}

/// Iterator over the lines of one part of a session description.
#[derive(Clone, Debug)]
pub struct SdpLines<'b> {
    pub(crate) rest: &'b [u8],
}

impl<'b> Iterator for SdpLines<'b> {
    type Item = SdpLine<'b>;

    fn next(&mut self) -> Option<SdpLine<'b>> {
        let (line, rest) = next_line(self.rest)?;
        self.rest = rest;
        split(line).map(|(letter, value)| SdpLine { letter, value })
    }
}

/// Iterator over the media descriptions of a session description.
#[derive(Clone, Debug)]
pub struct MediaDescriptions<'b> {
    sdp: Sdp<'b>,
    rest: &'b [u8],
}

impl<'b> Iterator for MediaDescriptions<'b> {
    type Item = Media<'b>;

    fn next(&mut self) -> Option<Media<'b>> {
        let (line, after) = next_line(self.rest)?;
        let (_, value) = split(line)?;
        let end = if after.starts_with(b"m=") {
            0
        } else {
            memchr::memmem::find(after, b"\nm=").map_or(after.len(), |at| at + 1)
        };
        let (lines, rest) = after.split_at(end);
        self.rest = rest;
        Media::new(value, lines, &self.sdp)
    }
}

/// The line at the start of `bytes`, without its end, and what follows; `None` at the end of the description.
fn next_line(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    if bytes.is_empty() {
        return None;
    }
    //= RFC 8866 §5: a line that ends with a LF alone is a line too
    let (line, rest) = match memchr::memchr(b'\n', bytes) {
        Some(end) => (&bytes[..end], &bytes[end + 1..]),
        None => (bytes, &[][..]),
    };
    Some((line.strip_suffix(b"\r").unwrap_or(line), rest))
}

/// The letter and the value of a line; `None` when malformed.
fn split(line: &[u8]) -> Option<(u8, &[u8])> {
    match line {
        [letter @ b'a'..=b'z', b'=', value @ ..] if memchr::memchr(b'\r', value).is_none() => {
            Some((*letter, value))
        }
        _ => None,
    }
}

/// Whether `bytes` are line ends alone.
fn is_blank(bytes: &[u8]) -> bool {
    bytes.iter().all(|octet| matches!(octet, b'\r' | b'\n'))
}

#[cfg(test)]
mod tests;
