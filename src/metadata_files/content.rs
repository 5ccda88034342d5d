//! From where the bytes of a metadata file come: made from what counts of the set, or copied from
//! wherever a sound copy lies.

use super::checklist::checklist_line;
use super::expected::{MetadataFile, MetadataFiles, SoundIf};
use crate::format::ids::{Slot, key_path};
use crate::format::label::{Label, MAX_LABEL_BYTES, checked_case};
use crate::format::list::Hash;
use crate::format::metadata_file::MetadataKind;
use crate::format::set::SetText;
use crate::monitor::Monitor;
use crate::shipment::{FoundDrive, FoundSet};

impl MetadataFiles<'_> {
    /// The bytes that a file should have on a drive; none if they are not known or no sound copy is
    /// here, or what lies there is as good as any.
    pub fn bytes(
        &self,
        file: &MetadataFile,
        found: &FoundDrive,
        monitor: &dyn Monitor,
    ) -> Option<Vec<u8>> {
        let copied = |root: &Hash| self.set.sound_copy(&file.path, root);
        match (file.kind, &file.sound) {
            (MetadataKind::Label, _) => self.label(found),
            (MetadataKind::SetText, _) => self.text.map(SetText::encode),
            (_, SoundIf::Root(root)) => copied(root),
            (_, SoundIf::Key(_, key)) => copied(key.right()?),
            (_, SoundIf::NamesKey(run, key)) => {
                Some(checklist_line(key.right()?, &key_path(*run)).into())
            }
            (_, SoundIf::Lists) => Some(self.checklist(found.label.slot, monitor).into()),
            (_, SoundIf::Readable) => None,
        }
    }

    /// What the drive's label should be.
    fn label(&self, found: &FoundDrive) -> Option<Vec<u8>> {
        let own = &found.label;
        let path = format!("{}/label.json", self.set.folder);
        let read = found.drive.read(&path, MAX_LABEL_BYTES).ok();
        let is_own = |bytes: &Vec<u8>| Label::decode(bytes).is_ok_and(|l| l.slot == own.slot);
        if own.slot == Slot(0) || checked_case(&own.case).is_err() {
            return None;
        }
        let line = self.text.and_then(|text| text.slots.iter().find(|s| s.slot == own.slot));
        let Some((line, named)) = line.and_then(|line| Some((line, line.label?))) else {
            // Nothing vouches for it: one that can be read stays.
            return Some(read.filter(is_own).unwrap_or_else(|| own.encode()));
        };
        let is_named = |bytes: &Vec<u8>| blake3::hash(bytes).as_bytes() == &named;
        if let Some(right) = read.clone().filter(is_named) {
            return Some(right);
        }
        let made = made_labels(self.set, own.slot, &line.case, self.text);
        let is_it = |label: &Label| blake3::hash(&label.encode()).as_bytes() == &named;
        let right = made.iter().find(|label| is_it(label)).map(Label::encode);
        // A label that is not what set.txt says is better than none.
        right.or_else(|| (!read.as_ref().is_some_and(is_own)).then(|| own.encode()))
    }
}

/// The labels that a slot may have had, made from each that can be read on the set's drives; those
/// that set.txt names come first, and then what counts of the set. Labels differ in slot and case
/// only, but where somebody altered them.
pub fn made_labels(set: &FoundSet, slot: Slot, case: &str, text: Option<&SetText>) -> Vec<Label> {
    let named =
        text.and_then(|text| text.slots.iter().find(|s| s.slot == slot)).and_then(|s| s.label);
    let mut made: Vec<Label> = Vec::new();
    for copy in set.small_copies("label.json", MAX_LABEL_BYTES) {
        let label = copy.read.ok().and_then(|bytes| Label::decode(&bytes).ok());
        let Some(label) = label.filter(|l| (l.shipment, l.set) == (set.shipment, set.set)) else {
            continue;
        };
        let label = Label { slot, case: case.into(), ..label };
        if !made.contains(&label) {
            made.push(label);
        }
    }
    let common = Label { slot, case: case.into(), ..set.label().clone() };
    let is_named = |label: &Label| Some(*blake3::hash(&label.encode()).as_bytes()) == named;
    made.sort_by_key(|label| (!is_named(label), *label != common));
    made
}
