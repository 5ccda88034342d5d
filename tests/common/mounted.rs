//! File systems in images on loop devices, mounted over a drive's folder.

use super::{has_programs, is_root, skip};
use std::collections::HashMap;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Duration;

/// What drives are sold or made with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileSystem {
    Ext4,
    Xfs,
    Btrfs,
    /// by exfat-fuse
    Exfat,
    /// by ntfs-3g
    Ntfs,
}

impl FileSystem {
    /// The level that a read-back reaches.
    pub fn level(self) -> &'static str {
        if self.is_fuse() { "dropped" } else { "direct" }
    }

    /// Is its driver a process?
    pub fn is_fuse(self) -> bool {
        matches!(self, Self::Exfat | Self::Ntfs)
    }

    /// An image of so many MiB can be made.
    pub fn least_mib(self) -> u64 {
        match self {
            Self::Ext4 | Self::Exfat | Self::Ntfs => 32,
            Self::Xfs => 64,
            Self::Btrfs => 128,
        }
    }

    fn make(self) -> Vec<&'static str> {
        match self {
            Self::Ext4 => vec!["mkfs.ext4", "-q", "-m", "0"],
            Self::Xfs => vec!["mkfs.xfs", "-q"],
            Self::Btrfs => vec!["mkfs.btrfs", "-q"],
            Self::Exfat => vec!["mkfs.exfat"],
            Self::Ntfs => vec!["mkfs.ntfs", "-Q", "-q", "-F"],
        }
    }

    fn mount(self) -> Vec<&'static str> {
        match self {
            Self::Ext4 => vec!["mount", "-t", "ext4"],
            Self::Xfs => vec!["mount", "-t", "xfs"],
            Self::Btrfs => vec!["mount", "-t", "btrfs"],
            Self::Exfat => vec!["mount.exfat-fuse"],
            // as desktops mount it
            Self::Ntfs => vec!["ntfs-3g", "-o", "windows_names"],
        }
    }
}

/// Runs a command that needs a loop device until it succeeds, for two seconds: those of other tests come
/// and go meanwhile, and some programs look at every one.
pub fn tried(command: &mut Command) -> Output {
    let mut done = command.output().unwrap();
    for _ in 0..20 {
        if done.status.success() {
            break;
        }
        std::thread::sleep(Duration::from_millis(100));
        done = command.output().unwrap();
    }
    done
}

/// A file system in an image, mounted; unmounted in the end, also when a test fails.
pub struct Mounted {
    image: PathBuf,
    device: String,
    point: PathBuf,
    file_system: FileSystem,
}

impl Mounted {
    /// Makes a file system of `mib` MiB and mounts it over a folder; none, and a skip, if that
    /// cannot be done here. The image is put beside the folder.
    #[track_caller]
    pub fn over(point: &Path, file_system: FileSystem, mib: u64) -> Option<Self> {
        Self::in_image(point.with_extension("image"), point, file_system, mib)
    }

    /// As [`Self::over`], with the image where it shall be.
    #[track_caller]
    pub fn in_image(
        image: PathBuf,
        point: &Path,
        file_system: FileSystem,
        mib: u64,
    ) -> Option<Self> {
        if !is_root() {
            skip("only root can mount loop devices");
            return None;
        }
        File::create(&image).unwrap().set_len(mib << 20).unwrap();
        Self::on_image(image, point, file_system)
    }

    /// As [`Self::over`], in an image that is there, of zeros.
    #[track_caller]
    pub fn on_image(image: PathBuf, point: &Path, file_system: FileSystem) -> Option<Self> {
        Self::attach(image, point, file_system, &[])
    }

    /// As [`Self::on_image`]; the loop device hands on several requests at once, as they come, and
    /// nothing is kept between it and the image.
    #[track_caller]
    pub fn on_image_direct(image: PathBuf, point: &Path, kind: FileSystem) -> Option<Self> {
        Self::attach(image, point, kind, &["--direct-io=on"])
    }

    #[track_caller]
    fn attach(
        image: PathBuf,
        point: &Path,
        file_system: FileSystem,
        options: &[&str],
    ) -> Option<Self> {
        if !is_root() {
            skip("only root can mount loop devices");
            return None;
        }
        let (make, mount) = (file_system.make(), file_system.mount());
        if !has_programs(&["losetup", "umount", make[0], mount[0]]) {
            return None;
        }
        let mut losetup = Command::new("losetup");
        let attached = tried(losetup.args(["--find", "--show"]).args(options).arg(&image));
        if !attached.status.success() {
            let text = String::from_utf8_lossy(&attached.stderr);
            skip(&format!("no loop device can be had: {}", text.trim()));
            return None;
        }
        let device = String::from_utf8(attached.stdout).unwrap().trim().to_owned();
        let mounted = Self { image, device, point: point.into(), file_system };
        let mut mkfs = Command::new(make[0]);
        mkfs.args(&make[1..]).arg(&mounted.device);
        // mkfs.xfs makes small ones for its own tests only, which it knows by these
        mkfs.envs([("TEST_DIR", "1"), ("TEST_DEV", "1"), ("QA_CHECK_FS", "1")]);
        let made = tried(&mut mkfs);
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        if let Err(text) = mounted.mount() {
            skip(&format!("{file_system:?} cannot be mounted: {}", text.trim()));
            return None;
        }
        Some(mounted)
    }

    fn mount(&self) -> Result<(), String> {
        let mount = self.file_system.mount();
        let mut command = Command::new(mount[0]);
        command.args(&mount[1..]).args([OsStr::new(&self.device), self.point.as_ref()]);
        let done = tried(&mut command);
        if done.status.success() {
            return Ok(());
        }
        Err(String::from_utf8_lossy(&done.stderr).into_owned())
    }

    /// Unmounts and mounts it again: nothing of it is in any cache then.
    #[track_caller]
    pub fn remount(&self) {
        unmount(&self.point);
        self.mount().unwrap();
    }

    /// Where the image is.
    pub fn image(&self) -> &Path {
        &self.image
    }

    /// The folder it is mounted over.
    pub fn point(&self) -> &Path {
        &self.point
    }

    /// The names in its root that are not the file system's own, sorted.
    pub fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(&self.point).unwrap();
        let mut names: Vec<String> =
            entries.map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
        names.retain(|name| name != "lost+found");
        names.sort();
        names
    }

    /// Changes these runs of bytes on the medium, behind the file system and every cache above the
    /// image. Each must begin with a sector, and the image must have it.
    #[track_caller]
    pub fn change(&self, runs: &[Vec<u8>]) {
        let image = File::options().write(true).open(&self.image).unwrap();
        for (run, at) in runs.iter().zip(self.places(runs)) {
            let other: Vec<u8> = run.iter().map(|byte| !byte).collect();
            image.write_all_at(&other, at).unwrap();
        }
    }

    /// Where on the medium these runs of bytes begin. Each must begin with a sector, and the image
    /// must have it.
    #[track_caller]
    pub fn places(&self, runs: &[Vec<u8>]) -> Vec<u64> {
        const SECTOR: usize = 512;
        const PIECE: usize = 4 << 20;
        let image = File::open(&self.image).unwrap();
        let len = image.metadata().unwrap().len();
        let mut places = vec![None; runs.len()];
        let of: HashMap<&[u8], usize> =
            runs.iter().enumerate().map(|(i, run)| (&run[..run.len().min(SECTOR)], i)).collect();
        let shortest = of.keys().map(|run| run.len()).min().unwrap_or(0);
        let mut piece = vec![0; PIECE];
        for start in (0..len).step_by(PIECE) {
            let here = &mut piece[..PIECE.min((len - start) as usize)];
            image.read_exact_at(here, start).unwrap();
            for (number, sector) in here.chunks(SECTOR).enumerate() {
                let full = of.get(sector).copied();
                let found = full.or_else(|| {
                    let short =
                        runs.iter().position(|run| run.len() < SECTOR && sector.starts_with(run));
                    short.filter(|_| shortest < SECTOR)
                });
                if let Some(run) = found {
                    places[run] = Some(start + (number * SECTOR) as u64);
                }
            }
        }
        places.into_iter().map(|place| place.expect("every run is on the medium")).collect()
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        unmount(&self.point);
        // Goes once the driver has let go of it.
        Command::new("losetup").args(["-d", &self.device]).output().ok();
    }
}

/// A little memory as a place for an image.
pub struct Memory(PathBuf);

impl Memory {
    /// Mounts a tmpfs of `mib` MiB at a folder; none, and a skip, if that cannot be done here.
    #[track_caller]
    pub fn new(folder: &Path, mib: u64) -> Option<Self> {
        if !is_root() {
            skip("only root can mount");
            return None;
        }
        fs::create_dir_all(folder).unwrap();
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", &format!("size={mib}m"), "tmpfs"]).arg(folder);
        let done = mount.output().unwrap();
        if !done.status.success() {
            skip(&format!("no tmpfs: {}", String::from_utf8_lossy(&done.stderr).trim()));
            return None;
        }
        Some(Self(folder.into()))
    }

    /// Where an image can be.
    pub fn image(&self) -> PathBuf {
        self.0.join("image")
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        unmount(&self.0);
    }
}

/// Unmounts, later if it is in use still.
fn unmount(point: &Path) {
    let umount = |options: &[&str]| {
        let done = Command::new("umount").args(options).arg(point).output();
        done.is_ok_and(|output| output.status.success())
    };
    let _ = umount(&[]) || umount(&["-l"]);
}

/// Shuts a file system down at once, without writing its journal.
#[track_caller]
pub fn shut_down(point: &Path) {
    const SHUT_DOWN: &str = "import fcntl, os, struct, sys\n\
        fcntl.ioctl(os.open(sys.argv[1], os.O_RDONLY), 0x8004587d, struct.pack('I', 2))";
    let done = Command::new("python3").args(["-c", SHUT_DOWN]).arg(point).output().unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
}
