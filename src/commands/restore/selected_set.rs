//! A set that is here, and what of it is asked for.

use super::job::RestoreJob;
use crate::format::catalog::KeySpan;
use crate::monitor::{Monitor, Recording};
use crate::opening::unlock::{self, Keys};
use crate::restore_journal::awaited;
use crate::restore_journal::identity::SetIdentity;
use crate::restore_journal::set_journal::SetJournal;
use crate::restorer::OpenSet;
use crate::restorer::selected::{self, OtherSets, SelectionSurvey};
use crate::shipment::{FoundSet, RecordIndex};

pub struct SelectedSet<'a> {
    pub set: &'a FoundSet,
    pub keys: &'a Keys,
    pub record_index: &'a RecordIndex,
    /// somebody vouches for its end
    pub vouched: bool,
    /// the shipment's last set
    pub last: bool,
    /// with a selection: what it has of it, if all of that is known
    pub survey: Option<SelectionSurvey>,
    /// sets before it, and after it, can hold what is asked for
    pub others: OtherSets,
}

impl<'a> SelectedSet<'a> {
    /// Looks the selection up.
    pub fn new(
        (set, sets): (&'a FoundSet, &[FoundSet]),
        keys: &'a Keys,
        record_index: &'a RecordIndex,
        job: &RestoreJob,
        monitor: &dyn Monitor,
    ) -> Self {
        let text = set.set_text(&Recording::default());
        let last = text.and_then(|text| text.further_sets()) != Some(true);
        let vouched = unlock::is_vouched(set, sets, &job.expect);
        let (survey, others) = (None, OtherSets::ALL);
        let mut chosen = Self { set, keys, record_index, vouched, last, survey, others };
        if let Some(selection) = &job.selection {
            let open = chosen.open();
            let survey = selected::survey(&open, selection, monitor);
            let alone = last && set.set.0 == 1;
            if !alone && selection.spans() != [KeySpan::all()] {
                chosen.others = selected::others_matter(&open, selection);
            }
            chosen.survey = survey;
        }
        chosen
    }

    pub fn open(&self) -> OpenSet<'a> {
        OpenSet { set: self.set, record_index: self.record_index, keys: self.keys }
    }

    /// Are there records that the drives here do not have? So there may be where these have none at
    /// all.
    pub fn has_gaps(&self) -> bool {
        let absent = self.set.missing_slots().into_iter().collect();
        let is_open = || self.set.set_text(&Recording::default()).is_none();
        let knows_nothing =
            || self.record_index.records() == 0 && self.record_index.may_miss_records(&absent);
        self.record_index.gaps || !absent.is_empty() && is_open() && knows_nothing()
    }

    pub fn identity(&self) -> SetIdentity {
        SetIdentity::of(self.set, self.keys, self.vouched)
    }

    pub fn has_any(&self) -> bool {
        self.survey.as_ref().is_none_or(|survey| survey.counts.entries > 0)
    }
}

/// Can sets that are not here hold what is asked for?
pub fn others_matter(chosen: &[SelectedSet]) -> bool {
    let restored = |chosen: &SelectedSet| {
        let seen =
            SetJournal { further: !chosen.last, others: chosen.others, ..SetJournal::default() };
        (chosen.set.set.0, SetJournal { ended: true, complete: true, ..seen })
    };
    !awaited::awaited(&chosen.iter().map(restored).collect()).is_empty()
}
