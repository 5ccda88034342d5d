//! `pack`: scan, plan, pack, close, read back; with further sets, or after a crash, resume.

use crate::entropy::{Entropy, random_id};
use crate::format::ids::ShipmentId;
use crate::local_state::state::StateFolder;
use crate::monitor::Monitor;
use crate::pack_session::drives::{check_apart, check_mounted, open_drives};
use crate::pack_session::shipments::in_progress;
use crate::plan::case_path::CasePath;
use std::path::{Path, absolute};

pub use crate::pack_session::drives::similar_case;
pub use crate::pack_session::shipments::{Resumable, resumable};
pub use crate::pack_session::{
    CloseError, ClosedSet, Closing, PackJobError, PackOptions, PackOutcome, Prepared, Remaining,
    ResumeOptions, UnprovenSet, close, prepare_on, resume, resume_on, set_to_close,
};

/// Opens the drives, scans the source and plans; writes nothing to any drive. Slots are given in
/// the drives' order. The state is kept in a folder of its own, or else where this user's lies.
pub fn prepare<'a>(
    drives: &[CasePath],
    options: PackOptions,
    state: Option<&Path>,
    entropy: &'a dyn Entropy,
    monitor: &dyn Monitor,
) -> Result<Prepared<'a>, PackJobError> {
    let drives = &CasePath::named(drives, &[])?;
    check_apart(&options.source, drives)?;
    check_mounted(&options.source, drives, options.folder_drives)?;
    let opened = open_drives(drives, &[], None, monitor)?;
    if state.is_none() {
        note_in_progress(&options.source, monitor);
    }
    let folder = match state {
        None => StateFolder::of(ShipmentId(random_id(entropy)?))?,
        Some(within) => StateFolder::within(within, ShipmentId(random_id(entropy)?))?,
    };
    prepare_on(opened, folder, options, entropy, monitor)
}

/// Notes each shipment of the same source that is in progress: this one does not resume it.
fn note_in_progress(source: &Path, monitor: &dyn Monitor) {
    let Ok(source) = absolute(source).map(|path| path.display().to_string()) else { return };
    let others = in_progress().unwrap_or_default().into_iter();
    for other in others.filter(|other| other.source.as_ref() == Some(&source)) {
        if let Some(next) = other.next {
            let shipment = other.shipment;
            monitor.note(&format!(
                "shipment {shipment} of {source} is in progress, and this one is another; to \
                 resume that one instead: {next}"
            ));
        }
    }
}
