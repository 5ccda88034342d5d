//! `bench` on the command line.

use super::args::aside::BenchArgs;
use super::demo::temporary_folder;
use super::exit::Status;
use super::output::{emit, out};
use super::pack;
use super::refusal::{Refusal, drive_hint};
use super::sizes::{parse_size, shown_bytes, shown_duration};
use super::table::{Column, Table};
use super::text::shortened;
use super::ui::Ui;
use crate::commands::bench::{Bench, BenchError, BenchJob, Wanted, bench as command};
use crate::format::shown::shown_text;
use crate::measure::sample::SampleData;
use crate::monitor::Monitor;
use serde::Serialize;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Bytes of each of the two files that are made where no source is given.
const MADE_BYTES: usize = 256 << 20;

/// Below this, the fixed cost of a set is most of what is measured.
const LEAST_SAMPLE: u64 = 32 << 20;

pub fn bench(args: &BenchArgs, ui: &Ui) -> Result<Status, Refusal> {
    let wanted = wanted(args)?;
    let work = temporary_folder("bench")?;
    let result = run(args, wanted, work.path(), ui);
    drop(work);
    let bench = match result? {
        Ok(bench) => bench,
        Err(BenchError::Stopped) if ui.is_json() => {
            ui.finish();
            emit("bench", &BenchEvent { stopped: true, bench: None });
            return Ok(Status::Failed);
        }
        Err(error) => return Err(refusal(error)),
    };
    if bench.sample_bytes < LEAST_SAMPLE {
        let sample = shown_bytes(bench.sample_bytes);
        ui.monitor()
            .note(&format!("the sample is {sample}: what so little shows is no prediction"));
    }
    ui.finish();
    ui.print_problems();
    if ui.is_json() {
        emit("bench", &BenchEvent { stopped: false, bench: Some(bench) });
    } else {
        out(&shown(&bench, args.source.is_none()));
    }
    Ok(Status::Done)
}

fn run(
    args: &BenchArgs,
    wanted: Wanted,
    work: &Path,
    ui: &Ui,
) -> Result<Result<Bench, BenchError>, Refusal> {
    let source = match &args.source {
        Some(source) => source.clone(),
        None => make_source(work, ui.monitor()).map_err(|e| {
            Refusal::failed(e).hint("name a folder to read from: holdall bench SOURCE")
        })?,
    };
    let drive_bytes =
        parse_size(&args.bytes).map_err(|text| Refusal::usage(text, "write --bytes 1GiB"))?;
    let drives = args.drives.clone();
    let job = BenchJob { source, work: work.into(), drives, drive_bytes, wanted };
    Ok(command(&job, ui.monitor()))
}

fn wanted(args: &BenchArgs) -> Result<Wanted, Refusal> {
    let bytes = parse_size(&args.size)
        .map_err(|text| Refusal::usage(text, "write --for 80TB or --for 500GB"))?;
    let survive = pack::survive(args.survive.as_deref())?;
    let drives = args.count.unwrap_or(args.drives.len().max(4) as u32);
    let ports = args.ports.unwrap_or(drives);
    Ok(Wanted { bytes, drives, ports, cases: args.cases.unwrap_or(ports.min(4)), survive })
}

/// Half of it does not compress, half is a table.
fn make_source(work: &Path, monitor: &dyn Monitor) -> std::io::Result<PathBuf> {
    let source = work.join("source");
    std::fs::create_dir(&source)?;
    for (name, sample) in [("noise", SampleData::noise()), ("table", SampleData::table())] {
        let file = std::fs::File::create(source.join(name))?;
        let mut file = std::io::BufWriter::new(file);
        let chunks = sample.chunks.iter().cycle();
        let mut left = MADE_BYTES;
        // Each chunk is another, or it would be packed once.
        for (number, chunk) in chunks.enumerate() {
            if left == 0 || monitor.should_stop() {
                break;
            }
            let mut chunk = chunk[..chunk.len().min(left)].to_vec();
            let mark = format!("{number:08}");
            chunk[..mark.len()].copy_from_slice(mark.as_bytes());
            std::io::Write::write_all(&mut file, &chunk)?;
            left -= chunk.len();
        }
    }
    Ok(source)
}

fn refusal(error: BenchError) -> Refusal {
    match error {
        BenchError::Rule { .. } => Refusal::usage(
            error.to_string(),
            "ask for more --ports or --cases, or for less with --survive",
        ),
        BenchError::Unusable(drive) => {
            let hint = drive_hint(&drive.source);
            Refusal::failed(drive).hint(hint).status(Status::Usage)
        }
        BenchError::Taken { .. } => Refusal::failed(error).hint("look at it, and remove it"),
        BenchError::Empty { .. } => Refusal::failed(error).hint("name a folder with files"),
        error => Refusal::failed(error),
    }
}

fn shown(bench: &Bench, made: bool) -> String {
    let mut t = String::new();
    let sample = shown_bytes(bench.sample_bytes);
    let of =
        if made { "made for this: half noise, half a table" } else { "spread over the source" };
    let _ = writeln!(
        t,
        "{} cores; a sample of {sample} ({of}), {:.0} entries scanned per second.\n\
         Memory to memory, 3+1, all cores, in GB (10^9 bytes):\n",
        bench.cores, bench.entries,
    );
    let mut table = Table::new(&[Column::Left("way"), Column::Right("GB/s")]);
    let mut row = |name: String, speed: f64| table.row([name, format!("{:.2}", speed / 1e9)]);
    for packing in &bench.packing {
        let name = format!("pack, zstd {}: to {:.0} %", packing.level, packing.ratio * 100.0);
        row(name, packing.speed);
    }
    row("verify, of shards".into(), bench.verify);
    row("decode".into(), bench.decode);
    t.push_str(&table.shown());
    drives(&mut t, bench);
    prediction(&mut t, bench);
    t
}

fn drives(t: &mut String, bench: &Bench) {
    let Some(together) = bench.together else { return };
    t.push_str("\nDrives, alone and at once, in MB/s:\n\n");
    let mut table = Table::new(&[
        Column::Left("drive"),
        Column::Right("write"),
        Column::Right("read"),
        Column::Left("read back"),
    ]);
    let megabytes = |speed: f64| format!("{:.0}", speed / 1e6);
    for d in &bench.drives {
        let name = shortened(&shown_text(&d.name), 40);
        table.row([name, megabytes(d.write), megabytes(d.read), d.level.name().into()]);
    }
    let all = "all at once".into();
    table.row([all, megabytes(together.write), megabytes(together.read), String::new()]);
    t.push_str(&table.shown());
}

fn prediction(t: &mut String, bench: &Bench) {
    let (wanted, k, m) = (&bench.wanted, bench.k, bench.m);
    let _ = writeln!(
        t,
        "\nPacking {} on {} drives in {} cases, {} at a time, {} ({k}+{m}),\n\
         {} {:.0} MB/s and read at {:.0} MB/s:\n",
        shown_bytes(wanted.bytes),
        wanted.drives,
        wanted.cases,
        wanted.ports,
        bench.survive,
        if bench.together.is_some() {
            "drives that write at"
        } else {
            "assuming drives that write at"
        },
        bench.drive.write / 1e6,
        bench.drive.read / 1e6,
    );
    let mut table = Table::new(&[
        Column::Left("level"),
        Column::Right("pack"),
        Column::Right("read back"),
        Column::Right("in all"),
        Column::Left("bottleneck"),
    ]);
    let time = |seconds: f64| shown_duration(Duration::from_secs_f64(seconds.min(1e9)));
    for p in &bench.predictions {
        table.row([
            format!("zstd {}", p.level),
            time(p.pack),
            time(p.read_back),
            time(p.seconds()),
            p.limit.name().into(),
        ]);
    }
    t.push_str(&table.shown());
    if let Some(best) = bench.best {
        let _ = writeln!(
            t,
            "\nWith --level {}, about {} with reading back; the bottleneck is {}.",
            best.level,
            time(best.seconds()),
            best.limit.name()
        );
    }
}

/// The same for programs; nothing of one that was stopped.
#[derive(Serialize)]
struct BenchEvent {
    stopped: bool,
    #[serde(flatten)]
    bench: Option<Bench>,
}
