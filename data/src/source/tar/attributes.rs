//! What entries before an entry say of it: a long name, or attributes (pax).

use std::io::Read;

use tar::{Entry, EntryType};

use super::ARCHIVE;
use crate::name::shown;
use crate::refusal::Refusal;

/// Most bytes of such an entry.
const MOST: u64 = 1 << 16;

/// What was said of the next entry.
#[derive(Default)]
pub(super) struct Attributes {
    name: Option<Vec<u8>>,
    size: Option<u64>,
}

impl Attributes {
    /// Takes an entry that only speaks of the next one; false if it is an entry itself.
    pub(super) fn take(&mut self, entry: &mut Entry<'_, impl Read>) -> Result<bool, Refusal> {
        match entry.header().entry_type() {
            EntryType::GNULongName => {
                let mut name = read(entry)?;
                name.truncate(name.iter().position(|byte| *byte == 0).unwrap_or(name.len()));
                self.name = Some(name);
            }
            EntryType::XHeader => {
                let own = entry.header().size().unwrap_or(0);
                let records = read(entry)?;
                self.records(&records, own)?;
            }
            // Where a link leads (it is refused itself), and what holds for all entries.
            EntryType::GNULongLink | EntryType::XGlobalHeader => drop(read(entry)?),
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// Lines of `length key=value`.
    fn records(&mut self, mut records: &[u8], all: u64) -> Result<(), Refusal> {
        while !records.is_empty() {
            let broken = || damaged(format!("{all} bytes of attributes cannot be understood"));
            let blank = records.iter().position(|byte| *byte == b' ').ok_or_else(broken)?;
            let length = std::str::from_utf8(&records[..blank]).ok();
            let length = length.and_then(|length| length.parse::<usize>().ok());
            let record = length.and_then(|length| records.get(blank + 1..length));
            let record = record.and_then(|record| record.strip_suffix(b"\n")).ok_or_else(broken)?;
            let equals = record.iter().position(|byte| *byte == b'=').ok_or_else(broken)?;
            let (key, value) = (&record[..equals], &record[equals + 1..]);
            match key {
                b"path" => self.name = Some(value.to_vec()),
                b"size" => self.size = std::str::from_utf8(value).ok().and_then(|n| n.parse().ok()),
                _ if key.starts_with(b"GNU.sparse") => {
                    let name = self.name.take().unwrap_or_default();
                    return Err(Refusal::Special { name: shown(&name), what: "sparse file" });
                }
                _ => {}
            }
            records = records.get(length.unwrap_or(records.len())..).unwrap_or_default();
        }
        Ok(())
    }

    /// The name of the entry that follows; what was said is forgotten.
    ///
    /// # Errors
    /// - [`Refusal::Damaged`] if it is larger than its own header can tell.
    pub(super) fn name(&mut self, entry: &Entry<'_, impl Read>) -> Result<Vec<u8>, Refusal> {
        let Self { name, size } = std::mem::take(self);
        if size.is_some_and(|size| entry.header().size().ok() != Some(size)) {
            return Err(damaged("a file of 8 GiB or more is not read from a tar".to_owned()));
        }
        Ok(name.unwrap_or_else(|| entry.header().path_bytes().into_owned()))
    }
}

fn read(entry: &mut Entry<'_, impl Read>) -> Result<Vec<u8>, Refusal> {
    let mut bytes = Vec::new();
    let reading = |error| Refusal::reading(ARCHIVE, error);
    entry.take(MOST + 1).read_to_end(&mut bytes).map_err(reading)?;
    if bytes.len() as u64 > MOST {
        return Err(damaged(format!("a name or its attributes are longer than {MOST} bytes")));
    }
    Ok(bytes)
}

fn damaged(reason: String) -> Refusal {
    Refusal::Damaged { place: ARCHIVE.to_owned(), reason }
}
