//! Drives that are offered to a person, who says in which case each travels.
//!
//! - Enters: the drives that are there, and what is known of the shipment.
//! - Leaves: a case for each drive, or that it is left out.
//! - Always holds: (1) what is answered is about the drives that were shown, as they still are; (2) a
//!   drive that cannot be packed onto is never proposed; (3) a case that the shipment does not have is
//!   asked about.

use super::answer::{Answer, is_word, understand};
use super::question::{Typed, agrees, answer_while};
use crate::cli::drives::{connection, notes, shown_path};
use crate::cli::output::out;
use crate::cli::sizes::shown_bytes;
use crate::cli::table::{Column, Table};
use crate::cli::text::{shortened, some, verb, wrapped};
use crate::commands::drives::{Attached, of_mounts};
use crate::commands::pack::{Resumable, similar_case};
use crate::drives::detect::MountedDrive;
use crate::drives::{Drive, LocalDrive};
use crate::format::ids::{ShipmentId, set_folder};
use crate::format::layout::HOLDALL;
use crate::format::shown::shown_text;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// Columns of a drive's path, model and case.
const COLUMNS: [usize; 3] = [26, 15, 8];
/// The case of drives of which nothing is known: one for all, so that no more is promised than holds.
const FIRST_CASE: &str = "a";

/// What drives are wanted for.
#[derive(Default)]
pub struct Round {
    /// none: it is begun with these drives
    pub shipment: Option<ShipmentId>,
    /// the dataset, whose disk is not offered
    pub source: PathBuf,
    /// the drives that a set was packed onto just now: they give way
    pub packed: Vec<String>,
    /// the cases of the last set's drives, by slot
    pub last_cases: Vec<String>,
    /// the cases of all sets of the shipment so far
    pub cases: Vec<String>,
    /// the folder of the set that is resumed: its own drives are wanted
    pub resumed: Option<String>,
}

/// What is known of a drive that is offered.
struct Offered {
    /// it is proposed to leave it out
    is_out: bool,
    /// the case that it travelled in before
    case: Option<String>,
    /// it carries the set that is resumed
    is_resumed: bool,
}

impl From<Resumable> for Round {
    fn from(shipment: Resumable) -> Self {
        let Resumable { shipment, source, last_cases, cases, unclosed } = shipment;
        let resumed = unclosed.map(|set| set_folder(shipment, set));
        let packed = Vec::new();
        Self { shipment: Some(shipment), source, packed, last_cases, cases, resumed }
    }
}

impl Round {
    /// Of a shipment that is begun.
    pub fn first(source: &Path) -> Self {
        Self { source: source.into(), ..Self::default() }
    }

    /// Does a drive carry a set of the shipment, other than that which is resumed? What cannot be
    /// read may.
    pub fn is_on(&self, point: &Path) -> bool {
        let Some(shipment) = self.shipment else { return false };
        let names = LocalDrive::open(point).and_then(|drive| drive.list(HOLDALL));
        let of_shipment = format!("{shipment}-");
        let is_other =
            |name: &String| name.starts_with(&of_shipment) && Some(name) != self.resumed.as_ref();
        names.map_or(true, |names| names.iter().any(is_other))
    }

    /// Asks for the cases of these drives, as long as they are the ones that are there.
    pub(super) fn ask(
        &self,
        new: &[MountedDrive],
        left_out: &[MountedDrive],
        still_there: &mut dyn FnMut() -> bool,
    ) -> Answer {
        let drives = of_mounts(new, Some(&self.source));
        let offered: Vec<Offered> = drives.iter().map(|d| self.offered(d, left_out)).collect();
        let proposal = self.proposal(&offered);
        out(if self.packed.is_empty() { "\nAttached drives:\n" } else { "\nNew drives:\n" });
        out(&table(&drives, &offered, proposal.as_deref()));
        out(&carried(&drives));
        out(&notes(&drives));
        if self.cases.is_empty() {
            out("Drives that travel in one suitcase get the same case name.\n");
        }
        let such = match &proposal {
            Some(cases) => {
                let words = cases.iter().map(|case| case.as_deref().unwrap_or("-"));
                format!("yes: {}", words.collect::<Vec<_>>().join(" "))
            }
            None => self.example(new.len()),
        };
        let question = format!(
            "Their cases in this order ({such}), - to leave a drive out, Enter to look again, or \
             stop:"
        );
        let question = format!("{} ", wrapped(&question, "", 78).trim_end());
        let text = match answer_while(&question, still_there) {
            Typed::Line(text) => text,
            Typed::End => return Answer::Stop,
            Typed::Overtaken => return Answer::changed(),
        };
        let answer = understand(&text, new.len(), proposal, &self.cases).unwrap_or_else(|wrong| {
            out(&format!("{wrong}\n"));
            Answer::Again
        });
        if let Answer::Cases(cases) = &answer {
            for case in self.doubtful(cases) {
                if !agrees(&self.question_of(case)) {
                    return Answer::Again;
                }
            }
            if !still_there() {
                return Answer::changed();
            }
        }
        answer
    }

    fn offered(&self, drive: &Attached, left_out: &[MountedDrive]) -> Offered {
        let own = drive.facts().and_then(|facts| {
            facts.sets.iter().find(|set| Some(&set.set) == self.resumed.as_ref())
        });
        let is_left = left_out.iter().any(|out| out.is_same(&drive.mount));
        // What is built in, and was there before anybody spoke of drives, is hardly meant.
        let is_built_in = self.packed.is_empty() && !drive.is_carried();
        Offered {
            is_out: !drive.is_usable() || is_left || is_built_in,
            case: own.map(|set| set.case.clone()).or_else(|| drive.known_case.clone()),
            is_resumed: own.is_some(),
        }
    }

    /// The cases that yes means. Of a set that is resumed, its own drives; else the cases that the
    /// drives travelled in before; else those of the last set, or of all, if there are as many; none
    /// for a drive that is to be left out.
    fn proposal(&self, drives: &[Offered]) -> Option<Vec<Option<String>>> {
        if drives.iter().any(|drive| drive.is_resumed) {
            let own = |drive: &Offered| drive.case.clone().filter(|_| drive.is_resumed);
            return Some(drives.iter().map(own).collect());
        }
        let wanted: Vec<&Offered> = drives.iter().filter(|drive| !drive.is_out).collect();
        let is_known = |case: &&String| self.cases.is_empty() || self.cases.contains(*case);
        let known: Vec<String> =
            wanted.iter().filter_map(|d| d.case.as_ref().filter(is_known).cloned()).collect();
        let mut once = self.last_cases.clone();
        once.sort_unstable();
        once.dedup();
        let is_new = self.cases.is_empty() && known.is_empty();
        let same = vec![FIRST_CASE.to_owned(); if is_new { wanted.len() } else { 0 }];
        let mut cases = [known, self.last_cases.clone(), once, self.cases.clone(), same]
            .into_iter()
            .find(|cases| cases.len() == wanted.len() && !wanted.is_empty())?
            .into_iter();
        Some(drives.iter().map(|drive| if drive.is_out { None } else { cases.next() }).collect())
    }

    /// How an answer for so many drives may look.
    fn example(&self, count: usize) -> String {
        let first = [FIRST_CASE.to_owned()];
        let cases = if self.cases.is_empty() { &first[..] } else { &self.cases };
        let names = cases.iter().cycle().take(count).map(String::as_str);
        format!("such as: {}", names.collect::<Vec<_>>().join(" "))
    }

    /// The cases that the shipment does not have yet, or whose names may be meant for another
    /// answer.
    fn doubtful<'a>(&self, cases: &'a [Option<String>]) -> BTreeSet<&'a String> {
        let doubtful = |case: &&String| {
            !self.cases.is_empty() && (!self.cases.contains(case) || is_word(case))
        };
        cases.iter().flatten().filter(doubtful).collect()
    }

    /// What is asked before a case is begun: a slip would make two of one, and the rule would not
    /// hold.
    fn question_of(&self, case: &str) -> String {
        if self.cases.iter().any(|known| known == case) {
            return format!("The shipment has a case {case}. Do you mean that one?");
        }
        match self.similar(case) {
            Some(known) => format!("The shipment has a case {known}. Is {case} another one?"),
            None => {
                let cases = if self.cases.len() > 1 { "cases" } else { "case" };
                format!("The {cases} so far: {}. Is {case} another one?", self.cases.join(", "))
            }
        }
    }

    /// A case of the shipment whose name differs by the case of letters only.
    fn similar(&self, case: &str) -> Option<&str> {
        similar_case(case, self.cases.iter().map(String::as_str))
    }
}

/// The drives by number, a line each.
fn table(drives: &[Attached], offered: &[Offered], proposal: Option<&[Option<String>]>) -> String {
    let mut table = Table::new(&[
        Column::Right(""),
        Column::Left("drive"),
        Column::Right("free"),
        Column::Left("connection"),
        Column::Left("model"),
        Column::Left("case"),
    ]);
    for (number, drive) in drives.iter().enumerate() {
        let Offered { is_out, case, .. } = &offered[number];
        let unknown = if *is_out { "-" } else { case.as_deref().unwrap_or("?") };
        let case = proposal.map_or(unknown, |cases| cases[number].as_deref().unwrap_or("-"));
        let model = drive.hardware.model.as_deref().unwrap_or_default();
        table.row([
            (number + 1).to_string(),
            shortened(&shown_path(&drive.path), COLUMNS[0]),
            drive.facts().map_or("?".into(), |facts| shown_bytes(facts.room.free_bytes)),
            connection(drive),
            shortened(&shown_text(model), COLUMNS[1]),
            shortened(case, COLUMNS[2]),
        ]);
    }
    table.shown()
}

/// What lies on them already, below the table.
fn carried(drives: &[Attached]) -> String {
    let mut of_count: BTreeMap<usize, Vec<String>> = BTreeMap::new();
    for drive in drives {
        let sets = drive.facts().map_or(0, |facts| facts.sets.len());
        of_count.entry(sets).or_default().push(shown_path(&drive.path));
    }
    of_count.remove(&0);
    let line = |(sets, paths): (usize, Vec<String>)| {
        let verb = verb(paths.len() as u64, "carries", "carry");
        let each = if paths.len() > 1 { " each" } else { "" };
        let sets = some(sets as u64, "set");
        wrapped(&format!("{} {verb} {sets}{each} already.", paths.join(", ")), "", 80)
    };
    of_count.into_iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    /// Drives of which nothing is known; true: it is to be left out.
    fn unknown(is_out: &[bool]) -> Vec<Offered> {
        let drive = |is_out: &bool| Offered { is_out: *is_out, case: None, is_resumed: false };
        is_out.iter().map(drive).collect()
    }

    #[allow(clippy::unnecessary_wraps, reason = "what is compared has it")]
    fn case(name: &str) -> Option<String> {
        Some(name.into())
    }

    fn round(last: &[&str], cases: &[&str]) -> Round {
        let strings = |names: &[&str]| names.iter().map(ToString::to_string).collect();
        Round { last_cases: strings(last), cases: strings(cases), ..Round::default() }
    }

    /// Review A4: a drive can be left out, and the cases of the sets before are proposed.
    #[rstest]
    #[case("\n", Ok(Answer::Again))]
    #[case("stop", Ok(Answer::Stop))]
    #[case("y", Ok(Answer::Cases(vec![Some("a".into()), Some("b".into())])))]
    #[case("- c", Ok(Answer::Cases(vec![None, Some("c".into())])))]
    #[case("a", Err("1 case for 2 drives: name one for each, or - to leave it out."))]
    #[case("a x/y", Err("\"x/y\" is not a name for a case."))]
    fn answers_are_understood(#[case] text: &str, #[case] expected: Result<Answer, &str>) {
        let round = round(&["a", "b"], &["a", "b", "North"]);
        let answer = understand(text, 2, round.proposal(&unknown(&[false; 2])), &round.cases);
        assert_eq!(answer.as_ref().map_err(String::as_str), expected.as_ref().map_err(|e| *e));
        let all = round.cases.iter().cloned().map(Some).collect();
        assert_eq!(round.proposal(&unknown(&[false; 3])), Some(all));
        assert_eq!(round.proposal(&unknown(&[false; 4])), None);
        assert_eq!(round.example(4), "such as: a b North a");
        assert_eq!(round.similar("north"), Some("North"), "a case of any set before");
        assert_eq!((round.similar("A"), round.similar("a")), (Some("a"), None));
        // Yes means none that was left out before, and a case by a slip is asked about.
        let but_the_second = round.proposal(&unknown(&[false, true, false]));
        assert_eq!(but_the_second, Some(vec![case("a"), None, case("b")]));
        assert_eq!(round.proposal(&unknown(&[true])), None);
        assert_eq!(round.doubtful(&[None, case("nroth"), case("b")]), [&"nroth".into()].into());
        let named = Round { cases: vec!["no".into()], ..round };
        assert_eq!(named.doubtful(&[case("no")]).len(), 1);
    }

    /// What is remembered of drives is proposed, as far as the shipment has such cases.
    #[test]
    fn drives_are_proposed_for_the_cases_that_they_travelled_in() {
        let drives = |cases: &[&str]| -> Vec<Offered> {
            let drive = |name: &&str| Offered {
                is_out: *name == "-",
                case: Some((*name).to_owned()).filter(|name| !name.is_empty()),
                is_resumed: false,
            };
            cases.iter().map(drive).collect()
        };
        let first = round(&[], &[]);
        let known = first.proposal(&drives(&["north", "-", "south"]));
        assert_eq!(known, Some(vec![case("north"), None, case("south")]));
        // Nothing is known of any: no more is promised than one case. Of some: a person must say.
        assert_eq!(first.proposal(&drives(&["", ""])), Some(vec![case("a"), case("a")]));
        assert_eq!(first.proposal(&drives(&["north", ""])), None);
        assert!(first.doubtful(&[case("west")]).is_empty(), "the first cases are all new");
        // In a later round, a case of another shipment is none of this one's.
        let later = round(&["x", "y"], &["x", "y"]);
        assert_eq!(later.proposal(&drives(&["y", "x"])), Some(vec![case("y"), case("x")]));
        assert_eq!(later.proposal(&drives(&["north", "x"])), Some(vec![case("x"), case("y")]));
        // Of a set that is resumed, its drives alone.
        let mut resumed = drives(&["y", "north"]);
        resumed[0].is_resumed = true;
        assert_eq!(later.proposal(&resumed), Some(vec![case("y"), None]));
    }
}
