//! The journal as the shipper sees it: which segments there are, how far each is read and stored, where the records of
//! open calls lie, and what must be copied before a segment may go. Leaves out: the store and the clock.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::io;
use std::path::{Path, PathBuf};

use accounting::Record;
use uuid::Uuid;

use super::ShipperOptions;
use crate::cdrs::{ShipBatch, ShipPart, ShipRecord};
use crate::journal::{
    CARRY_LANE, Journal, JournalOptions, OpenCalls, SegmentHeader, SegmentKey, SegmentReader, Step,
    list_segments, read_header, sync_directory,
};

/// What is read from one lane before another gets its turn.
const ROUND_FRAMES: usize = 64;

/// The shipper's own journal is written out whenever this much waits in it.
const CARRY_BUFFER: usize = 1 << 20;

/// Files open at a time while calls are copied out of a segment.
const CARRY_READERS_MAX: usize = 32;

/// A record of an open call.
#[derive(Clone, Copy, Debug)]
struct Position {
    key: SegmentKey,
    offset: u64,
    len: u64,
}

/// A segment; its file is open only while it is read, so a long backlog takes neither descriptors nor buffers.
#[derive(Debug)]
struct Segment {
    path: PathBuf,
    header: SegmentHeader,
    /// Open between the first frame and the last.
    reader: Option<SegmentReader>,
    /// Up to here everything has been read.
    offset: u64,
    /// Length of the file at the last look.
    len: u64,
    /// Nothing will be added any more, so `len` stays.
    complete: bool,
    /// Last record in the store, once the store has been asked.
    cursor: Option<u64>,
    /// Up to here everything is in the store, or needs not be.
    committed_offset: u64,
    /// Nothing will be added any more, and everything has been read.
    finished: bool,
    /// Can't be read on; kept as it is for the repair at the next start.
    damaged: bool,
    /// Records that this build can't decode, because a newer one wrote them.
    undecodable: u64,
    /// Whether there is a record that this build can decode.
    decoded: bool,
}

impl Segment {
    /// Kept for a newer build without standing in the way: nothing in it means anything here, so no record behind it
    /// overrides one that would be left. With a record of ours among the others, it holds up what is behind it.
    fn is_set_apart(&self) -> bool {
        self.finished && self.undecodable > 0 && !self.decoded
    }

    /// What comes next; opens the file when it is the segment's turn.
    fn next(&mut self) -> io::Result<Step> {
        let reader = match &mut self.reader {
            Some(reader) => reader,
            place => place.insert(SegmentReader::open_at(&self.path, self.offset)?),
        };
        let step = reader.next()?;
        self.offset = reader.offset();
        Ok(step)
    }

    /// Whether nothing more is to be read from it in this run.
    fn is_done(&self) -> bool {
        self.finished || self.damaged
    }

    /// Lets go of file and buffer.
    fn close(&mut self) {
        self.reader = None;
        self.len = self.len.max(self.offset);
    }
}

/// What waits.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Backlog {
    pub(super) bytes: u64,
    pub(super) records: u64,
    pub(super) oldest_us: Option<i64>,
    pub(super) open_calls: u64,
    pub(super) segments: u64,
    pub(super) damaged: u64,
    pub(super) undecodable: u64,
}

#[derive(Debug)]
pub(super) struct Segments {
    directory: PathBuf,
    boot: u32,
    segment_bytes: u64,
    files: BTreeMap<SegmentKey, Segment>,
    open: HashMap<Uuid, Vec<Position>>,
    /// Calls with a copy in a carry segment that no `Settled` follows yet.
    carried: HashSet<Uuid>,
    /// Calls of `carried` whose end has been read.
    to_settle: Vec<Uuid>,
    carry: Journal,
    carry_header: SegmentHeader,
    batch: ShipBatch,
    frames_read: u64,
    bytes_read: u64,
}

impl Segments {
    pub(super) fn new(options: &ShipperOptions) -> io::Result<Self> {
        let carry = Journal::create(JournalOptions {
            directory: options.directory.clone(),
            node: options.node.clone(),
            boot: options.boot,
            lane: CARRY_LANE,
            // Followed by a new one when the shipper says so.
            segment_bytes: u64::MAX,
            buffer_bytes_max: 16 * CARRY_BUFFER,
        })?;
        let carry_header = header_of(&options.directory, carry.key())?;
        Ok(Self {
            directory: options.directory.clone(),
            boot: options.boot,
            segment_bytes: options.segment_bytes,
            files: BTreeMap::new(),
            open: HashMap::new(),
            carried: HashSet::new(),
            to_settle: Vec::new(),
            carry,
            carry_header,
            batch: ShipBatch::default(),
            frames_read: 0,
            bytes_read: 0,
        })
    }

    /// Takes in segments that have appeared. Returns whether the cursor of any is not known yet.
    pub(super) fn discover(&mut self) -> io::Result<bool> {
        for (key, path) in list_segments(&self.directory)? {
            // The shipper knows what it writes itself.
            if self.files.contains_key(&key) || (key.boot == self.boot && key.lane == CARRY_LANE) {
                continue;
            }
            // Without a header yet, it has just been created: next time.
            if let Some((header, offset)) = read_header(&path)? {
                let segment = Segment {
                    path,
                    header,
                    reader: None,
                    offset,
                    len: offset,
                    complete: false,
                    cursor: None,
                    committed_offset: offset,
                    finished: false,
                    damaged: false,
                    undecodable: 0,
                    decoded: false,
                };
                self.files.insert(key, segment);
            }
        }
        self.measure()?;
        Ok(self.files.values().any(|segment| segment.cursor.is_none()))
    }

    /// Asks for the lengths of the files that may have grown.
    fn measure(&mut self) -> io::Result<()> {
        // Looked at from the newest, so that whoever follows a segment was seen before its length is taken for good.
        let mut follower = None;
        for (key, segment) in self.files.iter_mut().rev() {
            if !segment.complete {
                let followed = follower
                    == Some(SegmentKey {
                        number: key.number.wrapping_add(1),
                        ..*key
                    });
                segment.len = std::fs::metadata(&segment.path)?.len();
                segment.complete = key.boot < self.boot || followed;
            }
            follower = Some(*key);
        }
        Ok(())
    }

    pub(super) fn without_cursor(&self) -> Vec<Uuid> {
        self.files
            .values()
            .filter(|segment| segment.cursor.is_none())
            .map(|segment| segment.header.id)
            .collect()
    }

    pub(super) fn set_cursor(&mut self, id: Uuid, cursor: u64) {
        for segment in self
            .files
            .values_mut()
            .filter(|segment| segment.header.id == id)
        {
            segment.cursor = Some(cursor);
        }
    }

    /// The records to store next; the same until [`committed`](Self::committed).
    pub(super) fn batch(&self) -> &ShipBatch {
        &self.batch
    }

    pub(super) fn has_news(&self) -> bool {
        !self.batch.is_empty()
    }

    /// Fills the batch with up to `max` records, unless one waits from a failed try. Older boots are read to their ends
    /// first, since calls go on in newer ones; the lanes of this boot in turns.
    pub(super) fn read(&mut self, max: usize) -> io::Result<()> {
        if self.has_news() {
            return Ok(());
        }
        let keys: Vec<_> = self
            .files
            .iter()
            .filter(|(_, segment)| !segment.is_done())
            .map(|(key, _)| *key)
            .collect();
        let (older, current): (Vec<_>, Vec<_>) =
            keys.into_iter().partition(|key| key.boot < self.boot);
        for key in older {
            while !self.is_done(key) && self.batch.len() < max {
                self.read_some(key, max)?;
            }
            if !self.is_done(key) {
                return Ok(());
            }
        }
        let mut lively = true;
        while lively && self.batch.len() < max {
            lively = false;
            for key in &current {
                let before = SegmentKey {
                    number: key.number.wrapping_sub(1),
                    ..*key
                };
                if self.is_done(before) && !self.is_done(*key) && self.batch.len() < max {
                    lively |= self.read_some(*key, max)?;
                }
            }
        }
        if !self.has_news() {
            self.note_committed();
        }
        Ok(())
    }

    /// Whether nothing more is to be read from a segment, or it is gone.
    fn is_done(&self, key: SegmentKey) -> bool {
        self.files.get(&key).is_none_or(Segment::is_done)
    }

    /// Reads a few frames. Returns whether there were any.
    fn read_some(&mut self, key: SegmentKey, max: usize) -> io::Result<bool> {
        let followed = self.files.contains_key(&SegmentKey {
            number: key.number.wrapping_add(1),
            ..key
        });
        let mut room = max.saturating_sub(self.batch.len());
        let mut any = false;
        for _ in 0..ROUND_FRAMES {
            let Some(segment) = self.files.get_mut(&key) else {
                return Ok(any);
            };
            if room == 0 {
                return Ok(any);
            }
            match segment.next()? {
                Step::Frame {
                    seq,
                    offset,
                    len,
                    record,
                } => {
                    any = true;
                    self.frames_read += 1;
                    self.bytes_read += len;
                    match record {
                        Ok(record) => {
                            segment.decoded = true;
                            if let Some(record) =
                                self.take_in(record, Position { key, offset, len })
                            {
                                room -= usize::from(self.put_in_batch(key, seq, record));
                            }
                        }
                        Err(error) => {
                            // Once for each file: all of its records may be of that kind.
                            if segment.undecodable == 0 {
                                tracing::error!(file = %segment.path.display(), offset, %error,
                                    "journal segment holds records that are not known here; it is kept until a version that knows them runs");
                            }
                            segment.undecodable += 1;
                        }
                    }
                }
                Step::End { partial } => {
                    // A segment is followed by another only when it is whole, and the follower was seen before this end.
                    segment.finished = key.boot < self.boot || (followed && partial == 0);
                    if segment.finished {
                        segment.close();
                    }
                    return Ok(any);
                }
                Step::Bad { offset } => {
                    tracing::error!(file = %segment.path.display(), offset,
                        "journal segment is damaged; the records behind are shipped after the next start");
                    segment.damaged = true;
                    segment.close();
                    return Ok(any);
                }
            }
        }
        Ok(any)
    }

    /// Follows the open calls; returns what has to be stored.
    fn take_in(&mut self, record: Record, position: Position) -> Option<ShipRecord> {
        match record {
            Record::Answered(call) => {
                if position.key.lane == CARRY_LANE {
                    self.carried.insert(call.cdr.cdr_id);
                }
                self.open.entry(call.cdr.cdr_id).or_default().push(position);
                None
            }
            Record::Updated(updated) => {
                self.open
                    .entry(updated.cdr_id)
                    .and_modify(|positions| positions.push(position));
                None
            }
            Record::AttemptEnded { cdr_id, .. } => {
                self.open
                    .entry(cdr_id)
                    .and_modify(|positions| positions.push(position));
                None
            }
            Record::Ended(cdr) => {
                self.open.remove(&cdr.cdr_id);
                if self.carried.remove(&cdr.cdr_id) {
                    self.to_settle.push(cdr.cdr_id);
                }
                Some(ShipRecord::Ended(Box::new(cdr.rated())))
            }
            Record::Settled { cdr_id } => {
                self.open.remove(&cdr_id);
                self.carried.remove(&cdr_id);
                None
            }
            Record::EndedAlone {
                cdr_id,
                node,
                at_us,
                ended_by,
                status,
            } => Some(ShipRecord::EndedAlone {
                cdr_id,
                node,
                at_us,
                ended_by,
                status,
            }),
            Record::Refused(refused) => Some(ShipRecord::Refused(refused)),
        }
    }

    /// Adds a record unless the store has it. Returns whether it was added.
    fn put_in_batch(&mut self, key: SegmentKey, seq: u64, record: ShipRecord) -> bool {
        let Some(segment) = self.files.get(&key) else {
            return false;
        };
        if segment.cursor.is_some_and(|cursor| seq <= cursor) {
            return false;
        }
        let id = segment.header.id;
        let place = self
            .batch
            .parts
            .iter()
            .position(|part| part.segment == id)
            .unwrap_or_else(|| {
                self.batch.parts.push(ShipPart {
                    segment: id,
                    node: segment.header.node.clone(),
                    boot: key.boot,
                    lane: key.lane,
                    number: key.number,
                    end_seq: seq,
                    records: Vec::new(),
                });
                self.batch.parts.len() - 1
            });
        if let Some(part) = self.batch.parts.get_mut(place) {
            part.end_seq = seq;
            part.records.push((seq, record));
        }
        true
    }

    /// The batch is in the store.
    pub(super) fn committed(&mut self) -> io::Result<()> {
        for part in std::mem::take(&mut self.batch).parts {
            self.set_cursor(part.segment, part.end_seq);
        }
        self.note_committed();
        self.settle()
    }

    fn note_committed(&mut self) {
        for segment in self.files.values_mut() {
            segment.committed_offset = segment.offset;
        }
    }

    /// Writes to the shipper's own segment that carried calls have ended.
    fn settle(&mut self) -> io::Result<()> {
        while let Some(cdr_id) = self.to_settle.pop() {
            if self.carry.append(&Record::Settled { cdr_id }).is_err() {
                self.to_settle.push(cdr_id);
                break;
            }
        }
        self.carry.write_out()
    }

    /// Deletes segments that hold nothing new, after copying what is still needed of them. Returns their ids.
    pub(super) fn prune(&mut self) -> io::Result<Vec<Uuid>> {
        let mut deleted = Vec::new();
        while let Some(key) = self.prunable() {
            self.settle()?;
            self.carry_forward(key)?;
            if let Some(segment) = self.files.remove(&key) {
                std::fs::remove_file(&segment.path)?;
                deleted.push(segment.header.id);
            }
            self.end_long_carry()?;
        }
        if !deleted.is_empty() {
            sync_directory(&self.directory)?;
        }
        Ok(deleted)
    }

    /// The next segment that may go: read to its end, all of it known here and in the store, and none older of its
    /// lane or boot left, so that no record ever disappears before one that it overrides.
    fn prunable(&self) -> Option<SegmentKey> {
        let mut in_order = self
            .files
            .iter()
            .filter(|(_, segment)| !segment.is_set_apart())
            .peekable();
        let oldest_boot = in_order.peek()?.0.boot;
        let mut lane_before = None;
        in_order
            .take_while(|(key, _)| key.boot == oldest_boot)
            .find(|(key, segment)| {
                let first_of_lane = lane_before != Some(key.lane);
                lane_before = Some(key.lane);
                first_of_lane
                    && segment.finished
                    && !segment.damaged
                    && segment.undecodable == 0
                    && segment.committed_offset == segment.offset
                    && !self
                        .batch
                        .parts
                        .iter()
                        .any(|part| part.segment == segment.header.id)
            })
            .map(|(key, _)| *key)
    }

    /// Copies the calls that are up and have a record in a segment, with all their updates, and syncs the copy.
    fn carry_forward(&mut self, key: SegmentKey) -> io::Result<()> {
        let mut readers = HashMap::new();
        let mut moved = Vec::new();
        for (id, positions) in &self.open {
            if !positions.iter().any(|position| position.key == key) {
                continue;
            }
            let mut calls = OpenCalls::default();
            for position in positions {
                if readers.len() >= CARRY_READERS_MAX && !readers.contains_key(&position.key) {
                    readers.clear();
                }
                let reader = match readers.entry(position.key) {
                    std::collections::hash_map::Entry::Occupied(reader) => reader.into_mut(),
                    std::collections::hash_map::Entry::Vacant(place) => {
                        place.insert(open_reader(&self.directory, position.key)?)
                    }
                };
                calls.apply(reader.record_at(position.offset)?);
            }
            let mut places = Vec::new();
            for call in calls.into_calls() {
                let offset = self.carry.file_len() + self.carry.waiting_len() as u64;
                self.carried.insert(*id);
                self.carry
                    .append(&Record::Answered(Box::new(call)))
                    .map_err(io::Error::other)?;
                let len = self.carry.file_len() + self.carry.waiting_len() as u64 - offset;
                places.push(Position {
                    key: self.carry.key(),
                    offset,
                    len,
                });
            }
            moved.push((*id, places));
            if self.carry.waiting_len() > CARRY_BUFFER {
                self.carry.write_out()?;
            }
        }
        self.carry.write_out()?;
        self.carry.sync()?;
        for (id, places) in moved {
            if places.is_empty() {
                self.open.remove(&id);
            } else {
                self.open.insert(id, places);
            }
        }
        Ok(())
    }

    /// Starts a new segment of our own when more than half of a long one is dead; the old one is then pruned like any
    /// other, which copies what is alive in it.
    fn end_long_carry(&mut self) -> io::Result<()> {
        if self.carry.file_len() <= self.segment_bytes {
            return Ok(());
        }
        let key = self.carry.key();
        let live: u64 = self
            .open
            .values()
            .flatten()
            .filter(|p| p.key == key)
            .map(|p| p.len)
            .sum();
        if self.carry.file_len() <= self.segment_bytes + 2 * live {
            return Ok(());
        }
        self.carry.write_out()?;
        self.carry.rotate()?;
        let header = std::mem::replace(
            &mut self.carry_header,
            header_of(&self.directory, self.carry.key())?,
        );
        let path = self.directory.join(key.file_name());
        let len = std::fs::metadata(&path)?.len();
        let segment = Segment {
            path,
            header,
            reader: None,
            offset: len,
            len,
            complete: true,
            committed_offset: len,
            cursor: Some(u64::MAX),
            finished: true,
            damaged: false,
            undecodable: 0,
            decoded: true,
        };
        self.files.insert(key, segment);
        Ok(())
    }

    pub(super) fn backlog(&self) -> Backlog {
        let mut backlog = Backlog {
            records: self.batch.len() as u64,
            open_calls: self.open.len() as u64,
            segments: self.files.len() as u64 + 1,
            ..Backlog::default()
        };
        let mean = self
            .bytes_read
            .checked_div(self.frames_read)
            .unwrap_or(0)
            .max(1);
        for segment in self.files.values() {
            backlog.bytes += segment.len.saturating_sub(segment.committed_offset);
            backlog.records += segment.len.saturating_sub(segment.offset).div_ceil(mean);
            backlog.damaged += u64::from(segment.damaged);
            backlog.undecodable += u64::from(segment.undecodable > 0);
        }
        let ends = self
            .batch
            .parts
            .iter()
            .flat_map(|part| &part.records)
            .filter_map(|(_, record)| match record {
                ShipRecord::Ended(cdr) => cdr.end_at,
                ShipRecord::EndedAlone { at_us, .. } => Some(*at_us),
                ShipRecord::Refused(refused) => Some(refused.minute_us),
            });
        backlog.oldest_us = ends.min();
        backlog
    }
}

fn open_reader(directory: &Path, key: SegmentKey) -> io::Result<SegmentReader> {
    SegmentReader::open_at(&directory.join(key.file_name()), 0)
}

fn header_of(directory: &Path, key: SegmentKey) -> io::Result<SegmentHeader> {
    read_header(&directory.join(key.file_name()))?
        .map(|(header, _)| header)
        .ok_or_else(|| {
            io::Error::new(
                io::ErrorKind::InvalidData,
                "a segment just created has no header",
            )
        })
}

#[cfg(test)]
impl Segments {
    /// How many files are open for reading.
    pub(super) fn open_files(&self) -> usize {
        self.files
            .values()
            .filter(|segment| segment.reader.is_some())
            .count()
    }
}
