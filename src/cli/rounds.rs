//! Asking a person for the drives of the next set.
//!
//! Nothing is asked without a terminal: then the command ends, and says what to type.

mod answer;

use super::output::{out, say};
use super::refusal::Refusal;
use super::sizes::shown_bytes;
use super::stop;
use super::ui::Ui;
use crate::commands::pack::similar_case;
use crate::drives::detect::MountedDrive;
use crate::drives::{Drive, LocalDrive, detect};
use crate::format::ids::ShipmentId;
use crate::format::layout::HOLDALL;
use crate::format::shown::shown_text;
use crate::plan::case_path::CasePath;
use answer::{Answer, is_word, understand};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::termios::{QueueSelector, tcflush};
use std::collections::BTreeSet;
use std::io::{self, BufRead, IsTerminal};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

/// How often it is looked for newly mounted drives.
const LOOK: Duration = Duration::from_secs(1);

/// Is there a person to ask?
pub fn can_ask() -> bool {
    io::stdin().is_terminal() && io::stdout().is_terminal()
}

/// Asks a question that is answered with yes or no.
pub fn agrees(question: &str) -> bool {
    loop {
        let Some(typed) = answer(&format!("{question} [y/N] ")) else {
            out("\n"); // the question's line was not ended
            return false;
        };
        match typed.trim().to_lowercase().as_str() {
            "y" | "yes" => return true,
            "n" | "no" | "" => return false,
            _ => out("Type y for yes or n for no.\n"),
        }
    }
}

/// Says what is to be done and asks if it is meant; refused if a person says no, or if there is
/// none to ask.
pub fn confirm(what: &str, question: &str, hint: &str, ui: &Ui) -> Result<(), Refusal> {
    ui.finish();
    if ui.is_json() || !can_ask() {
        return Err(Refusal::usage(format!("{what}; and there is nobody to ask"), hint));
    }
    out(&format!("{}\n", shown_text(what)));
    if agrees(question) { Ok(()) } else { Err(Refusal::declined()) }
}

/// The answer to a question, a line from the terminal; none at its end. What was typed before the
/// question answers nothing.
fn answer(question: &str) -> Option<String> {
    match answer_while(question, &mut || true) {
        Typed::Line(text) => Some(text),
        Typed::End | Typed::Overtaken => None,
    }
}

/// What came of a question.
enum Typed {
    Line(String),
    /// the terminal's end, or an error of it
    End,
    /// what was asked about has changed meanwhile: no line is taken for an answer
    Overtaken,
}

/// The same for a question that stands as long as `holds`, which is looked at while a person thinks
/// and once more when they have typed.
fn answer_while(question: &str, holds: &mut dyn FnMut() -> bool) -> Typed {
    let stdin = io::stdin();
    let _ = tcflush(&stdin, QueueSelector::IFlush); // no terminal: nothing waits
    out(question);
    stop::waiting(|| {
        while !is_typed(&stdin) {
            if !holds() {
                return Typed::Overtaken;
            }
        }
        let mut text = String::new();
        match stdin.lock().read_line(&mut text) {
            Ok(read) if read > 0 => {
                if holds() {
                    Typed::Line(text)
                } else {
                    Typed::Overtaken
                }
            }
            _ => Typed::End,
        }
    })
}

/// Waits a little for a line; an end or an error is one too, for the reading to find.
fn is_typed(stdin: &io::Stdin) -> bool {
    let wait = Timespec::try_from(LOOK).ok();
    match poll(&mut [PollFd::new(stdin, PollFlags::IN)], wait.as_ref()) {
        Ok(count) => count > 0,
        Err(error) => error != Errno::INTR,
    }
}

/// The set whose drives give way to the next ones.
pub struct Round {
    pub shipment: ShipmentId,
    /// case and path of its drives, by slot
    pub drives: Vec<(String, String)>,
    /// the cases of all sets of the shipment so far
    pub cases: Vec<String>,
}

/// Drives that were left out at a question, or chosen in vain: later ones ask for them again.
#[derive(Default)]
pub struct LeftOut(Vec<MountedDrive>);

impl LeftOut {
    /// No set can be packed on these drives alone: they are asked about again.
    pub fn offer_again(&mut self, drives: &[CasePath]) {
        let is_one = |d: &MountedDrive| drives.iter().any(|drive| drive.path == d.point);
        self.0.extend(detect::mounted_drives().into_iter().filter(is_one));
    }
}

/// Waits until the drives of the next set are mounted, and asks in which cases they go. None if
/// there is nobody to ask, or the answer is to stop.
pub fn next_drives(round: &Round, left_out: &mut LeftOut, ui: &Ui) -> Option<Vec<CasePath>> {
    if ui.is_json() || !can_ask() {
        return None;
    }
    // Mount points are told whole, and drives as they were typed.
    let whole = |(_, path): &(String, String)| std::fs::canonicalize(path).ok();
    let packed: Vec<PathBuf> = round.drives.iter().filter_map(whole).collect();
    let before = std::mem::take(&mut left_out.0);
    let mut attached = Attached::new(detect::mounted_drives(), &packed, &before);
    let mut carriers = Carriers::new(detect::mounted_drives());
    out("\nOr attach the next drives now: they are noticed. Ctrl-C ends here; nothing is lost.\n");
    loop {
        let mut look = || attached.new_ones(detect::mounted_drives(), &|point| round.is_on(point));
        let new = look();
        if new.is_empty() {
            if ui.monitor().should_stop() {
                say("\nstopped"); // the terminal shows ^C
                return None;
            }
            for point in carriers.that_came(detect::mounted_drives(), &|point| round.is_on(point)) {
                let point = shown_text(&point.display().to_string()).into_owned();
                out(&format!("{point} carries a set of this shipment already: attach another.\n"));
            }
            thread::sleep(LOOK);
            continue;
        }
        match round.ask(&new, &before, &mut || look() == new) {
            Answer::Stop => return None,
            Answer::Again => {}
            Answer::Cases(cases) => {
                let mut chosen = Vec::new();
                for (drive, case) in new.into_iter().zip(cases) {
                    match case {
                        Some(case) => chosen.push(CasePath { case, path: drive.point }),
                        None => {
                            left_out.0.push(drive.clone());
                            attached.left_alone.push(drive);
                        }
                    }
                }
                if !chosen.is_empty() {
                    return Some(chosen);
                }
            }
        }
    }
}

/// What is mounted while the next drives are awaited.
struct Attached {
    /// what was there before, or was left out, and still is there
    left_alone: Vec<MountedDrive>,
}

impl Attached {
    /// What is there is left alone, but for what an earlier round left out. Where the drives of the
    /// packed set were, another may have come already: what lies on it decides.
    fn new(now: Vec<MountedDrive>, packed: &[PathBuf], left_out: &[MountedDrive]) -> Self {
        let mut left_alone = now;
        left_alone
            .retain(|d| !packed.contains(&d.point) && !left_out.iter().any(|out| out.is_same(d)));
        Self { left_alone }
    }

    /// The drives that are not left alone. One that is gone is forgotten: it is new when it comes
    /// back, and so is another at its place.
    fn new_ones(
        &mut self,
        now: Vec<MountedDrive>,
        carries_the_set: &dyn Fn(&Path) -> bool,
    ) -> Vec<MountedDrive> {
        self.left_alone.retain(|drive| now.iter().any(|there| there.is_same(drive)));
        let mut new = now;
        new.retain(|drive| {
            let is_left = self.left_alone.iter().any(|left| left.is_same(drive));
            !is_left && !carries_the_set(&drive.point)
        });
        new
    }
}

/// Drives of the shipment that come back while other ones are awaited.
struct Carriers(Vec<MountedDrive>);

impl Carriers {
    /// Those that are there have not come.
    fn new(now: Vec<MountedDrive>) -> Self {
        Self(now)
    }

    /// Where those lie that carry a set and were not there at the last look.
    fn that_came(
        &mut self,
        now: Vec<MountedDrive>,
        carries_a_set: &dyn Fn(&Path) -> bool,
    ) -> Vec<PathBuf> {
        let was_there = |drive: &&MountedDrive| self.0.iter().any(|before| before.is_same(drive));
        let came = now.iter().filter(|drive| !was_there(drive) && carries_a_set(&drive.point));
        let came = came.map(|drive| drive.point.clone()).collect();
        self.0 = now;
        came
    }
}

impl Round {
    /// Does a drive carry a set of the shipment? What cannot be read may.
    fn is_on(&self, point: &Path) -> bool {
        let names = LocalDrive::open(point).and_then(|drive| drive.list(HOLDALL));
        let of_shipment = format!("{}-", self.shipment);
        names.map_or(true, |names| names.iter().any(|name| name.starts_with(&of_shipment)))
    }

    /// The cases of new drives, if the packed set had as many drives or cases, or all sets together
    /// had as many cases; none for a drive that was left out before.
    fn proposal(&self, left_out: &[bool]) -> Option<Vec<Option<String>>> {
        let each: Vec<String> = self.drives.iter().map(|(case, _)| case.clone()).collect();
        let mut once = each.clone();
        once.sort_unstable();
        once.dedup();
        let count = left_out.iter().filter(|is_out| !**is_out).count();
        let mut cases = [each, once, self.cases.clone()]
            .into_iter()
            .find(|cases| cases.len() == count && count > 0)?
            .into_iter();
        Some(left_out.iter().map(|is_out| if *is_out { None } else { cases.next() }).collect())
    }

    /// How an answer for so many drives may look.
    fn example(&self, count: usize) -> String {
        let names = self.cases.iter().cycle().take(count).map(String::as_str);
        format!("such as: {}", names.collect::<Vec<_>>().join(" "))
    }

    /// Asks for the cases of new drives, as long as they are the ones that are there.
    fn ask(
        &self,
        new: &[MountedDrive],
        left_out: &[MountedDrive],
        still_there: &mut dyn FnMut() -> bool,
    ) -> Answer {
        out("\nNew drives:\n");
        for (number, drive) in new.iter().enumerate() {
            let room = LocalDrive::open(&drive.point).and_then(|drive| drive.room());
            let free = room.map_or_else(
                |e| e.to_string(),
                |r| format!("{} of {} free", shown_bytes(r.free_bytes), shown_bytes(r.total_bytes)),
            );
            let point = drive.point.display().to_string();
            out(&format!("  {}  {}  {free}\n", number + 1, shown_text(&point)));
        }
        let is_out = |drive: &MountedDrive| left_out.iter().any(|out| out.is_same(drive));
        let proposal = self.proposal(&new.iter().map(is_out).collect::<Vec<_>>());
        let such = match &proposal {
            Some(cases) => {
                let words = cases.iter().map(|case| case.as_deref().unwrap_or("-"));
                format!("yes: {}", words.collect::<Vec<_>>().join(" "))
            }
            None => self.example(new.len()),
        };
        let question = format!(
            "Their cases in this order ({such}), - to leave a drive out, Enter to look again, or \
             stop: "
        );
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

    /// The cases that the shipment does not have yet, or whose names may be meant for another
    /// answer.
    fn doubtful<'a>(&self, cases: &'a [Option<String>]) -> BTreeSet<&'a String> {
        let doubtful = |case: &&String| !self.cases.contains(case) || is_word(case);
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

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    fn mount(point: &str, number: u64) -> MountedDrive {
        let numbers = (number, format!("8:{number}").into());
        MountedDrive {
            point: point.into(),
            numbers,
            identity: (None, Some(number)),
            file_system: "ext4".into(),
            source: Vec::new(),
        }
    }

    fn points(drives: &[MountedDrive]) -> Vec<&str> {
        drives.iter().map(|drive| drive.point.to_str().unwrap()).collect()
    }

    /// Review A4, scale 4: six drives of one make come up at one mount point, one after another.
    #[test]
    fn another_drive_at_the_same_mount_point_is_noticed() {
        let (disk, backup) = (mount("/", 1), mount("/mnt/backup", 2));
        let (a, b) = (mount("/m/T7", 3), mount("/m/T7 1", 4));
        let before = vec![disk.clone(), backup.clone(), a.clone(), b.clone()];
        let packed = [a.point.clone(), b.point.clone()];
        let attached = || Attached::new(before.clone(), &packed, &[]);
        let all = |_: &Path| true;
        let both = |p: &Path| p.starts_with("/m");
        assert!(attached().new_ones(before.clone(), &both).is_empty(), "they stay");
        let gone = vec![disk.clone(), backup.clone(), b.clone()];
        assert!(attached().new_ones(gone, &all).is_empty());
        // The same place, and the same numbers too; only what lies on it differs. The other stays.
        let carries_b = |p: &Path| p == b.point;
        assert_eq!(points(&attached().new_ones(before.clone(), &carries_b)), ["/m/T7"]);
        // A drive at a place of its own, and one that carries an earlier set of the shipment.
        let now = [before.clone(), vec![mount("/m/T7 2", 5)]].concat();
        let mut left = attached();
        left.left_alone.push(a.clone());
        assert_eq!(points(&left.new_ones(now.clone(), &carries_b)), ["/m/T7 2"]);
        assert!(attached().new_ones(now, &all).is_empty());
    }

    /// A drive of the shipment that comes back is told once; those that never left are not.
    #[test]
    fn a_drive_that_comes_back_is_told() {
        let (a, b) = (mount("/m/a", 1), mount("/m/b", 2));
        let is_a = |point: &Path| point == a.point;
        let mut carriers = Carriers::new(vec![a.clone()]);
        assert!(carriers.that_came(vec![a.clone()], &is_a).is_empty());
        assert!(carriers.that_came(vec![], &is_a).is_empty());
        let both = vec![a.clone(), b];
        assert_eq!(carriers.that_came(both.clone(), &is_a), std::slice::from_ref(&a.point));
        assert!(carriers.that_came(both, &is_a).is_empty());
    }

    /// A drive that was left out hides no other that has its place and its numbers, and is offered
    /// again in the next round.
    #[test]
    fn a_drive_that_is_left_out_hides_no_other() {
        let none = |_: &Path| false;
        let x = mount("/m/T7", 3);
        let mut y = x.clone();
        y.identity = (None, Some(9));
        let (only_x, only_y) = ([x.clone()], [y]);
        let mut attached = Attached::new(Vec::new(), &[], &[]);
        assert_eq!(attached.new_ones(only_x.to_vec(), &none), only_x);
        attached.left_alone.push(x.clone());
        assert!(attached.new_ones(only_x.to_vec(), &none).is_empty());
        assert_eq!(attached.new_ones(only_y.to_vec(), &none), only_y);
        assert_eq!(attached.new_ones(only_x.to_vec(), &none), only_x, "it came back");
        // One that is dying, and does not say what it is, is no new one.
        let mut dying = x.clone();
        dying.identity = (None, None);
        attached.left_alone.push(x);
        assert!(attached.new_ones(vec![dying], &none).is_empty());
        let now = [vec![mount("/", 1)], only_x.to_vec()].concat();
        let mut next = Attached::new(now.clone(), &[], &only_x);
        assert_eq!(next.new_ones(now, &none), only_x);
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
        let drives = ["a", "b"].map(|case| (case.into(), String::new())).into();
        let cases = ["a", "b", "North"].map(String::from).into();
        let round = Round { shipment: ShipmentId(1), drives, cases };
        let answer = understand(text, 2, round.proposal(&[false; 2]), &round.cases);
        assert_eq!(answer.as_ref().map_err(String::as_str), expected.as_ref().map_err(|e| *e));
        let all = round.cases.iter().cloned().map(Some).collect();
        assert_eq!((round.proposal(&[false; 3]), round.proposal(&[false; 4])), (Some(all), None));
        assert_eq!(round.example(4), "such as: a b North a");
        assert_eq!(round.similar("north"), Some("North"), "a case of any set before");
        assert_eq!((round.similar("A"), round.similar("a")), (Some("a"), None));
        // Yes means none that was left out before, and a case by a slip is asked about.
        let [a, b] = ["a", "b"].map(|case| Some(case.into()));
        assert_eq!(round.proposal(&[false, true, false]), Some(vec![a, None, b]));
        assert_eq!(round.proposal(&[true]), None);
        assert_eq!(
            round.doubtful(&[None, Some("nroth".into()), Some("b".into())]),
            [&"nroth".into()].into()
        );
        let named = Round { cases: vec!["no".into()], ..round };
        assert_eq!(named.doubtful(&[Some("no".into())]).len(), 1);
    }
}
