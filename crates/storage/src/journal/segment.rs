//! Segment files: their names, their header, their listing, and the boot counter that lies beside them.
//! `BOOT-LANE-NUMBER.journal`; a header frame with a unique id, then record frames. Leaves out: reading and writing records.

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::frame;
use crate::private;

/// The lane into which the shipper copies what must outlive a pruned segment.
pub(crate) const CARRY_LANE: u8 = 255;

/// First bytes of every segment.
pub(crate) const MAGIC: &[u8; 8] = b"TANDEMJ1";

/// No header is longer: what is longer and has none was no segment that had just been created.
const HEADER_LEN_MAX: usize = 1 << 10;

const EXTENSION: &str = "journal";
const BOOT_FILE: &str = "boot";

/// Where a segment stands. The order is the order of recovery: by boot, the carried records of a boot before its
/// lanes (a lane may hold newer news of a carried call), then by number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct SegmentKey {
    pub(crate) boot: u32,
    pub(crate) lane: u8,
    pub(crate) number: u32,
}

impl SegmentKey {
    fn order(self) -> (u32, bool, u8, u32) {
        (self.boot, self.lane != CARRY_LANE, self.lane, self.number)
    }

    pub(crate) fn file_name(self) -> String {
        format!(
            "{:08}-{:03}-{:06}.{EXTENSION}",
            self.boot, self.lane, self.number
        )
    }

    fn from_file_name(name: &str) -> Option<Self> {
        let mut parts = name.strip_suffix(EXTENSION)?.strip_suffix('.')?.split('-');
        let key = Self {
            boot: parts.next()?.parse().ok()?,
            lane: parts.next()?.parse().ok()?,
            number: parts.next()?.parse().ok()?,
        };
        (parts.next().is_none() && key.file_name() == name).then_some(key)
    }
}

impl Ord for SegmentKey {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.order().cmp(&other.order())
    }
}

impl PartialOrd for SegmentKey {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

/// What a segment says of itself. The id keys the shipping cursor, so neither a renamed node nor a directory made
/// anew can be taken for something that was shipped already.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SegmentHeader {
    pub(crate) id: Uuid,
    pub(crate) node: String,
    pub(crate) boot: u32,
    pub(crate) lane: u8,
    pub(crate) number: u32,
    /// Sequence number of the last record before this segment.
    pub(crate) seq_before: u64,
}

impl SegmentHeader {
    pub(crate) fn new(node: &str, key: SegmentKey, seq_before: u64) -> Self {
        let id = Uuid::from_u128(fastrand::u128(..));
        Self {
            id,
            node: node.to_owned(),
            boot: key.boot,
            lane: key.lane,
            number: key.number,
            seq_before,
        }
    }

    /// Magic and header frame, as they start the file.
    pub(crate) fn to_bytes(&self) -> io::Result<Vec<u8>> {
        let payload = postcard::to_stdvec(self).map_err(io::Error::other)?;
        let mut bytes = MAGIC.to_vec();
        if frame::append(&mut bytes, 0, |out| out.extend_from_slice(&payload)) {
            Ok(bytes)
        } else {
            Err(io::Error::other("segment header too long"))
        }
    }

    /// Whether a file holds the first bytes of a header and nothing else, as a process leaves it that stops while it
    /// creates a segment.
    pub(crate) fn is_cut(bytes: &[u8]) -> bool {
        bytes.len() < HEADER_LEN_MAX
            && match bytes.strip_prefix(MAGIC) {
                Some(rest) => matches!(frame::look(rest), frame::Frame::Short { missing }
                    if bytes.len() + missing <= HEADER_LEN_MAX),
                None => MAGIC.starts_with(bytes),
            }
    }

    /// The header at the start of a file, and its length; `None` when it is damaged or cut.
    pub(crate) fn read(bytes: &[u8]) -> Option<(Self, usize)> {
        let rest = bytes.strip_prefix(MAGIC)?;
        let frame::Frame::Sound {
            seq: 0,
            payload_len,
        } = frame::look(rest)
        else {
            return None;
        };
        let header =
            postcard::from_bytes(rest.get(frame::HEAD_LEN..frame::HEAD_LEN + payload_len)?).ok()?;
        Some((header, MAGIC.len() + frame::HEAD_LEN + payload_len))
    }
}

/// All segments of a directory in the order of recovery; other files are none of its business.
pub(crate) fn list_segments(directory: &Path) -> io::Result<Vec<(SegmentKey, PathBuf)>> {
    let mut segments = Vec::new();
    for entry in std::fs::read_dir(directory)? {
        let path = entry?.path();
        if let Some(key) = path
            .file_name()
            .and_then(|name| name.to_str())
            .and_then(SegmentKey::from_file_name)
        {
            segments.push((key, path));
        }
    }
    segments.sort_unstable_by_key(|(key, _)| *key);
    Ok(segments)
}

/// Makes creations, renames and removals in a directory survive a power cut.
pub(crate) fn sync_directory(directory: &Path) -> io::Result<()> {
    File::open(directory)?.sync_all()
}

/// The generation number of this start: one more than any before in this journal directory, on disk when returned.
///
/// # Errors
/// When the directory can't be created, read or written.
pub fn next_boot(directory: &Path) -> io::Result<u32> {
    private::create_directories(directory)?;
    let path = directory.join(BOOT_FILE);
    let stored = match std::fs::read_to_string(&path) {
        Ok(text) => text.trim().parse().unwrap_or(0),
        Err(error) if error.kind() == io::ErrorKind::NotFound => 0,
        Err(error) => return Err(error),
    };
    // A lost or damaged boot file must not lead to a generation whose segments are there already.
    let seen = list_segments(directory)?
        .iter()
        .map(|(key, _)| key.boot)
        .max()
        .unwrap_or(0);
    let boot = stored.max(seen).wrapping_add(1).max(1);
    let draft = directory.join(format!("{BOOT_FILE}.new"));
    let mut file = private::options()
        .write(true)
        .create(true)
        .truncate(true)
        .open(&draft)?;
    writeln!(file, "{boot}")?;
    file.sync_all()?;
    std::fs::rename(&draft, &path)?;
    sync_directory(directory)?;
    Ok(boot)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_lead_back_to_keys_and_strangers_are_ignored() {
        let key = SegmentKey {
            boot: 12,
            lane: 3,
            number: 4,
        };
        assert_eq!(key.file_name(), "00000012-003-000004.journal");
        assert_eq!(SegmentKey::from_file_name(&key.file_name()), Some(key));
        for name in [
            "tandem.lock",
            "boot",
            "1-2-3.journal",
            "00000012-003-000004.journal.corrupt",
            "00000012-003.journal",
        ] {
            assert_eq!(SegmentKey::from_file_name(name), None, "{name}");
        }
    }

    #[test]
    fn recovery_order_is_by_boot_then_carried_then_lanes() {
        let key = |boot, lane, number| SegmentKey { boot, lane, number };
        let mut keys = [
            key(2, 0, 1),
            key(1, 0, 2),
            key(1, 1, 1),
            key(1, CARRY_LANE, 1),
            key(1, 0, 1),
            key(2, CARRY_LANE, 9),
        ];
        keys.sort_unstable();
        assert_eq!(
            keys,
            [
                key(1, CARRY_LANE, 1),
                key(1, 0, 1),
                key(1, 0, 2),
                key(1, 1, 1),
                key(2, CARRY_LANE, 9),
                key(2, 0, 1)
            ]
        );
    }

    #[test]
    fn a_boot_number_is_never_given_twice_even_if_its_file_is_lost() {
        let directory = tempfile::tempdir().unwrap();
        assert_eq!(next_boot(directory.path()).unwrap(), 1);
        assert_eq!(next_boot(directory.path()).unwrap(), 2);
        std::fs::remove_file(directory.path().join(BOOT_FILE)).unwrap();
        std::fs::write(
            directory.path().join(
                SegmentKey {
                    boot: 7,
                    lane: 0,
                    number: 1,
                }
                .file_name(),
            ),
            "",
        )
        .unwrap();
        assert_eq!(next_boot(directory.path()).unwrap(), 8);
    }

    #[test]
    fn a_header_cut_anywhere_is_no_header() {
        let header = SegmentHeader::new(
            "node",
            SegmentKey {
                boot: 1,
                lane: 2,
                number: 3,
            },
            4,
        );
        let bytes = header.to_bytes().unwrap();
        assert_eq!(SegmentHeader::read(&bytes), Some((header, bytes.len())));
        for cut in 0..bytes.len() {
            assert_eq!(SegmentHeader::read(&bytes[..cut]), None);
            assert!(SegmentHeader::is_cut(&bytes[..cut]), "{cut}");
        }
        assert!(!SegmentHeader::is_cut(&bytes));
        for other in [
            &b"TANDEMX"[..],
            &[0; 40],
            &[b"TANDEMJ1".as_slice(), &[0; 40]].concat(),
        ] {
            assert!(!SegmentHeader::is_cut(other), "{other:?}");
        }
    }
}
