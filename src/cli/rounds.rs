//! Asking a person for drives: those of a new shipment, of one that is resumed, and of the next set.
//!
//! Nothing is asked without a terminal: then the command ends, and says what to type.

mod answer;
mod noticed;
mod offer;
mod question;

use super::exit::Status;
use super::output::{out, print_error, say};
use super::refusal::Refusal;
use super::stop;
use super::ui::Ui;
use crate::commands::drives::not_own;
use crate::drives::detect::{self, MountedDrive};
use crate::format::shown::shown_text;
use crate::plan::case_path::CasePath;
use answer::Answer;
use answer::is_stop;
use noticed::{Carriers, Noticed};
use question::{Typed, forget_typed, typed_meanwhile};
use std::path::PathBuf;

pub use offer::Round;
pub use question::{agrees, can_ask, confirm};

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

/// Asks for drives until a person names some that can be packed onto, which `plan` finds out. None if
/// there is nobody to ask, or the answer is to stop.
pub fn with_drives<T>(
    round: &Round,
    left_out: &mut LeftOut,
    ui: &Ui,
    mut plan: impl FnMut(&[CasePath]) -> Result<T, Refusal>,
) -> Result<Option<(T, Vec<CasePath>)>, Refusal> {
    while let Some(drives) = next_drives(round, left_out, ui) {
        ui.new_lap();
        match plan(&drives) {
            Ok(planned) => return Ok(Some((planned, drives))),
            Err(refusal) => answered_wrong(refusal, ui)?,
        }
        left_out.offer_again(&drives);
    }
    Ok(None)
}

/// Says what is wrong with the drives that a person chose; fails if it is something else that is
/// wrong.
fn answered_wrong(refusal: Refusal, ui: &Ui) -> Result<(), Refusal> {
    if refusal.status != Status::Usage {
        return Err(refusal);
    }
    ui.finish();
    print_error(refusal.error.as_ref(), refusal.hint.as_deref());
    Ok(())
}

/// Waits until the drives of the next set are mounted, and asks in which cases they go. None if
/// there is nobody to ask, or the answer is to stop.
fn next_drives(round: &Round, left_out: &mut LeftOut, ui: &Ui) -> Option<Vec<CasePath>> {
    if ui.is_json() || !can_ask() {
        return None;
    }
    ui.finish();
    let mounted = || not_own(detect::mounted_drives(), Some(&round.source));
    let before = std::mem::take(&mut left_out.0);
    let is_first = round.packed.is_empty();
    let mut noticed = if is_first {
        Noticed::all()
    } else {
        // Mount points are told whole, and drives as they were typed.
        let whole = |path: &String| std::fs::canonicalize(path).ok();
        let packed: Vec<PathBuf> = round.packed.iter().filter_map(whole).collect();
        Noticed::new(mounted(), &packed, &before)
    };
    let mut carriers = Carriers::new(mounted());
    if !is_first {
        out(
            "\nOr run nothing and attach them while this waits: they are noticed.\nCtrl-C ends here; \
             nothing is lost, and the command above packs the rest later.\n",
        );
    }
    let mut is_told = !is_first;
    forget_typed();
    loop {
        let mut look = || noticed.new_ones(mounted(), &|point| round.is_on(point));
        let new = look();
        if new.is_empty() {
            if stop::asked() {
                say("\nstopped"); // the terminal shows ^C
                return None;
            }
            if !std::mem::replace(&mut is_told, true) {
                let why = if left_out.0.is_empty() {
                    "No drive is attached that can be packed onto"
                } else {
                    "All drives were left out"
                };
                out(&format!(
                    "{why}. Attach drives now: they are noticed. Enter looks at all again, stop or \
                     Ctrl-C ends here.\n"
                ));
            }
            for point in carriers.that_came(mounted(), &|point| round.is_on(point)) {
                let point = shown_text(&point.display().to_string()).into_owned();
                out(&format!("{point} carries a set of this shipment already: attach another.\n"));
            }
            match typed_meanwhile() {
                Some(Typed::Line(text)) if text.trim().is_empty() => {
                    // Those that were left out here are asked about again.
                    noticed.ask_again(&std::mem::take(&mut left_out.0));
                    is_told = false;
                }
                Some(Typed::Line(text)) if is_stop(text.trim()) => return None,
                Some(Typed::Line(_)) => out("Enter looks again, stop ends here.\n"),
                Some(Typed::End) => return None,
                Some(Typed::Overtaken) | None => {}
            }
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
                            noticed.left_alone.push(drive);
                        }
                    }
                }
                if !chosen.is_empty() {
                    return Some(chosen);
                }
                is_told = false;
            }
        }
    }
}
