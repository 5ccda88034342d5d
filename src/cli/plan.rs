//! `plan` on the command line, and `pack --dry-run`.

mod inventory;

use super::args::pack::PackArgs;
use super::args::plan::PlanArgs;
use super::exit::Status;
use super::lists::contents;
use super::output::{emit, out};
use super::pack::{source, survive};
use super::pack_set::refusal as pack_refusal;
use super::plan_file;
use super::refusal::Refusal;
use super::show::{ShipmentPlanEvent, planned};
use super::sizes::{parse_size, shown_count};
use super::ui::Ui;
use crate::commands::plan::{
    Dataset, DriveChoice, MOST_DRIVES, PlanError, PlanJob, Planned, plan as command,
};
use crate::pack_session::PackJobError;
use crate::plan::odds::LossRates;

pub fn plan(args: PlanArgs, ui: &Ui) -> Result<Status, Refusal> {
    let (source, save) = (args.source.clone(), args.save.clone());
    let folder_drives = args.folder_drives;
    let job = job(args)?;
    let planned = command(&job, ui.monitor()).map_err(refusal)?;
    let Some(path) = &save else { return Ok(show(&planned, "", ui)) };
    plan_file::save(&planned, path)?;
    let next = plan_file::next_step(&planned, source.as_deref(), path, folder_drives);
    Ok(show(&planned, &next, ui))
}

/// Plans what `pack` would do with these arguments.
pub fn dry_run(mut args: PackArgs, ui: &Ui) -> Result<Status, Refusal> {
    let by = plan_file::apply(&mut args.set, 1)?;
    let (source, set) = (source(args.paths)?, args.set);
    if set.drives.is_empty() {
        return Err(Refusal::usage("there are no drives to plan for", "add --drive CASE=PATH"));
    }
    let contents = contents(args.contents, &source, &[])?;
    let job = PlanJob {
        survive: survive(set.survive.as_deref())?,
        dataset: Dataset::Source { source, contents },
        drives: DriveChoice::Attached {
            drives: set.drives,
            folder_drives: set.folder_drives,
            later: by.as_ref().map(|plan| plan.later(1)).unwrap_or_default(),
        },
        ports: by.and_then(|plan| plan.ports()),
        rates: LossRates { drive: 0.005, case: 0.005 },
        estimate: false,
        memory: set.memory.memory,
    };
    let planned = command(&job, ui.monitor()).map_err(refusal)?;
    Ok(show(&planned, "", ui))
}

/// Says what was planned. That it does not fit is what was asked, and no failure.
fn show(planned: &Planned, next: &str, ui: &Ui) -> Status {
    ui.finish();
    ui.print_problems();
    if ui.is_json() {
        emit("shipment-plan", &ShipmentPlanEvent::of(planned));
    } else {
        out(&format!("{}{next}", planned::shown(planned)));
    }
    if ui.problems().is_empty() { Status::Done } else { Status::Problems }
}

/// What the arguments mean.
fn job(args: PlanArgs) -> Result<PlanJob, Refusal> {
    let survive = survive(args.survive.as_deref())?;
    let bytes = |option: &str, text: &str| {
        let hint = format!("write {option} 2TB or {option} 500GB");
        parse_size(text).map_err(|text| Refusal::usage(text, hint))
    };
    let dataset = match (args.source, &args.size) {
        (Some(source), _) => {
            let contents = contents(args.contents, &source, &[])?;
            Dataset::Source { source, contents }
        }
        (None, Some(size)) => {
            Dataset::Imagined { bytes: bytes("--size", size)?, files: args.files }
        }
        (None, None) => {
            let hint = "name the folder, or say how large it will be: --size 80TB --files 20M";
            return Err(Refusal::usage("there is no dataset to plan for", hint));
        }
    };
    let drives = if let Some(path) = &args.inventory {
        DriveChoice::Listed(inventory::read(path)?)
    } else if let (Some(size), Some(cases)) = (&args.drive_size, args.cases) {
        let (per_case, bytes) = (args.drives_per_case, bytes("--drive-size", size)?);
        let count = u64::from(cases) * u64::from(per_case.unwrap_or(1));
        if count > MOST_DRIVES {
            let [count, most] = [count, MOST_DRIVES].map(shown_count);
            let text = format!("{count} drives are more than the {most} that can be planned");
            let hint = "plan for fewer --cases or --drives-per-case, or for a part of the dataset";
            return Err(Refusal::usage(text, hint));
        }
        DriveChoice::Imagined { cases, per_case, bytes }
    } else if args.drives.is_empty() {
        let hint = "for drives that are attached, add --drive CASE=PATH; for drives to be bought, \
                    --drive-size 2TB --cases 4 (and --drives-per-case 15 if you know how many); for a \
                    list of drives, --inventory FILE";
        return Err(Refusal::usage("there are no drives to plan for", hint));
    } else {
        let (drives, folder_drives) = (args.drives, args.folder_drives);
        DriveChoice::Attached { drives, folder_drives, later: Vec::new() }
    };
    let rates = LossRates { drive: args.drive_loss, case: args.case_loss };
    let ports = args.ports.map(|ports| ports as usize);
    let (memory, estimate) = (args.memory.memory, args.estimate);
    Ok(PlanJob { dataset, drives, ports, survive, rates, memory, estimate })
}

/// What to do when there is no plan.
fn refusal(error: PlanError) -> Refusal {
    match error {
        PlanError::Pack(error) => pack_refusal(error),
        PlanError::Round { ports: Some(ports), .. } => {
            let hint = format!(
                "attach more drives at a time, with --ports {ports}, or ask for less with --survive"
            );
            Refusal::failed(error).hint(hint).status(Status::Usage)
        }
        PlanError::Round { round, ports } => {
            let (survive, source) = (round.survive, round.source.clone());
            let Refusal { hint, status, .. } = pack_refusal(PackJobError::Plan { survive, source });
            Refusal { error: Box::new(PlanError::Round { round, ports }), hint, status }
        }
        PlanError::NoNumber { .. } => {
            let hint = "plan for larger drives, more --cases or --ports, or less with --survive";
            Refusal::failed(error).hint(hint).status(Status::Usage)
        }
        PlanError::Inventory { .. } => {
            let hint =
                "each line has a case, a mount point or serial number, and a size such as 2TB";
            Refusal::failed(error).hint(hint).status(Status::Usage)
        }
        PlanError::Filter(_) => Refusal::failed(error).status(Status::Usage),
        PlanError::Scan(_) => {
            Refusal::failed(error).hint("name a folder or file that exists and can be read")
        }
    }
}
