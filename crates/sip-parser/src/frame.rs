//! Messages out of the octets of a connection, by Content-Length (RFC 3261 §7.5, §18.3), and keep-alives (RFC 5626 §4.4.1).
//! Octets are visited once however they are cut; what is held is at most one message; whole ones are not copied.
//! Connections, their timers and what is answered to a fault belong to their owner; what a message says, to the parser.

use crate::header::name::KnownHeader;
use crate::octet::{self, TOKEN};

/// The bounds that a [`Framer`] enforces, in octets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrameLimits {
    /// Longest head: start line and header fields with the empty line behind them.
    /// Beyond it: [`FrameError::HeadTooLong`].
    pub head_max: usize,
    /// Largest message, body included. Beyond it: [`FrameError::TooLarge`].
    pub size_max: usize,
}

impl Default for FrameLimits {
    fn default() -> Self {
        Self {
            head_max: 32_768,
            size_max: 65_535,
        }
    }
}

/// What stood on the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Frame<'f> {
    /// One whole message for [`parse_datagram`](crate::parse_datagram), from its start line to the end of its body.
    Message(&'f [u8]),
    /// A double CRLF between messages, to be answered at once with a single CRLF.
    Ping,
}

/// Why the octets of a connection can't be cut into messages any more: the connection must be closed.
///
/// Before that, [`salvage`](crate::salvage()) on [`Framer::pending`] says whether there is a request to answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[error("{}", self.as_str())]
pub enum FrameError {
    /// What comes is no start line: its first octet is that of neither a method nor a version.
    StartLine,
    /// A LF without its CR in the head, which another element could read as its end (§7).
    LineEnding,
    /// More octets than `FrameLimits::head_max` without the end of the head.
    HeadTooLong,
    /// No Content-Length, which every message on a stream has (§18.3, §20.14).
    ContentLengthMissing,
    /// More than one Content-Length (§7.3.1).
    ContentLengthRepeated,
    /// A Content-Length that is no number below 2³² (§20.14).
    ContentLength,
    /// More octets than `FrameLimits::size_max`, as announced by Content-Length.
    TooLarge,
}

impl FrameError {
    /// Every error, for counters that are laid out ahead.
    pub const ALL: [Self; 7] = [
        Self::StartLine,
        Self::LineEnding,
        Self::HeadTooLong,
        Self::ContentLengthMissing,
        Self::ContentLengthRepeated,
        Self::ContentLength,
        Self::TooLarge,
    ];

    /// The metric label: lower case with underscores.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::StartLine => "start_line",
            Self::LineEnding => "line_ending",
            Self::HeadTooLong => "head_too_long",
            Self::ContentLengthMissing => "content_length_missing",
            Self::ContentLengthRepeated => "content_length_repeated",
            Self::ContentLength => "content_length",
            Self::TooLarge => "too_large",
        }
    }

    /// The status of the response to a request with this fault: 400 or 513 (§21.5.7).
    pub fn status(self) -> u16 {
        match self {
            Self::HeadTooLong | Self::TooLarge => 513,
            _ => 400,
        }
    }

    /// The reason phrase of that response; RFC 3261 §21.4.1 wants it to name the fault.
    pub fn reason(self) -> &'static str {
        match self {
            Self::StartLine => "Malformed Start Line",
            Self::LineEnding => "Line Not Ended By CRLF",
            Self::HeadTooLong => "Header Fields Too Long",
            Self::ContentLengthMissing => "Missing Content-Length",
            Self::ContentLengthRepeated => "Repeated Content-Length",
            Self::ContentLength => "Invalid Content-Length",
            Self::TooLarge => "Message Too Large",
        }
    }
}

/// Cuts the octets of one connection into messages, in one direction.
///
/// ```
/// # use sip_parser::{Frame, FrameError, FrameLimits, Framer};
/// # fn on_read(framer: &mut Framer, mut read: &[u8]) -> Result<usize, FrameError> {
/// let mut messages = 0;
/// while let Some(frame) = framer.next_frame(&mut read)? {
///     match frame {
///         Frame::Message(_message) => messages += 1,
///         Frame::Ping => { /* write b"\r\n" */ }
///     }
/// }
/// # Ok(messages)
/// # }
/// # let mut framer = Framer::new(FrameLimits::default());
/// # assert_eq!(on_read(&mut framer, b"OPTIONS sip:a SIP/2.0\r\nContent-Len"), Ok(0));
/// # assert_eq!(on_read(&mut framer, b"gth: 0\r\n\r\n"), Ok(1));
/// ```
#[derive(Clone, Debug)]
pub struct Framer {
    limits: FrameLimits,
    /// The message that is not whole yet, or was handed out last.
    held: Vec<u8>,
    stage: Stage,
}

/// | stage | octets | next |
/// |---|---|---|
/// | `Between` | line ends are dropped, four of them make a ping | `Head` |
/// | `Head` | up to the empty line | `Body`, or `Between` when the message was whole in what was read |
/// | `Body` | up to `size` in all | `Given` |
/// | `Given` | the held message was handed out | `Between` |
/// | `Refused` | are dropped | – |
#[derive(Clone, Copy, Debug)]
enum Stage {
    Between {
        /// How much of CR LF CR LF has been seen.
        line_ends: usize,
    },
    Head(Line),
    Body {
        size: usize,
    },
    Given,
    Refused(FrameError),
}

/// The line of a head that octets were seen of, but not its end.
#[derive(Clone, Copy, Debug, Default)]
struct Line {
    length: usize,
    ends_in_cr: bool,
}

/// Memory that is kept for the next message; more is given back.
const KEPT_CAPACITY: usize = 4_096;

impl Framer {
    /// At the start of a connection.
    pub fn new(limits: FrameLimits) -> Self {
        Self {
            limits,
            held: Vec::new(),
            stage: Stage::Between { line_ends: 0 },
        }
    }

    /// Takes octets off the front of `input`; gives the next frame, or `None` when all are taken.
    ///
    /// Call it with what was read until it gives `None`, then read again. After an error it gives that error only.
    ///
    /// # Errors
    /// The connection can't be read any further; see [`FrameError`].
    pub fn next_frame<'f, 'i: 'f>(
        &'f mut self,
        input: &mut &'i [u8],
    ) -> Result<Option<Frame<'f>>, FrameError> {
        loop {
            match self.stage {
                Stage::Given => {
                    self.held.clear();
                    self.held.shrink_to(KEPT_CAPACITY);
                    self.stage = Stage::Between { line_ends: 0 };
                }
                Stage::Between { line_ends } => match self.skip_line_ends(line_ends, input)? {
                    Skipped::Ping => return Ok(Some(Frame::Ping)),
                    Skipped::All => return Ok(None),
                    Skipped::ToStartLine => {}
                },
                Stage::Head(line) => {
                    let Some(head_end) = self.head_end(line, input)? else {
                        return Ok(None);
                    };
                    if self.held.is_empty() {
                        let size = self.size_of(&input[..head_end], input)?;
                        if let Some((message, rest)) = input.split_at_checked(size) {
                            *input = rest;
                            self.stage = Stage::Between { line_ends: 0 };
                            return Ok(Some(Frame::Message(message)));
                        }
                        self.stage = Stage::Body { size };
                    } else {
                        self.hold(head_end, input);
                        let size = self.size_of_held()?;
                        self.stage = Stage::Body { size };
                    }
                }
                Stage::Body { size } => {
                    let wanted = size - self.held.len();
                    self.hold(wanted.min(input.len()), input);
                    if self.held.len() < size {
                        return Ok(None);
                    }
                    self.stage = Stage::Given;
                    return Ok(Some(Frame::Message(&self.held)));
                }
                Stage::Refused(error) => {
                    *input = &[];
                    return Err(error);
                }
            }
        }
    }

    /// The octets of a message that is not whole: what an error is about, or what the end of the connection cut short.
    /// Empty between messages.
    pub fn pending(&self) -> &[u8] {
        match self.stage {
            Stage::Given => &[],
            _ => &self.held,
        }
    }

    /// Whether a message has begun and is not whole: its sender is given a limited time to go on.
    pub fn is_within_message(&self) -> bool {
        matches!(self.stage, Stage::Head(_) | Stage::Body { .. })
    }

    /// Drops line ends in front of a start line, up to a ping.
    fn skip_line_ends(
        &mut self,
        mut line_ends: usize,
        input: &mut &[u8],
    ) -> Result<Skipped, FrameError> {
        const PING: &[u8] = b"\r\n\r\n";
        //= RFC 3261 §7.5: line ends in front of a start line are passed over
        while let Some((octet @ (b'\r' | b'\n'), rest)) = input.split_first() {
            *input = rest;
            line_ends = if *octet == PING[line_ends] {
                line_ends + 1
            } else {
                usize::from(*octet == PING[0])
            };
            //= RFC 5626 §4.4.1: a double CRLF between messages asks for a single one at once
            if line_ends == PING.len() {
                self.stage = Stage::Between { line_ends: 0 };
                return Ok(Skipped::Ping);
            }
        }
        let Some(first) = input.first() else {
            self.stage = Stage::Between { line_ends };
            return Ok(Skipped::All);
        };
        if !octet::is(*first, TOKEN) {
            return Err(self.refuse(FrameError::StartLine, 1, input));
        }
        self.stage = Stage::Head(Line::default());
        Ok(Skipped::ToStartLine)
    }

    /// The end of the head in `input`, behind its empty line; `None` when it is not there and `input` is held.
    fn head_end(&mut self, line: Line, input: &mut &[u8]) -> Result<Option<usize>, FrameError> {
        let room = self.limits.head_max - self.held.len();
        let window = &input[..input.len().min(room)];
        let (mut start, mut before) = (0, line);
        while let Some(length) = memchr::memchr(b'\n', &window[start..]) {
            let end = start + length;
            let has_cr = match length {
                0 => before.ends_in_cr,
                _ => window[end - 1] == b'\r',
            };
            if !has_cr {
                return Err(self.refuse(FrameError::LineEnding, end + 1, input));
            }
            if before.length + length == 1 {
                return Ok(Some(end + 1));
            }
            (start, before) = (end + 1, Line::default());
        }
        if window.len() == room {
            return Err(self.refuse(FrameError::HeadTooLong, room, input));
        }
        let rest = &window[start..];
        self.stage = Stage::Head(Line {
            length: before.length + rest.len(),
            ends_in_cr: rest.last().map_or(before.ends_in_cr, |last| *last == b'\r'),
        });
        self.hold(input.len(), input);
        Ok(None)
    }

    /// The size of the message with this `head`, which stands at the start of `input`.
    fn size_of(&mut self, head: &[u8], input: &mut &[u8]) -> Result<usize, FrameError> {
        message_size(head, self.limits.size_max)
            .map_err(|error| self.refuse(error, head.len(), input))
    }

    /// The size of the message whose head is held.
    fn size_of_held(&mut self) -> Result<usize, FrameError> {
        message_size(&self.held, self.limits.size_max)
            .map_err(|error| self.refuse(error, 0, &mut &[][..]))
    }

    /// Moves `count` octets of `input` to those that are held.
    fn hold(&mut self, count: usize, input: &mut &[u8]) {
        let (taken, rest) = input.split_at(count);
        self.held.extend_from_slice(taken);
        *input = rest;
    }

    /// Ends the reading, with `count` octets of `input` as the last of what is held.
    fn refuse(&mut self, error: FrameError, count: usize, input: &mut &[u8]) -> FrameError {
        self.hold(count, input);
        self.stage = Stage::Refused(error);
        error
    }
}

/// What stopped the passing over of line ends.
enum Skipped {
    Ping,
    ToStartLine,
    All,
}

/// The octets of the message that starts with `head`, which ends with its empty line.
fn message_size(head: &[u8], size_max: usize) -> Result<usize, FrameError> {
    let mut found = None;
    let mut next = line_after(head, 0);
    while next < head.len() {
        let start = next;
        next = line_after(head, start);
        // One octet rules out most lines; a fold starts with a blank.
        if !matches!(head[start], b'c' | b'C' | b'l' | b'L') {
            continue;
        }
        let name_end = octet::run(head, start, TOKEN);
        if KnownHeader::from_name(&head[start..name_end]) != Some(KnownHeader::ContentLength) {
            continue;
        }
        while matches!(head.get(next), Some(b' ' | b'\t')) {
            next = line_after(head, next);
        }
        let blanks = head[name_end..next]
            .iter()
            .take_while(|octet| matches!(octet, b' ' | b'\t'));
        let colon = name_end + blanks.count();
        if head[colon] != b':' {
            return Err(FrameError::ContentLength);
        }
        if found.replace(octet::trim(&head[colon + 1..next])).is_some() {
            return Err(FrameError::ContentLengthRepeated);
        }
    }
    //= RFC 3261 §18.3: on a stream, Content-Length says where the body ends, and must be there
    let value = found.ok_or(FrameError::ContentLengthMissing)?;
    let length = octet::decimal(value, u32::MAX).ok_or(FrameError::ContentLength)?;
    head.len()
        .checked_add(length as usize)
        .filter(|size| *size <= size_max)
        .ok_or(FrameError::TooLarge)
}

/// The start of the line behind the one at `from`.
fn line_after(head: &[u8], from: usize) -> usize {
    memchr::memchr(b'\n', &head[from..]).map_or(head.len(), |length| from + length + 1)
}

#[cfg(test)]
mod tests;
