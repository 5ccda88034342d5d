//! The plan of a whole shipment on one screen.

use super::packed::guarantee;
use super::planned_event::Costs;
use crate::cli::sizes::{shown_bytes, shown_count, shown_duration};
use crate::cli::table::{Column, Table};
use crate::cli::text::{lines, some, verb};
use crate::commands::plan::{Likely, PlanDrive, Planned, RuleRow};
use crate::format::shown::shown_text;
use crate::measure::predict::Times;
use crate::plan::odds::Odds;
use std::fmt::Write as _;
use std::time::Duration;

/// Cases up to this number have a line each, unless they are alike.
const MOST_CASES: usize = 5;

/// One screen.
pub fn shown(p: &Planned) -> String {
    let mut t = verdict(p);
    estimate(&mut t, p);
    sets(&mut t, p);
    odds(&mut t, p);
    cases(&mut t, p);
    cost(&mut t, p);
    unusable(&mut t, p);
    times(&mut t, p);
    rules(&mut t, p);
    t
}

/// Does it fit, and what would.
fn verdict(p: &Planned) -> String {
    let first = p.drives.first().map_or(0, |drive| drive.bytes);
    let alike = p.drives.iter().all(|drive| drive.bytes == first && drive.name.is_none());
    let sizes = if alike { format!(" of {}", shown_bytes(first)) } else { String::new() };
    let fits = p.plan.missing_bytes == 0;
    let mut t = String::new();
    let text = format!(
        "{} in {}{} {} on {}{} in {}, {} at a time.",
        shown_bytes(p.data_bytes),
        some(p.files, "file"),
        if p.files_are_assumed { " (assumed)" } else { "" },
        if fits { "fit" } else { "MAY NOT FIT" },
        some(p.drives.len() as u64, "drive"),
        sizes,
        some(p.cases.len() as u64, "case"),
        p.ports,
    );
    t += &lines(&text);
    if !fits {
        let drive = shown_bytes(p.drive_bytes);
        let more = p.drives_missing.map(|more| format!("{} of {drive}", some(more, "more drive")));
        let larger = p.size_missing.map(|bytes| {
            format!("{} of {}", some(p.drives.len() as u64, "drive"), shown_bytes(larger(bytes)))
        });
        let ways: Vec<String> = [more, larger].into_iter().flatten().collect();
        let ways = match &ways[..] {
            [] => "No number of such drives holds it under this rule.".into(),
            ways => format!("What would be enough: {}.", ways.join(", or ")),
        };
        let [holds, missing] = [p.plan.holds_bytes, p.plan.missing_bytes].map(shown_bytes);
        let text = format!("They are sure to hold {holds}, and {missing} may have no room. {ways}");
        t += &lines(&text);
    }
    t
}

/// What a sample says of the dataset.
fn estimate(t: &mut String, p: &Planned) {
    let Some(Likely { estimate, stored_bytes, fits, drives }) = &p.estimate else { return };
    let percent = |part: f64| format!("{:.0}", part.clamp(0.0, 1.0) * 100.0);
    let least = percent(estimate.ratio - estimate.error);
    let most = percent(estimate.ratio + estimate.error);
    let range = if least == most { most } else { format!("{least} to {most}") };
    let twice = match estimate.duplicates {
        0.0 => "No duplicate files were found.".into(),
        part => format!(
            "Files that seem to be duplicates are {} % of it, not counted here.",
            percent(part)
        ),
    };
    let drives = some(*drives as u64, "drive");
    let fit = match (fits, p.plan.missing_bytes) {
        (true, 0) => format!("needs {drives}"),
        (true, _) => format!("fits {drives}"),
        (false, _) => "may not fit either".into(),
    };
    let text = format!(
        "By a sample of {} ({}), {range} % of its size is likely to be stored: at most {}, which {fit}. \
         {twice} The figures below assume that nothing compresses.",
        some(estimate.samples, "chunk"),
        shown_bytes(estimate.sampled_bytes),
        shown_bytes(*stored_bytes),
    );
    *t += &lines(&text);
}

/// The size of a drive that leaves so much for files, rounded up to what is sold.
fn larger(free: u64) -> u64 {
    let size = free.saturating_add(free / 99 + 1);
    let step = 10_u64.pow(size.checked_ilog10().unwrap_or(0).saturating_sub(1));
    size.div_ceil(step).saturating_mul(step)
}

fn sets(t: &mut String, p: &Planned) {
    let default =
        if p.plan.survive_is_default { " (The default; --survive changes it.)" } else { "" };
    *t += &lines(&format!("{}{default}", guarantee(p.plan.survive, p.drives.len())));
    // Sets that are alike are told once.
    let mut kinds: Vec<(usize, usize, u64)> = Vec::new();
    for set in &p.plan.sets {
        let fill = set.drives.iter().zip(&set.drive_bytes);
        let fill = fill.map(|(drive, bytes)| percent(*bytes, p.drives[*drive].free_bytes)).max();
        let kind = (set.drives.len(), fill.unwrap_or(0));
        match kinds.last_mut() {
            Some((count, drives, fill)) if (*drives, *fill) == kind => *count += 1,
            _ => kinds.push((1, kind.0, kind.1)),
        }
    }
    let told = |(count, drives, fill): &(usize, usize, u64)| {
        let drives = some(*drives as u64, "drive");
        match count {
            _ if p.plan.sets.len() == 1 => format!("{drives}, up to {fill} % full"),
            1 => format!("1 with {drives}, up to {fill} % full"),
            n => format!("{} with {drives} each, up to {fill} % full", shown_count(*n as u64)),
        }
    };
    let mut told: Vec<String> = kinds.iter().take(3).map(told).collect();
    if kinds.len() > 3 {
        told.push("...".into());
    }
    let sets = some(p.plan.sets.len() as u64, "set");
    let spare = p.drives.len().saturating_sub(p.plan.drives()) as u64;
    let spare = match spare {
        0 => String::new(),
        n if p.plan.missing_bytes > 0 => {
            format!(" {} {} no room for anything.", some(n, "drive"), verb(n, "has", "have"))
        }
        n => format!(" {} {} not needed.", some(n, "drive"), verb(n, "is", "are")),
    };
    let one_per_round = if p.plan.sets.len() == 1 { "" } else { ", one per round" };
    *t += &lines(&format!("{sets}{one_per_round}: {}.{spare}{}", told.join("; "), of_no_use(p)));
}

/// The drives of sets that get nothing, since they are full.
fn of_no_use(p: &Planned) -> String {
    let all = p.plan.sets.iter().flat_map(|set| set.drives.iter().zip(&set.drive_bytes));
    let name = |(drive, _): (&usize, &u64)| {
        let PlanDrive { case, name, .. } = &p.drives[*drive];
        format!("{case}={}", shown_text(name.as_deref().unwrap_or("a drive")))
    };
    let names: Vec<String> = all.filter(|(_, bytes)| **bytes == 0).map(name).collect();
    match &names[..] {
        [] => String::new(),
        [one] => format!(" {one} has no room for anything and is of no use."),
        [first, rest @ ..] => format!(
            " {first} and {} have no room for anything and are of no use.",
            some(rest.len() as u64, "more drive")
        ),
    }
}

fn percent(bytes: u64, of: u64) -> u64 {
    (u128::from(bytes) * 100 / u128::from(of.max(1))) as u64
}

/// A chance with two digits.
fn chance(odds: f64) -> String {
    let percent = odds * 100.0;
    match percent {
        p if p <= 0.0 => "0 %".into(),
        p if p < 1e-9 => "under 1e-9 %".into(),
        p if p < 0.001 => format!("{p:.0e} %"),
        p => {
            let digits = (1.0 - p.log10().floor()).clamp(0.0, 6.0) as usize;
            let text = format!("{p:.digits$}");
            let short =
                if digits > 0 { text.trim_end_matches('0').trim_end_matches('.') } else { &text };
            format!("{short} %")
        }
    }
}

/// The same, if it may be less.
fn chance_of_loss(odds: Odds) -> String {
    format!("{}{}", if odds.is_bound { "at most " } else { "" }, chance(odds.chance))
}

fn odds(t: &mut String, p: &Planned) {
    let text = format!(
        "Odds of any loss: {}, if {} of drives and {} of cases are lost independently (--drive-loss, \
         --case-loss; bad sectors are not counted).",
        chance_of_loss(p.odds),
        chance(p.rates.drive),
        chance(p.rates.case),
    );
    *t += &lines(&text);
}

/// What each case gets.
struct CaseRow {
    drives: usize,
    bytes: u64,
    room: u64,
}

fn case_rows(p: &Planned) -> Vec<CaseRow> {
    let number = |case: &str| p.cases.iter().position(|name| name == case).unwrap_or(0);
    let mut rows: Vec<CaseRow> =
        p.cases.iter().map(|_| CaseRow { drives: 0, bytes: 0, room: 0 }).collect();
    let numbers: Vec<usize> = p.drives.iter().map(|drive| number(&drive.case)).collect();
    for (drive, case) in p.drives.iter().zip(&numbers) {
        rows[*case].drives += 1;
        rows[*case].room += drive.free_bytes;
    }
    for set in &p.plan.sets {
        for (drive, bytes) in set.drives.iter().zip(&set.drive_bytes) {
            rows[numbers[*drive]].bytes += bytes;
        }
    }
    rows
}

fn cases(t: &mut String, p: &Planned) {
    let rows = case_rows(p);
    let alike = |a: &CaseRow, b: &CaseRow| (a.drives, a.room) == (b.drives, b.room);
    let told = |row: &CaseRow| {
        format!(
            "{}, up to {} of {}, {} %",
            some(row.drives as u64, "drive"),
            shown_bytes(row.bytes),
            shown_bytes(row.room),
            percent(row.bytes, row.room)
        )
    };
    let Some(first) = rows.first() else { return };
    if rows.iter().all(|row| alike(first, row)) {
        let fullest = rows.iter().max_by_key(|row| row.bytes).unwrap_or(first);
        let each = if rows.len() == 1 { "The case" } else { "Each case" };
        let _ = writeln!(t, "{each}: {} full.", told(fullest));
        return;
    }
    t.push('\n');
    let mut table = Table::new(&[
        Column::Left("case"),
        Column::Right("drives"),
        Column::Right("at most"),
        Column::Right("room"),
        Column::Right("full"),
    ]);
    let mut order: Vec<usize> = (0..rows.len()).collect();
    order.sort_by_key(|number| std::cmp::Reverse(percent(rows[*number].bytes, rows[*number].room)));
    let left = order.split_off(MOST_CASES.min(rows.len()));
    for number in order {
        let row = &rows[number];
        let full = format!("{} %", percent(row.bytes, row.room));
        let [bytes, room] = [row.bytes, row.room].map(shown_bytes);
        table.row([p.cases[number].clone(), row.drives.to_string(), bytes, room, full]);
    }
    t.push_str(&table.shown());
    if !left.is_empty() {
        let _ = writeln!(t, "and {}, less full", some(left.len() as u64, "case"));
    }
    t.push('\n');
}

fn cost(t: &mut String, p: &Planned) {
    let costs = Costs::of(p);
    let data: u64 = p.plan.sets.iter().map(|set| set.data_bytes).sum();
    let mut parts = vec![
        (data, "data"),
        (costs.parity, "parity across drives"),
        (costs.along, "parity along drives"),
        (costs.record, "records"),
        (costs.catalog, "catalogs"),
        (costs.fixed, "keys, README and reader"),
        (costs.padding, "lists, tags and padding"),
    ];
    parts.retain(|(bytes, _)| *bytes > 0);
    let parts: Vec<String> =
        parts.iter().map(|(bytes, what)| format!("{} of {what}", shown_bytes(*bytes))).collect();
    let all: u64 = p.plan.sets.iter().flat_map(|set| &set.drive_bytes).sum();
    let text = format!(
        "If nothing compresses, the drives get up to {}: {}.",
        shown_bytes(all),
        parts.join(", ")
    );
    *t += &lines(&text);
}

fn unusable(t: &mut String, p: &Planned) {
    let dealt = p.dealt_bytes.map(|bytes| {
        format!(
            "Dealt to the cases by size (the largest drive to the first case, the next to the second, \
             and so on), the drives would hold {} instead of {}.",
            shown_bytes(bytes),
            shown_bytes(p.plan.holds_bytes)
        )
    });
    let room: u64 = p.drives.iter().map(|drive| drive.free_bytes).sum();
    if p.plan.unusable_bytes > room / 100 {
        let text = format!(
            "Under this rule {} of room cannot be used: there is too little outside the largest drives \
             or cases. {}",
            shown_bytes(p.plan.unusable_bytes),
            dealt.unwrap_or_default()
        );
        *t += &lines(text.trim_end());
    } else if let Some(dealt) = dealt {
        *t += &lines(&dealt);
    }
}

fn times(t: &mut String, p: &Planned) {
    let time = |seconds: f64| shown_duration(Duration::from_secs_f64(seconds.clamp(0.0, 1e9)));
    let Times { pack, read_back, verify, restore } = p.times;
    let megabytes = |speed: f64| format!("{}/s", shown_bytes(speed as u64));
    let drive = p.speeds.drive;
    let drives = if megabytes(drive.write) == megabytes(drive.read) {
        megabytes(drive.write)
    } else {
        format!("{} written and {} read", megabytes(drive.write), megabytes(drive.read))
    };
    let core = megabytes(p.speeds.packing.speed);
    let day = |time: &str| shown_text(time.split('T').next().unwrap_or_default()).into_owned();
    let from = match &p.figures {
        None => format!(
            "Assumed: {drives} a drive, {core} of packing on {}; holdall bench measures.",
            some(p.cores as u64, "core")
        ),
        Some(figures) => match &figures.drive_time {
            Some(when) => format!(
                "By holdall bench: {drives} a drive ({}), {core} of packing ({}).",
                day(when),
                day(&figures.time)
            ),
            None => format!(
                "Assumed: {drives} a drive; by holdall bench of {}: {core} of packing.",
                day(&figures.time)
            ),
        },
    };
    let [pack, read_back, verify, restore] = [pack, read_back, verify, restore].map(time);
    let text = format!(
        "Pack {pack}, read back {read_back}, verify {verify}, restore {restore}, and the time to change \
         drives. {from}"
    );
    *t += &lines(&text);
}

fn rules(t: &mut String, p: &Planned) {
    t.push('\n');
    let mut table = Table::new(&[
        Column::Left("rule"),
        Column::Right("sure to hold"),
        Column::Right("of the room"),
        Column::Left("fits"),
        Column::Right("drives"),
        Column::Right("odds of a loss"),
    ]);
    let room: u64 = p.drives.iter().map(|drive| drive.free_bytes).sum();
    for RuleRow { survive, kept } in &p.rules {
        let planned = if *survive == p.plan.survive { " <-" } else { "" };
        let name = format!("{survive}{planned}");
        table.row(match kept {
            None => [name, "-".into(), "-".into(), "no way".into(), "-".into(), "-".into()],
            Some(cost) => [
                name,
                shown_bytes(cost.holds_bytes),
                format!("{} %", percent(cost.holds_bytes, room)),
                if cost.fits { "yes" } else { "no" }.into(),
                cost.drives.map_or("-".into(), |drives| shown_count(drives as u64)),
                chance_of_loss(cost.odds),
            ],
        });
    }
    t.push_str(&table.shown());
}
