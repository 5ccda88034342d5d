//! Which of the drives that are mounted are new while others are awaited.

use crate::drives::detect::MountedDrive;
use std::path::{Path, PathBuf};

/// What is mounted while the next drives are awaited.
pub(super) struct Noticed {
    /// what was there before, or was left out, and still is there
    pub left_alone: Vec<MountedDrive>,
}

impl Noticed {
    /// Everything that is there is looked at.
    pub fn all() -> Self {
        Self { left_alone: Vec::new() }
    }

    /// What is there is left alone, but for what an earlier round left out. Where the drives of the
    /// packed set were, another may have come already: what lies on it decides.
    pub fn new(now: Vec<MountedDrive>, packed: &[PathBuf], left_out: &[MountedDrive]) -> Self {
        let mut left_alone = now;
        left_alone
            .retain(|d| !packed.contains(&d.point) && !left_out.iter().any(|out| out.is_same(d)));
        Self { left_alone }
    }

    /// What was left out is asked about again.
    pub fn ask_again(&mut self, left_out: &[MountedDrive]) {
        self.left_alone.retain(|drive| !left_out.iter().any(|out| out.is_same(drive)));
    }

    /// The drives that are not left alone. One that is gone is forgotten: it is new when it comes
    /// back, and so is another at its place.
    pub fn new_ones(
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
pub(super) struct Carriers(Vec<MountedDrive>);

impl Carriers {
    /// Those that are there have not come.
    pub fn new(now: Vec<MountedDrive>) -> Self {
        Self(now)
    }

    /// Where those lie that carry a set and were not there at the last look.
    pub fn that_came(
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

#[cfg(test)]
mod tests {
    use super::*;

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
        let attached = || Noticed::new(before.clone(), &packed, &[]);
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
        let mut attached = Noticed::new(Vec::new(), &[], &[]);
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
        let mut next = Noticed::new(now.clone(), &[], &only_x);
        assert_eq!(next.new_ones(now, &none), only_x);
    }
}
