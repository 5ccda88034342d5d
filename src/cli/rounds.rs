//! Asking a person for the drives of the next set.
//!
//! Nothing is asked without a terminal: then the command ends, and says what to type.

use super::face::Face;
use super::json::out;
use super::run::Refusal;
use super::show::some;
use super::shown_text;
use super::sizes::shown_bytes;
use super::stop;
use crate::drives::detect::MountedDrive;
use crate::drives::{Drive, LocalDrive, detect};
use crate::format::ids::ShipmentId;
use crate::format::label::checked_case;
use crate::sets::open::HOLDALL;
use crate::verbs::pack::similar_case;
use rustix::termios::{QueueSelector, tcflush};
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
    let typed = answer(&format!("{question} [y/N] "));
    matches!(typed.as_deref().map(str::trim), Some("y" | "Y" | "yes"))
}

/// Says what is to be done and asks if it is meant; refused if a person says no, or if there is none
/// to ask.
pub fn confirm(what: &str, question: &str, hint: &str, face: &Face) -> Result<(), Refusal> {
    face.finish();
    if face.is_json() || !can_ask() {
        return Err(Refusal::usage(format!("{what}; and there is nobody to ask"), hint));
    }
    out(&format!("{}\n", shown_text(what)));
    if agrees(question) { Ok(()) } else { Err(Refusal::declined()) }
}

/// The answer to a question, a line from the terminal; none at its end. What was typed before the
/// question answers nothing.
fn answer(question: &str) -> Option<String> {
    let _ = tcflush(io::stdin(), QueueSelector::IFlush); // no terminal: nothing waits
    out(question);
    let mut text = String::new();
    let read = stop::waiting(|| io::stdin().lock().read_line(&mut text)).ok()?;
    (read > 0).then_some(text)
}

/// The set whose drives give way to the next ones.
pub struct Round {
    /// the shipment
    pub shipment: ShipmentId,
    /// case and path of its drives, by slot
    pub drives: Vec<(String, String)>,
}

/// Waits until the drives of the next set are mounted, and asks in which cases they go. None if there
/// is nobody to ask, or the answer is to stop.
pub fn next_drives(round: &Round, face: &Face) -> Option<Vec<(String, PathBuf)>> {
    if face.is_json() || !can_ask() {
        return None;
    }
    // Mount points are told whole, and drives as they were typed.
    let whole = |(_, path): &(String, String)| std::fs::canonicalize(path).ok();
    let packed = round.drives.iter().filter_map(whole).collect();
    let mut attached = Attached { left_alone: detect::mounted_drives(), packed };
    out("\nOr attach the next drives now: they are noticed. Ctrl-C ends here; nothing is lost.\n");
    loop {
        let new = attached.new_ones(detect::mounted_drives(), &|point| round.is_on(point));
        if new.is_empty() {
            if face.monitor().should_stop() {
                return None;
            }
            thread::sleep(LOOK);
            continue;
        }
        match round.ask(&new) {
            Answer::Stop => return None,
            Answer::Again => {}
            Answer::Cases(cases) => {
                let chosen = new.iter().zip(cases);
                attached.left_alone.extend(
                    chosen.clone().filter(|(_, case)| case.is_none()).map(|(d, _)| d.clone()),
                );
                let chosen = chosen.filter_map(|(drive, case)| Some((case?, drive.point.clone())));
                let chosen: Vec<_> = chosen.collect();
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
    /// where the drives of the packed set were
    packed: Vec<PathBuf>,
}

impl Attached {
    /// The drives that were not here before. Mount points and numbers come back with another drive,
    /// so where the packed set was and is no more, there is a new one.
    fn new_ones(
        &mut self,
        now: Vec<MountedDrive>,
        carries_the_set: &dyn Fn(&Path) -> bool,
    ) -> Vec<MountedDrive> {
        self.left_alone.retain(|drive| now.contains(drive));
        let mut new = now;
        new.retain(|drive| {
            let known = self.left_alone.contains(drive);
            (!known || self.packed.contains(&drive.point)) && !carries_the_set(&drive.point)
        });
        // Left out at the question, it stays so, although the packed set was there.
        self.packed.retain(|point| !new.iter().any(|drive| drive.point == *point));
        self.left_alone.retain(|drive| !new.contains(drive));
        new
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Answer {
    /// the case of each drive; none: it is left out
    Cases(Vec<Option<String>>),
    Again,
    Stop,
}

impl Round {
    /// Does a drive carry a set of the shipment? What cannot be read may.
    fn is_on(&self, point: &Path) -> bool {
        let names = LocalDrive::open(point).and_then(|drive| drive.list(HOLDALL));
        let of_shipment = format!("{}-", self.shipment);
        names.map_or(true, |names| names.iter().any(|name| name.starts_with(&of_shipment)))
    }

    /// The cases of so many drives, if the packed set had as many drives or cases.
    fn proposal(&self, count: usize) -> Option<Vec<String>> {
        let mut cases: Vec<String> = self.drives.iter().map(|(case, _)| case.clone()).collect();
        if cases.len() != count {
            cases.sort_unstable();
            cases.dedup();
        }
        (cases.len() == count).then_some(cases)
    }

    fn ask(&self, new: &[MountedDrive]) -> Answer {
        out("\nNew drives:\n");
        for (number, drive) in new.iter().enumerate() {
            let room = LocalDrive::open(&drive.point).and_then(|drive| drive.room());
            let free = room.map_or_else(|e| e.to_string(), |r| shown_bytes(r.free_bytes) + " free");
            let point = drive.point.display().to_string();
            out(&format!("  {}  {}  {free}\n", number + 1, shown_text(&point)));
        }
        let proposal = self.proposal(new.len());
        let such = proposal
            .as_ref()
            .map_or_else(|| "such as: a b c".into(), |cases| format!("yes: {}", cases.join(" ")));
        let question = format!(
            "Their cases in this order ({such}), - to leave a drive out, Enter to look again, or \
             stop: "
        );
        let Some(text) = answer(&question) else { return Answer::Stop };
        let answer = understand(&text, new.len(), proposal).unwrap_or_else(|wrong| {
            out(&format!("{wrong}\n"));
            Answer::Again
        });
        if let Answer::Cases(cases) = &answer {
            for case in cases.iter().flatten() {
                if let Some(known) = self.similar(case)
                    && !agrees(&format!("The shipment has a case {known}. Is {case} another one?"))
                {
                    return Answer::Again;
                }
            }
        }
        answer
    }

    /// A case of the packed set whose name differs by the case of letters only.
    fn similar(&self, case: &str) -> Option<&str> {
        let known = self.drives.iter().map(|(known, _)| known.as_str());
        similar_case(case, known)
    }
}

/// What was typed for so many drives; fails with what is wrong with it.
fn understand(text: &str, count: usize, proposal: Option<Vec<String>>) -> Result<Answer, String> {
    let words: Vec<&str> = text.split_whitespace().collect();
    match (&words[..], proposal) {
        ([], _) => Ok(Answer::Again),
        (["stop"], _) => Ok(Answer::Stop),
        (["y" | "yes"], Some(cases)) => Ok(Answer::Cases(cases.into_iter().map(Some).collect())),
        (words, _) if words.len() == count => {
            let case = |word: &&str| match *word {
                "-" => Ok(None),
                word if checked_case(word).is_ok() => Ok(Some(word.to_owned())),
                word => Err(format!("{word:?} is not a name for a case.")),
            };
            Ok(Answer::Cases(words.iter().map(case).collect::<Result<_, _>>()?))
        }
        (words, _) => {
            let (cases, drives) = (some(words.len() as u64, "case"), some(count as u64, "drive"));
            Err(format!("{cases} for {drives}: name one for each, or - to leave it out."))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    fn mount(point: &str, id: u64, device: &str) -> MountedDrive {
        MountedDrive { point: point.into(), numbers: (id, device.into()) }
    }

    fn points(drives: &[MountedDrive]) -> Vec<&str> {
        drives.iter().map(|drive| drive.point.to_str().unwrap()).collect()
    }

    /// Reports A4 and scale 4: six drives of one make come up at one mount point, one after another.
    #[test]
    fn another_drive_at_the_same_mount_point_is_noticed() {
        let (disk, backup) = (mount("/", 1, "8:1"), mount("/mnt/backup", 2, "8:17"));
        let (a, b) = (mount("/m/T7", 3, "8:33"), mount("/m/T7 1", 4, "8:49"));
        let before = vec![disk.clone(), backup.clone(), a.clone(), b.clone()];
        let packed = vec![a.point.clone(), b.point.clone()];
        let mut attached = Attached { left_alone: before.clone(), packed };
        let all = |_: &Path| true;
        assert!(
            attached.new_ones(before.clone(), &|p| p.starts_with("/m")).is_empty(),
            "they stay"
        );
        let gone = vec![disk.clone(), backup.clone(), b.clone()];
        assert!(attached.new_ones(gone, &all).is_empty());
        // The same place, and the same numbers too; only what lies on it differs. The other stays.
        let carries_b = |p: &Path| p == b.point;
        assert_eq!(points(&attached.new_ones(before.clone(), &carries_b)), ["/m/T7"]);
        // A drive at a place of its own, and one that carries an earlier set of the shipment.
        let third = mount("/m/T7 2", 5, "8:65");
        let now = [before, vec![third]].concat();
        attached.left_alone.push(a.clone());
        assert_eq!(points(&attached.new_ones(now.clone(), &carries_b)), ["/m/T7 2"]);
        attached.left_alone.clear();
        assert!(attached.new_ones(now, &all).is_empty());
    }

    #[rstest]
    #[case("\n", Ok(Answer::Again))]
    #[case("stop", Ok(Answer::Stop))]
    #[case("y", Ok(Answer::Cases(vec![Some("a".into()), Some("b".into())])))]
    #[case("- c", Ok(Answer::Cases(vec![None, Some("c".into())])))]
    #[case("a", Err("1 case for 2 drives: name one for each, or - to leave it out."))]
    #[case("a x/y", Err("\"x/y\" is not a name for a case."))]
    fn answers_are_understood(#[case] text: &str, #[case] expected: Result<Answer, &str>) {
        let drives = ["a", "b"].map(|case| (case.into(), String::new())).into();
        let round = Round { shipment: ShipmentId(1), drives };
        let answer = understand(text, 2, round.proposal(2));
        assert_eq!(answer.as_ref().map_err(String::as_str), expected.as_ref().map_err(|e| *e));
        assert_eq!(round.proposal(3), None);
        assert_eq!((round.similar("A"), round.similar("a")), (Some("a"), None));
    }
}
