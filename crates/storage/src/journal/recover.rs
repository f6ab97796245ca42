//! What a start finds in the journal directory: the calls that are up, and damage, which is repaired and reported.
//! A torn tail is cut; bytes damaged in the middle are set aside with a copy of the file, and the records behind them
//! are kept. Nothing found in a file is fatal. Leaves out: shipping, which reads the same files afterwards.

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::ops::Range;
use std::path::{Path, PathBuf};

use accounting::{AnsweredCall, Record};

use super::frame::{self, Frame};
use super::open_calls::OpenCalls;
use super::segment::{SegmentHeader, SegmentKey, list_segments, sync_directory};
use crate::private;

/// The end of a file that was being written when the process or the machine stopped; it was cut off.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TornTail {
    /// The segment.
    pub file: PathBuf,
    /// Where the sound part ends, in bytes.
    pub offset: u64,
    /// How many bytes were cut.
    pub bytes: u64,
}

/// Damage with sound records behind it, or a file that could not be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Damage {
    /// The segment.
    pub file: PathBuf,
    /// Where the damage starts, in bytes.
    pub offset: u64,
    /// How many bytes are not records any more; all of them when nothing sound was found in the file.
    pub bytes: u64,
    /// Records missing between the last sound one before and the first one after, by their numbers.
    pub records_lost: u64,
    /// The file as it was found, for inspection: a copy, or the file itself when nothing sound is in it; `None` when it
    /// could not be copied.
    pub set_aside: Option<PathBuf>,
    /// What the system said, when the file could not be read or repaired.
    pub error: Option<String>,
}

/// What [`recover`] found.
#[derive(Debug, Default)]
pub struct Recovery {
    /// Dialogs that are up, with all updates applied, oldest setup first.
    pub calls: Vec<AnsweredCall>,
    /// Torn tails that were cut.
    pub torn: Vec<TornTail>,
    /// Damage that was set aside.
    pub damaged: Vec<Damage>,
    /// Sound records read.
    pub records: u64,
    /// Sound frames whose record is not known here (written by a newer version); they are kept.
    pub undecodable: u64,
    /// Segment files read.
    pub segments: u64,
}

/// Reads and repairs the journal. To be called once at start, with the directory locked, before any
/// [`super::Journal::create`].
///
/// # Errors
/// Only when the directory can't be listed.
pub fn recover(directory: &Path) -> io::Result<Recovery> {
    let mut recovery = Recovery::default();
    let mut open = OpenCalls::default();
    for (key, path) in list_segments(directory)? {
        recovery.segments += 1;
        if let Err(error) = recover_segment(key, &path, &mut recovery, &mut open) {
            recovery.damaged.push(Damage {
                file: path,
                offset: 0,
                bytes: 0,
                records_lost: 0,
                set_aside: None,
                error: Some(error.to_string()),
            });
        }
    }
    recovery.calls = open.into_calls();
    Ok(recovery)
}

fn recover_segment(
    key: SegmentKey,
    path: &Path,
    recovery: &mut Recovery,
    open: &mut OpenCalls,
) -> io::Result<()> {
    let bytes = std::fs::read(path)?;
    let layout = Layout::of(&bytes);
    for payload in &layout.payloads {
        match Record::decode(&bytes[payload.clone()]) {
            Ok(record) => {
                recovery.records += 1;
                open.apply(record);
            }
            Err(_) => recovery.undecodable += 1,
        }
    }
    if layout.header.is_none() && layout.payloads.is_empty() {
        if SegmentHeader::is_cut(&bytes) {
            // The process stopped before the header was whole, so no record was ever behind it.
            std::fs::remove_file(path)?;
            recovery.torn.push(TornTail {
                file: path.to_owned(),
                offset: 0,
                bytes: bytes.len() as u64,
            });
        } else {
            let set_aside = place_aside(path);
            std::fs::rename(path, &set_aside)?;
            if let Some(directory) = path.parent() {
                sync_directory(directory)?;
            }
            recovery.damaged.push(Damage {
                file: path.to_owned(),
                offset: 0,
                bytes: bytes.len() as u64,
                records_lost: 0,
                set_aside: Some(set_aside),
                error: None,
            });
        }
    } else if layout.gaps.is_empty() {
        if layout.end < bytes.len() {
            let file = OpenOptions::new().write(true).open(path)?;
            file.set_len(layout.end as u64)?;
            file.sync_all()?;
            let (offset, bytes) = (layout.end as u64, (bytes.len() - layout.end) as u64);
            recovery.torn.push(TornTail {
                file: path.to_owned(),
                offset,
                bytes,
            });
        }
    } else {
        let set_aside = place_aside(path);
        let set_aside = copy_private(&bytes, &set_aside)
            .is_ok()
            .then_some(set_aside);
        let error = rewrite(key, path, &bytes, &layout)
            .err()
            .map(|error| error.to_string());
        for (gap, records_lost) in &layout.gaps {
            recovery.damaged.push(Damage {
                file: path.to_owned(),
                offset: gap.start as u64,
                bytes: gap.len() as u64,
                records_lost: *records_lost,
                set_aside: set_aside.clone(),
                error: error.clone(),
            });
        }
    }
    Ok(())
}

/// Where a damaged file is kept: a name that is free, since what was set aside before stays too.
fn place_aside(path: &Path) -> PathBuf {
    let name = |number: u32| {
        let mut name = path.as_os_str().to_owned();
        name.push(".corrupt");
        if number > 1 {
            name.push(format!(".{number}"));
        }
        PathBuf::from(name)
    };
    (1..)
        .map(name)
        .find(|place| !place.exists())
        .unwrap_or_else(|| name(1))
}

fn copy_private(bytes: &[u8], to: &Path) -> io::Result<()> {
    let mut file = private::options().write(true).create_new(true).open(to)?;
    file.write_all(bytes)?;
    file.sync_all()
}

/// What is where in a segment.
struct Layout {
    /// The header and its length.
    header: Option<(SegmentHeader, usize)>,
    /// The payload of every sound frame.
    payloads: Vec<Range<usize>>,
    /// Damaged bytes with a sound frame behind them, and how many records are missing there.
    gaps: Vec<(Range<usize>, u64)>,
    /// Where the last sound frame ends.
    end: usize,
}

impl Layout {
    fn of(bytes: &[u8]) -> Self {
        let header = SegmentHeader::read(bytes);
        let (mut at, mut last_seq) = header
            .as_ref()
            .map_or((0, 0), |(header, len)| (*len, header.seq_before));
        let mut layout = Self {
            header,
            payloads: Vec::new(),
            gaps: Vec::new(),
            end: at,
        };
        while at < bytes.len() {
            if let Frame::Sound { seq, payload_len } = frame::look(&bytes[at..]) {
                let payload = at + frame::HEAD_LEN..at + frame::HEAD_LEN + payload_len;
                at = payload.end;
                last_seq = seq;
                layout.end = at;
                layout.payloads.push(payload);
            } else if let Some((next, seq)) = next_sound(bytes, at + 1, last_seq) {
                // Without a header the numbers before are not known, so neither is what is missing.
                let records_lost = if last_seq == 0 && layout.header.is_none() {
                    0
                } else {
                    seq - last_seq - 1
                };
                layout.gaps.push((at..next, records_lost));
                at = next;
            } else {
                break;
            }
        }
        if layout.header.is_none() && layout.gaps.is_empty() && !layout.payloads.is_empty() {
            layout.gaps.push((0..0, 0));
        }
        layout
    }
}

/// The next sound frame at or after `from` that can follow record `last_seq`, with its number.
fn next_sound(bytes: &[u8], from: usize, last_seq: u64) -> Option<(usize, u64)> {
    (from..bytes.len().saturating_sub(frame::HEAD_LEN)).find_map(|at| {
        // The number first: a checksum over what a random length says is too much to compute at every offset.
        let seq = u64::from_le_bytes(*bytes.get(at + 8..)?.first_chunk()?);
        let plausible = seq > last_seq && (last_seq == 0 || seq - last_seq <= bytes.len() as u64);
        (plausible && matches!(frame::look(&bytes[at..]), Frame::Sound { .. })).then_some((at, seq))
    })
}

/// Replaces a damaged file by one that holds its sound frames alone, whole or not at all.
fn rewrite(key: SegmentKey, path: &Path, bytes: &[u8], layout: &Layout) -> io::Result<()> {
    let draft = path.with_extension("new");
    let mut file = private::options()
        .write(true)
        .create(true)
        .truncate(true)
        .open(&draft)?;
    match &layout.header {
        Some((_, len)) => file.write_all(&bytes[..*len])?,
        None => file.write_all(&SegmentHeader::new("", key, 0).to_bytes()?)?,
    }
    for payload in &layout.payloads {
        file.write_all(&bytes[payload.start - frame::HEAD_LEN..payload.end])?;
    }
    file.sync_all()?;
    std::fs::rename(&draft, path)?;
    path.parent().map_or(Ok(()), sync_directory)
}

#[cfg(test)]
mod tests;
