//! The run keys that identities open.
//!
//! - Enters: runs, those that most drives vouch for first.
//! - Leaves: their keys, and of how many runs no key file was tried.
//! - Always holds: (1) a key file is opened once, whatever names it has; (2) what a drive says
//!   without anybody vouching for it costs no more than the allowance: opening a key file takes as
//!   long as it has stanzas, and anybody can lay down as many as a drive has room for.

use crate::format::ids::{RunId, key_path};
use crate::keys::KeyError;
use crate::keys::RunKey;
use crate::keys::recipients::Identities;
use crate::monitor::{Monitor, Problem, ProblemKind};
use crate::opening::open::OpenError;
use crate::shipment::FoundSet;
use crate::shipment::texts::Texts;
use std::collections::{BTreeMap, BTreeSet};

/// Bytes of key files that are opened whoever vouches for them, and for each drive besides.
const ALLOWED_BYTES: u64 = 1 << 20;
const ALLOWED_BYTES_A_DRIVE: u64 = 256 << 10;
/// Bytes of key files that are opened besides, once the packer himself has named their runs.
const VOUCHED_BYTES: u64 = 16 << 20;

/// The different keys of each run: recipients are public, so anybody can wrap a key of his own.
pub(super) type Candidates = BTreeMap<RunId, Vec<RunKey>>;

/// The key files that an identity opens: run, and BLAKE3.
pub(super) type KeyFilesOpened = BTreeSet<(RunId, [u8; 32])>;

/// Keys that were found so far.
pub(super) struct Tries<'a> {
    set: &'a FoundSet,
    identities: &'a Identities,
    /// runs whose key files lie on the drives
    keyed: BTreeSet<RunId>,
    pub found: Candidates,
    pub opened: KeyFilesOpened,
    tried: BTreeSet<RunId>,
    /// files that no identity opens
    hopeless: BTreeSet<[u8; 32]>,
    failure: Option<KeyError>,
    /// bytes that may be opened yet
    left: u64,
    /// runs of which a key file was not tried
    untried: Vec<RunId>,
}

impl<'a> Tries<'a> {
    pub fn new(set: &'a FoundSet, identities: &'a Identities) -> Self {
        let drives = set.all_drives().count() as u64;
        Self {
            set,
            identities,
            keyed: set.runs(),
            found: Candidates::new(),
            opened: KeyFilesOpened::new(),
            tried: BTreeSet::new(),
            hopeless: BTreeSet::new(),
            failure: None,
            left: ALLOWED_BYTES + drives * ALLOWED_BYTES_A_DRIVE,
            untried: Vec::new(),
        }
    }

    /// The runs that sealed these texts: what it takes to tell whether one is authentic.
    pub fn closers(&mut self, texts: &Texts) {
        let mut closers: Vec<_> = texts
            .values()
            .filter_map(|version| Some((version.drives.len(), version.text.index()?.run)))
            .collect();
        closers.sort_by_key(|(drives, _)| std::cmp::Reverse(*drives));
        closers.into_iter().for_each(|(_, run)| self.run(run));
    }

    /// Runs that an authentic text names.
    pub fn vouched(&mut self, runs: impl Iterator<Item = RunId>) {
        self.left += VOUCHED_BYTES;
        runs.for_each(|run| self.run(run));
    }

    /// Runs that drives name: first those that most of them do, and of these the short files, which
    /// cost least.
    pub fn named(&mut self, texts: &Texts) {
        let mut votes = self.set.recorded_runs();
        for version in texts.values() {
            for line in &version.text.runs {
                *votes.entry(line.run).or_default() += version.drives.len();
            }
        }
        votes.retain(|run, _| self.keyed.contains(run) && !self.tried.contains(run));
        let len = |run: RunId| {
            let copies = self.set.open_copies(&key_path(run));
            copies.iter().map(|file| file.len()).min().unwrap_or(0)
        };
        let mut order: Vec<_> = votes
            .into_iter()
            .map(|(run, votes)| (std::cmp::Reverse(votes), len(run), run))
            .collect();
        order.sort_unstable();
        order.into_iter().for_each(|(.., run)| self.run(run));
    }

    fn run(&mut self, run: RunId) {
        if !self.keyed.contains(&run) || !self.tried.insert(run) {
            return;
        }
        if self.left == 0 {
            return self.untried.push(run);
        }
        for file in self.set.key_files(run) {
            let digest = *blake3::hash(&file).as_bytes();
            if self.hopeless.contains(&digest) {
                continue; // the same bytes under the name of another run
            }
            let Some(left) = self.left.checked_sub(file.len() as u64) else {
                self.left = 0;
                return self.untried.push(run);
            };
            self.left = left;
            let (shipment, set) = (self.set.shipment, self.set.set);
            let found = self.found.entry(run).or_default();
            let unwrapped = self.identities.unwrap(&file, shipment, set, run, None);
            if unwrapped.is_ok() {
                self.opened.insert((run, digest));
            }
            match unwrapped {
                Ok(key) if found.iter().any(|c| c.commitment() == key.commitment()) => {}
                Ok(key) => found.push(key),
                Err(e) => {
                    if !matches!(e, KeyError::Format { .. }) {
                        self.hopeless.insert(digest);
                    }
                    self.failure = Some(e);
                }
            }
        }
    }

    /// The keys; it is an error if there is none.
    pub fn end(self, is_closed: bool, monitor: &dyn Monitor) -> Result<Candidates, OpenError> {
        self.tell_untried(monitor);
        let Self { set, mut found, failure, .. } = self;
        found.retain(|_, keys| !keys.is_empty());
        match failure {
            _ if !found.is_empty() => Ok(found),
            Some(source) => Err(OpenError::Key { set: set.name(), source }),
            None if !is_closed && set.names("records").is_empty() => {
                Err(OpenError::Empty { set: set.name(), erase: set.erase_command() })
            }
            None => Err(OpenError::NoKeyFile { set: set.name() }),
        }
    }

    fn tell_untried(&self, monitor: &dyn Monitor) {
        let Some(first) = self.untried.first() else { return };
        let path = format!("{}/{}", self.set.folder, key_path(*first));
        let has = |found: &&crate::shipment::FoundDrive| found.drive.probe(&path).is_ok();
        let on: Vec<_> =
            self.set.all_drives().filter(has).map(|found| found.drive.name()).collect();
        let detail = format!(
            "too many and too long for one set: those of {} runs, as on {}, were not tried. What they \
             open is left out; try it without the drives that have them, if those are not all",
            self.untried.len(),
            on.join(", ")
        );
        let subject = format!("set {}: key files", self.set.name());
        monitor.problem(Problem::new(ProblemKind::Damage, subject, detail));
    }
}
