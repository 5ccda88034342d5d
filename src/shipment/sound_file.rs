//! A record file of which sound copies lie on the drives.

use crate::drives::Drive;
use crate::format::ids::{Slot, StripeId, StripeNumber, record_path};
use crate::format::list::Hash;
use crate::format::record::{self, MAX_RECORD_FILE_BYTES, RecordFileHeader, StripeRecord};
use crate::format::shown::error_chain;
use std::collections::BTreeMap;
use std::sync::Arc;

/// One record file whose bytes are known to be sound.
pub(super) struct SoundFile {
    pub(super) header: RecordFileHeader,
    /// BLAKE3 of the file
    pub(super) digest: Hash,
    /// where they were found, at least once
    pub(super) copies: Vec<(Arc<dyn Drive>, String)>,
    /// what is remembered of its records
    pub(super) records: Vec<RecordFacts>,
}

/// What is remembered of a record.
pub(super) struct RecordFacts {
    /// of a stripe along: its slot, the stripes of its first and its last member
    pub(super) along: Option<Box<(Slot, StripeId, StripeId)>>,
    pub(super) number: StripeNumber,
}

impl SoundFile {
    /// The same with what is remembered of its records, if that was left out.
    pub(super) fn with_facts(mut self) -> Self {
        if self.records.is_empty()
            && let Ok(bytes) = self.read()
        {
            let records = record::outlines(&self.header, &bytes).flatten();
            self.records = records.map(|record| RecordFacts::of(&record)).collect();
        }
        self
    }

    /// The stripes that it names.
    pub(super) fn stripes(&self) -> impl Iterator<Item = StripeId> + '_ {
        let run = self.header.run;
        self.records.iter().map(move |record| StripeId { run, number: record.number })
    }

    /// Notes the drives that carry it.
    pub(super) fn stray(&self, strays: &mut BTreeMap<String, String>) {
        let path = record_path(self.header.run, self.header.number);
        for (drive, _) in &self.copies {
            strays.entry(drive.name().into()).or_insert_with(|| path.clone());
        }
    }

    /// Reads the same bytes again, from the first copy that still has them.
    pub(super) fn read(&self) -> Result<Vec<u8>, String> {
        self.read_from(0)
    }

    /// The same, from that copy on.
    pub(super) fn read_from(&self, copy: usize) -> Result<Vec<u8>, String> {
        let mut first = None;
        let (before, from) = self.copies.split_at(copy % self.copies.len());
        for (drive, path) in from.iter().chain(before) {
            let problem = match drive.read(path, MAX_RECORD_FILE_BYTES) {
                Ok(bytes) if blake3::hash(&bytes).as_bytes() == &self.digest => return Ok(bytes),
                Ok(_) => format!("{}: {path} reads differently the second time", drive.name()),
                Err(e) => error_chain(&e),
            };
            first.get_or_insert(problem);
        }
        Err(first.unwrap_or_default())
    }
}

impl RecordFacts {
    pub(super) fn of(record: &StripeRecord) -> Self {
        Self { along: along_facts(record), number: record.id.number }
    }
}

fn along_facts(record: &StripeRecord) -> Option<Box<(Slot, StripeId, StripeId)>> {
    let (first, last) = (record.members.first()?, record.members.last()?);
    Some(Box::new((record.shards.first()?.slot, first.stripe, last.stripe)))
}
