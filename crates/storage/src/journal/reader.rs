//! Reads the frames of one segment in order, in pieces, also while it is still being written.
//! Leaves out: deciding what damage means ([`super::recover`]).

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

use accounting::{Record, RecordError};

use super::frame::{self, Frame};
use super::segment::SegmentHeader;

/// How much is read at a time.
const CHUNK: usize = 256 << 10;

/// What comes next in a segment.
#[derive(Debug)]
#[expect(
    clippy::large_enum_variant,
    reason = "lives on the stack for one step, and the large one is the common one"
)]
pub(crate) enum Step {
    /// A sound frame at `offset` in the file.
    Frame {
        seq: u64,
        offset: u64,
        len: u64,
        record: Result<Record, RecordError>,
    },
    /// The file ends here; `partial` bytes of what may become a frame are there.
    End { partial: u64 },
    /// What lies at `offset` is no frame.
    Bad { offset: u64 },
}

/// What is read to find the header alone; a longer one (by the name of the node) takes a second read.
const HEADER_CHUNK: usize = 1 << 10;

/// The header of a segment and its length in bytes, without keeping the file open. `Ok(None)` when the header is
/// damaged or not yet written.
pub(crate) fn read_header(path: &Path) -> io::Result<Option<(SegmentHeader, u64)>> {
    let mut reader = SegmentReader::start(path)?;
    reader.fill(HEADER_CHUNK)?;
    if SegmentHeader::read(&reader.buffer).is_none() {
        reader.fill(CHUNK)?;
    }
    Ok(SegmentHeader::read(&reader.buffer).map(|(header, len)| (header, len as u64)))
}

/// A position in a segment.
#[derive(Debug)]
pub(crate) struct SegmentReader {
    file: File,
    /// Bytes of the file from `offset - start` on; those before `start` are consumed.
    buffer: Vec<u8>,
    start: usize,
    offset: u64,
}

impl SegmentReader {
    /// Opens a segment behind its header. `Ok(None)` when the header is damaged or not yet written.
    #[cfg(test)]
    pub(crate) fn open(path: &Path) -> io::Result<Option<(SegmentHeader, Self)>> {
        let mut reader = Self::start(path)?;
        reader.fill(CHUNK)?;
        let Some((header, len)) = SegmentHeader::read(&reader.buffer) else {
            return Ok(None);
        };
        reader.consume(len);
        Ok(Some((header, reader)))
    }

    /// Opens a segment at an offset where a frame starts.
    pub(crate) fn open_at(path: &Path, offset: u64) -> io::Result<Self> {
        let mut reader = Self::start(path)?;
        reader.seek(offset);
        Ok(reader)
    }

    fn start(path: &Path) -> io::Result<Self> {
        Ok(Self {
            file: File::open(path)?,
            buffer: Vec::new(),
            start: 0,
            offset: 0,
        })
    }

    /// File offset of what [`next`](Self::next) looks at.
    pub(crate) fn offset(&self) -> u64 {
        self.offset
    }

    /// Continues at another offset of the file.
    fn seek(&mut self, offset: u64) {
        self.buffer.clear();
        self.start = 0;
        self.offset = offset;
    }

    /// The next frame; on anything but a frame the position stays.
    pub(crate) fn next(&mut self) -> io::Result<Step> {
        loop {
            match frame::look(&self.buffer[self.start..]) {
                Frame::Sound { seq, payload_len } => {
                    let payload = self.start + frame::HEAD_LEN;
                    let record = Record::decode(&self.buffer[payload..payload + payload_len]);
                    let (offset, len) = (self.offset, frame::HEAD_LEN + payload_len);
                    self.consume(len);
                    return Ok(Step::Frame {
                        seq,
                        offset,
                        len: len as u64,
                        record,
                    });
                }
                Frame::Short { missing } => {
                    if self.fill(missing.max(CHUNK))? == 0 {
                        return Ok(Step::End {
                            partial: (self.buffer.len() - self.start) as u64,
                        });
                    }
                }
                Frame::Bad => {
                    // What was read while the writer was at it may have become a frame since.
                    let offset = self.offset;
                    self.seek(offset);
                    self.fill(CHUNK)?;
                    if matches!(frame::look(&self.buffer), Frame::Bad) {
                        return Ok(Step::Bad { offset });
                    }
                }
            }
        }
    }

    /// The record in the frame at an offset where one was seen before.
    pub(crate) fn record_at(&mut self, offset: u64) -> io::Result<Record> {
        self.seek(offset);
        match self.next()? {
            Step::Frame {
                record: Ok(record), ..
            } => Ok(record),
            _ => Err(io::Error::new(
                io::ErrorKind::InvalidData,
                "a record read before can't be read again",
            )),
        }
    }

    fn consume(&mut self, len: usize) {
        self.start += len;
        self.offset += len as u64;
    }

    /// Reads up to `want` more bytes behind the buffer; 0 at the end of the file.
    fn fill(&mut self, want: usize) -> io::Result<usize> {
        self.buffer.drain(..self.start);
        self.start = 0;
        let have = self.buffer.len();
        self.buffer.resize(have + want, 0);
        let read = loop {
            match self
                .file
                .read_at(&mut self.buffer[have..], self.offset + have as u64)
            {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                read => break read,
            }
        };
        self.buffer.truncate(have + *read.as_ref().unwrap_or(&0));
        read
    }
}
