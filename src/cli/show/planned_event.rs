//! The plan of a whole shipment for programs.

use crate::commands::plan::{Likely, Planned, RuleRow};
use crate::measure::estimate::Estimate;
use crate::measure::predict::Times;
use crate::plan::survive::Survive;
use serde::Serialize;

/// Bytes of a shipment by what they are for.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Costs {
    #[serde(rename = "parity_bytes")]
    pub parity: u64,
    #[serde(rename = "along_bytes")]
    pub along: u64,
    #[serde(rename = "record_bytes")]
    pub record: u64,
    #[serde(rename = "catalog_bytes")]
    pub catalog: u64,
    #[serde(rename = "fixed_bytes")]
    pub fixed: u64,
    #[serde(rename = "padding_bytes")]
    pub padding: u64,
}

impl Costs {
    pub fn of(p: &Planned) -> Self {
        let mut costs = Self::default();
        for set in &p.plan.sets {
            let drives = set.drives.len() as u64;
            costs.parity += set.across_bytes;
            costs.along += set.along_bytes;
            costs.record += drives * set.beside.records;
            costs.catalog += drives * set.beside.catalog;
            costs.fixed += drives * set.beside.fixed;
            let known = set.across_bytes + set.along_bytes + set.data_bytes;
            costs.padding += set.shard_bytes.saturating_sub(known);
        }
        costs
    }
}

/// The same for programs.
#[derive(Serialize)]
pub struct ShipmentPlanEvent<'a> {
    fits: bool,
    entries: u64,
    files: u64,
    data_bytes: u64,
    survive: Survive,
    survive_is_default: bool,
    ports: usize,
    rounds: usize,
    holds_bytes: u64,
    missing_bytes: u64,
    unusable_bytes: u64,
    dealt_by_size_bytes: Option<u64>,
    drives_missing: Option<u64>,
    size_missing: Option<u64>,
    drive_loss: f64,
    case_loss: f64,
    odds: f64,
    #[serde(flatten)]
    costs: Costs,
    #[serde(flatten)]
    times: Times,
    /// when bench measured what the times are from
    measured: Option<&'a str>,
    estimate: Option<EstimateEvent>,
    sets: Vec<SetEvent>,
    drives: Vec<DriveEvent<'a>>,
    rules: Vec<RuleEvent>,
}

#[derive(Serialize)]
struct EstimateEvent {
    samples: u64,
    sampled_bytes: u64,
    ratio: f64,
    error: f64,
    duplicates: f64,
    duplicates_most: f64,
    stored_bytes: u64,
    fits: bool,
    drives: usize,
}

impl From<&Likely> for EstimateEvent {
    fn from(likely: &Likely) -> Self {
        let Estimate { ratio, error, samples, sampled_bytes, duplicates, duplicates_most } =
            likely.estimate;
        let Likely { stored_bytes, fits, drives, .. } = *likely;
        Self {
            samples,
            sampled_bytes,
            ratio,
            error,
            duplicates,
            duplicates_most,
            stored_bytes,
            fits,
            drives,
        }
    }
}

#[derive(Serialize)]
struct SetEvent {
    set: usize,
    drives: usize,
    data_bytes: u64,
    shard_bytes: u64,
}

#[derive(Serialize)]
struct DriveEvent<'a> {
    case: &'a str,
    drive: Option<&'a str>,
    round: usize,
    bytes: u64,
    free_bytes: u64,
}

#[derive(Serialize)]
struct RuleEvent {
    survive: Survive,
    kept: bool,
    holds_bytes: Option<u64>,
    fits: Option<bool>,
    drives: Option<usize>,
    odds: Option<f64>,
}

impl<'a> ShipmentPlanEvent<'a> {
    pub fn of(p: &'a Planned) -> Self {
        let mut drives: Vec<DriveEvent> = Vec::with_capacity(p.drives.len());
        drives.extend(p.drives.iter().map(|drive| DriveEvent {
            case: &drive.case,
            drive: drive.name.as_deref(),
            round: 0,
            bytes: 0,
            free_bytes: drive.free_bytes,
        }));
        for (number, round) in (1..).zip(&p.plan.rounds) {
            round.iter().for_each(|drive| drives[*drive].round = number);
        }
        for set in &p.plan.sets {
            for (drive, bytes) in set.drives.iter().zip(&set.drive_bytes) {
                drives[*drive].bytes = *bytes;
            }
        }
        let set = |(number, set): (usize, &crate::plan::sets::PlannedSet)| SetEvent {
            set: number,
            drives: set.drives.len(),
            data_bytes: set.data_bytes,
            shard_bytes: set.shard_bytes,
        };
        let rule = |row: &RuleRow| RuleEvent {
            survive: row.survive,
            kept: row.kept.is_some(),
            holds_bytes: row.kept.map(|cost| cost.holds_bytes),
            fits: row.kept.map(|cost| cost.fits),
            drives: row.kept.and_then(|cost| cost.drives),
            odds: row.kept.map(|cost| cost.odds.chance),
        };
        Self {
            fits: p.plan.missing_bytes == 0,
            entries: p.entries,
            files: p.files,
            data_bytes: p.data_bytes,
            survive: p.plan.survive,
            survive_is_default: p.plan.survive_is_default,
            ports: p.ports,
            rounds: p.plan.rounds.len(),
            holds_bytes: p.plan.holds_bytes,
            missing_bytes: p.plan.missing_bytes,
            unusable_bytes: p.plan.unusable_bytes,
            dealt_by_size_bytes: p.dealt_bytes,
            drives_missing: p.drives_missing,
            size_missing: p.size_missing,
            drive_loss: p.rates.drive,
            case_loss: p.rates.case,
            odds: p.odds.chance,
            costs: Costs::of(p),
            times: p.times,
            measured: p.figures.as_ref().map(|figures| figures.time.as_str()),
            estimate: p.estimate.as_ref().map(EstimateEvent::from),
            sets: (1..).zip(&p.plan.sets).map(set).collect(),
            drives,
            rules: p.rules.iter().map(rule).collect(),
        }
    }
}
