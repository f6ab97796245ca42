//! The writing end of one lane, used on its worker: records gather in a buffer, one `write` a turn takes them out.
//! A failing disk is survived: records wait in a bounded buffer and are written when it recovers.
//! Leaves out: syncing to the disk, which never happens on a worker ([`super::JournalSync`]).

use std::fs::File;
use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::Arc;

use accounting::Record;

use super::frame;
use super::segment::{SegmentHeader, SegmentKey};
use super::sync::LaneProgress;
use crate::private;

/// Where and how a lane writes.
#[derive(Clone, Debug)]
pub struct JournalOptions {
    /// The journal directory; must exist and be locked by this process ([`crate::DirectoryLock`]).
    pub directory: PathBuf,
    /// Name of the node, kept in every segment.
    pub node: String,
    /// Generation of this start, from [`super::next_boot`].
    pub boot: u32,
    /// The lane, 0 to 254.
    pub lane: u8,
    /// A segment that has reached this size is followed by a new one.
    pub segment_bytes: u64,
    /// How much may wait in memory while the disk refuses writes; records beyond are lost, counted and reported.
    pub buffer_bytes_max: usize,
}

impl JournalOptions {
    /// Segments of 64 MiB and at most 16 MiB waiting in memory.
    #[must_use]
    pub fn new(directory: PathBuf, node: String, boot: u32, lane: u8) -> Self {
        Self {
            directory,
            node,
            boot,
            lane,
            segment_bytes: 64 << 20,
            buffer_bytes_max: 16 << 20,
        }
    }
}

/// The record was not taken: the disk refuses writes and the buffer is full, or the record is absurdly large.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the journal can't be written and its buffer is full; the record is lost")]
pub struct BufferFull;

/// The journal of one lane.
#[derive(Debug)]
pub struct Journal {
    options: JournalOptions,
    file: Arc<File>,
    file_len: u64,
    number: u32,
    /// Frames not yet written; the first `written` bytes are in the file already (only after a partial write).
    buffer: Vec<u8>,
    written: usize,
    seq: u64,
    progress: Arc<LaneProgress>,
}

/// Buffer capacity that is kept between turns.
const BUFFER_KEEP: usize = 1 << 20;

impl Journal {
    /// Starts the first segment of this lane and boot.
    ///
    /// # Errors
    /// When the file exists already (the boot number was used before) or can't be written.
    pub fn create(options: JournalOptions) -> io::Result<Self> {
        let (file, file_len) = start_segment(&options, 1, 0)?;
        let progress = Arc::new(LaneProgress::new(
            options.lane,
            options.directory.clone(),
            Arc::clone(&file),
        ));
        Ok(Self {
            options,
            file,
            file_len,
            number: 1,
            buffer: Vec::new(),
            written: 0,
            seq: 0,
            progress,
        })
    }

    /// Adds a record to what the next [`write_out`](Self::write_out) takes out. Returns its sequence number in this
    /// lane, starting at 1.
    ///
    /// # Errors
    /// [`BufferFull`] when the disk has refused writes for so long that the buffer is full.
    pub fn append(&mut self, record: &Record) -> Result<u64, BufferFull> {
        let waiting = self.buffer.len() - self.written;
        if waiting >= self.options.buffer_bytes_max
            || !frame::append(&mut self.buffer, self.seq + 1, |out| record.encode(out))
        {
            self.progress.note_lost();
            return Err(BufferFull);
        }
        self.seq += 1;
        Ok(self.seq)
    }

    /// Takes everything appended out of our memory: one `write` in the ordinary case, nothing when nothing was
    /// appended. After it returns `Ok`, a killed process loses none of it.
    ///
    /// # Errors
    /// What the system said. The records stay in the buffer for the next call; the failure is counted and
    /// [`LaneProgress::is_failing`] is true until a call succeeds.
    pub fn write_out(&mut self) -> io::Result<()> {
        if self.buffer.is_empty() {
            return Ok(());
        }
        // Never between the parts of a frame: after a partial write the rest goes to the same file.
        if self.file_len >= self.options.segment_bytes
            && self.written == 0
            && self.rotate().is_err()
        {
            // A longer segment is better than a lost record: go on in the old one, try again next time.
            self.progress.note_write_error();
        }
        while self.written < self.buffer.len() {
            match (&*self.file).write(&self.buffer[self.written..]) {
                Ok(0) => return Err(self.failed(io::ErrorKind::WriteZero.into())),
                Ok(n) => {
                    self.written += n;
                    self.file_len += n as u64;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(self.failed(error)),
            }
        }
        self.buffer.clear();
        self.buffer.shrink_to(BUFFER_KEEP);
        self.written = 0;
        self.progress.note_written(self.seq);
        Ok(())
    }

    fn failed(&mut self, error: io::Error) -> io::Error {
        self.progress.note_write_error();
        self.progress.set_failing(true);
        // What was written is out; drop it so that the bound on the buffer counts what still waits. The first bytes
        // of a half-written frame are gone from the buffer but the file has them, and its rest follows them there.
        if self.written >= BUFFER_KEEP {
            self.buffer.drain(..self.written - 1);
            self.written = 1;
        }
        error
    }

    /// Ends the segment and starts the next one. Nothing may be half-written.
    pub(crate) fn rotate(&mut self) -> io::Result<()> {
        let (file, file_len) = start_segment(&self.options, self.number + 1, self.written_seq())?;
        self.progress.add_file(Arc::clone(&file));
        self.file = file;
        self.file_len = file_len;
        self.number += 1;
        Ok(())
    }

    fn written_seq(&self) -> u64 {
        self.progress.written_seq()
    }

    /// Sequence number of the last record appended; 0 before the first.
    #[must_use]
    pub fn appended_seq(&self) -> u64 {
        self.seq
    }

    /// What other threads may know of this lane.
    #[must_use]
    pub fn progress(&self) -> Arc<LaneProgress> {
        Arc::clone(&self.progress)
    }

    /// Position of the current segment.
    pub(crate) fn key(&self) -> SegmentKey {
        SegmentKey {
            boot: self.options.boot,
            lane: self.options.lane,
            number: self.number,
        }
    }

    /// Length of the current segment, without what waits in the buffer.
    pub(crate) fn file_len(&self) -> u64 {
        self.file_len
    }

    /// Bytes that wait in the buffer.
    pub(crate) fn waiting_len(&self) -> usize {
        self.buffer.len() - self.written
    }

    /// Syncs the current segment on the calling thread (the shipper's own journal has no [`super::JournalSync`]).
    pub(crate) fn sync(&self) -> io::Result<()> {
        self.progress.sync()
    }
}

fn start_segment(
    options: &JournalOptions,
    number: u32,
    seq_before: u64,
) -> io::Result<(Arc<File>, u64)> {
    let key = SegmentKey {
        boot: options.boot,
        lane: options.lane,
        number,
    };
    let path = options.directory.join(key.file_name());
    let header = SegmentHeader::new(&options.node, key, seq_before).to_bytes()?;
    let mut file = private::options()
        .read(true)
        .write(true)
        .create_new(true)
        .open(&path)?;
    if let Err(error) = file.write_all(&header) {
        // Without this the next try would find the name taken.
        let _ = std::fs::remove_file(&path);
        return Err(error);
    }
    Ok((Arc::new(file), header.len() as u64))
}

#[cfg(test)]
mod tests;
