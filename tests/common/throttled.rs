//! An image below a mounted file system that is as fast as a drive and no faster: a file that this
//! process serves (FUSE), to be put under a loop device.
//!
//! It lies in memory and takes requests as a drive with a queue does: they are served in order, each
//! takes its time from when it arrived or the one before it ended, and several may wait. So a deep
//! queue hides how long a request travels, but gives no more bytes a second. What the drive did is
//! counted, and when nobody asked anything of it.

use super::faulty::{IMAGE, TTL, attributes, lock};
use super::{is_root, skip};
use fuser::{
    BackgroundSession, Config, Errno, FileHandle, Filesystem, FopenFlags, Generation, INodeNo,
    InitFlags, KernelConfig, LockOwner, OpenFlags, ReplyAttr, ReplyData, ReplyEmpty, ReplyEntry,
    ReplyOpen, ReplyWrite, Request, WriteFlags,
};
use std::ffi::OsStr;
use std::fs;
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

/// Idle time that a drive makes up for: no thread is woken to the moment, and a drive's own cache
/// hides as much.
const CREDIT: Duration = Duration::from_millis(10);
/// Requests of fewer bytes are the file system's own.
const LARGE_BYTES: usize = 256 << 10;
/// Idle times from here on are noted one by one.
const GAP: Duration = Duration::from_millis(5);

/// How fast a drive is; by default as fast as memory.
#[derive(Clone, Copy, Debug, Default)]
pub struct Throttle {
    /// bytes a second that can be read; 0: no limit
    pub read: u64,
    /// bytes a second that can be written; 0: no limit
    pub write: u64,
    /// how long it takes to empty its cache
    pub flush: Duration,
    /// after so many bytes it does nothing for so long, as drives do that clean up
    pub pause: Option<(u64, Duration)>,
}

impl Throttle {
    /// As fast in both directions, and with a cache to flush.
    pub fn of(rate: u64) -> Self {
        Self { read: rate, write: rate, flush: Duration::from_millis(15), pause: None }
    }

    fn time(rate: u64, bytes: usize) -> Duration {
        if rate == 0 { Duration::ZERO } else { Duration::from_secs_f64(bytes as f64 / rate as f64) }
    }
}

/// What a drive did.
#[derive(Clone, Debug, Default)]
pub struct Meter {
    /// bytes written
    pub written: u64,
    /// bytes read
    pub read: u64,
    /// flushes
    pub flushes: u64,
    /// what it needs for that if it is never idle
    pub needs: Duration,
    /// the time in which requests were waiting or in work
    pub busy: Duration,
    /// when the first request of many bytes arrived and the last one was done
    pub span: Option<(Instant, Instant)>,
    /// when it was idle, and how long
    pub gaps: Vec<(Instant, Duration)>,
}

struct Drive {
    throttle: Throttle,
    /// the end of what it was asked
    free_at: Instant,
    /// bytes since its last pause
    since_pause: u64,
    /// requests in it
    inside: usize,
    /// since when there are some, or none
    changed: Instant,
    meter: Meter,
}

impl Drive {
    /// A request arrives; says when it is done.
    fn admit(&mut self, time: Duration, bytes: usize) -> Instant {
        let now = Instant::now();
        let mut time = time;
        self.since_pause += bytes as u64;
        if let Some((every, pause)) = self.throttle.pause
            && self.since_pause >= every
        {
            self.since_pause -= every;
            time += pause;
        }
        let idle_since = now.checked_sub(CREDIT).unwrap_or(now);
        self.free_at = self.free_at.max(idle_since) + time;
        self.meter.needs += time;
        if self.inside == 0 {
            let gap = now - self.changed;
            if gap > GAP {
                self.meter.gaps.push((self.changed, gap));
            }
            self.changed = now;
        }
        self.inside += 1;
        if bytes >= LARGE_BYTES {
            let (first, _) = self.meter.span.unwrap_or((now, now));
            self.meter.span = Some((first, self.free_at));
        }
        self.free_at
    }

    fn done(&mut self) {
        self.inside -= 1;
        if self.inside == 0 {
            let now = Instant::now();
            self.meter.busy += now - self.changed;
            self.changed = now;
        }
    }
}

struct Shared {
    drive: Mutex<Drive>,
    bytes: Mutex<Vec<u8>>,
}

/// What is answered when its time has come.
enum Answer {
    Read(ReplyData, Range<usize>),
    Written(ReplyWrite, u32),
    Flushed(ReplyEmpty),
}

/// The image; unmounted in the end. What is mounted on it must go first.
pub struct ThrottledImage {
    shared: Arc<Shared>,
    folder: PathBuf,
    session: Option<BackgroundSession>,
}

impl ThrottledImage {
    /// Serves an image of zeros in a folder, which is made, with no limit at first; none, and a
    /// skip, if that cannot be done here.
    #[track_caller]
    pub fn new(folder: &Path, mib: u64) -> Option<Self> {
        if !is_root() || !Path::new("/dev/fuse").exists() {
            skip("only root can mount, and /dev/fuse is needed");
            return None;
        }
        fs::create_dir_all(folder).unwrap();
        let now = Instant::now();
        let drive = Drive {
            throttle: Throttle::default(),
            free_at: now,
            since_pause: 0,
            inside: 0,
            changed: now,
            meter: Meter::default(),
        };
        let mut bytes = vec![0; (mib << 20) as usize];
        // Memory that is given only when it is first written to would take its time then.
        bytes.chunks_mut(4096).for_each(|page| *std::hint::black_box(&mut page[0]) = 0);
        let bytes = Mutex::new(bytes);
        let shared = Arc::new(Shared { drive: Mutex::new(drive), bytes });
        let (queue, answers) = channel();
        let served = shared.clone();
        // Ends with the server, which holds the other end.
        thread::spawn(move || answer_in_time(&served, &answers));
        let server = Server { shared: shared.clone(), queue };
        match fuser::spawn_mount(server, folder, &Config::default()) {
            Ok(session) => Some(Self { shared, folder: folder.into(), session: Some(session) }),
            Err(error) => {
                skip(&format!("no FUSE: {error}"));
                None
            }
        }
    }

    /// Where it is.
    pub fn path(&self) -> PathBuf {
        self.folder.join("image")
    }

    /// How fast it is from now on; its first pause comes after so many bytes less.
    pub fn throttle(&self, throttle: Throttle, first_pause_sooner: u64) {
        let mut drive = lock(&self.shared.drive);
        drive.throttle = throttle;
        drive.since_pause = first_pause_sooner;
    }

    /// Begins to count anew.
    pub fn reset(&self) {
        let mut drive = lock(&self.shared.drive);
        drive.meter = Meter::default();
        drive.changed = Instant::now();
    }

    /// What it did since.
    pub fn meter(&self) -> Meter {
        lock(&self.shared.drive).meter.clone()
    }
}

impl Drop for ThrottledImage {
    fn drop(&mut self) {
        // What is still unwritten above is written at once.
        self.throttle(Throttle::default(), 0);
        // As of a faulty image: its thread ends when the loop device has let go of it.
        Command::new("umount").arg("-l").arg(&self.folder).output().ok();
        drop(self.session.take());
    }
}

/// Answers requests in their order, each when it is done.
fn answer_in_time(shared: &Shared, answers: &Receiver<(Instant, Answer)>) {
    for (when, answer) in answers {
        thread::sleep(when.saturating_duration_since(Instant::now()));
        // Before the answer, which may be followed by the next request at once.
        lock(&shared.drive).done();
        match answer {
            Answer::Read(reply, range) => reply.data(&lock(&shared.bytes)[range]),
            Answer::Written(reply, len) => reply.written(len),
            Answer::Flushed(reply) => reply.ok(),
        }
    }
}

struct Server {
    shared: Arc<Shared>,
    queue: Sender<(Instant, Answer)>,
}

impl Server {
    fn size(&self) -> usize {
        lock(&self.shared.bytes).len()
    }

    fn range(&self, offset: u64, len: usize) -> Range<usize> {
        let size = self.size();
        let start = size.min(offset as usize);
        start..size.min(start + len)
    }

    /// Lets a request wait for its time.
    fn take(&self, admit: impl FnOnce(&mut Drive) -> Instant, answer: Answer) {
        let when = admit(&mut lock(&self.shared.drive));
        self.queue.send((when, answer)).unwrap();
    }
}

impl Filesystem for Server {
    fn init(&mut self, _: &Request, config: &mut KernelConfig) -> io::Result<()> {
        // So that the loop device can ask several things at once. Any kernel that is in use can.
        config.add_capabilities(InitFlags::FUSE_ASYNC_DIO).ok();
        Ok(())
    }

    fn lookup(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEntry) {
        match attributes(IMAGE, self.size() as u64) {
            Some(found) if parent == INodeNo::ROOT && name == "image" => {
                reply.entry(&TTL, &found, Generation(0));
            }
            _ => reply.error(Errno::ENOENT),
        }
    }

    fn getattr(&self, _: &Request, inode: INodeNo, _: Option<FileHandle>, reply: ReplyAttr) {
        match attributes(inode, self.size() as u64) {
            Some(found) => reply.attr(&TTL, &found),
            None => reply.error(Errno::ENOENT),
        }
    }

    fn open(&self, _: &Request, _: INodeNo, _: OpenFlags, reply: ReplyOpen) {
        // Nothing is kept by the kernel on this side of the loop device.
        let flags = FopenFlags::FOPEN_DIRECT_IO | FopenFlags::FOPEN_PARALLEL_DIRECT_WRITES;
        reply.opened(FileHandle(0), flags);
    }

    fn read(
        &self,
        _: &Request,
        _: INodeNo,
        _: FileHandle,
        offset: u64,
        size: u32,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyData,
    ) {
        let range = self.range(offset, size as usize);
        let len = range.len();
        let admit = |drive: &mut Drive| {
            drive.meter.read += len as u64;
            drive.admit(Throttle::time(drive.throttle.read, len), len)
        };
        self.take(admit, Answer::Read(reply, range));
    }

    fn write(
        &self,
        _: &Request,
        _: INodeNo,
        _: FileHandle,
        offset: u64,
        data: &[u8],
        _: WriteFlags,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyWrite,
    ) {
        let range = self.range(offset, data.len());
        let len = range.len();
        lock(&self.shared.bytes)[range].copy_from_slice(&data[..len]);
        let admit = |drive: &mut Drive| {
            drive.meter.written += len as u64;
            drive.admit(Throttle::time(drive.throttle.write, len), len)
        };
        self.take(admit, Answer::Written(reply, len as u32));
    }

    fn flush(&self, _: &Request, _: INodeNo, _: FileHandle, _: LockOwner, reply: ReplyEmpty) {
        reply.ok();
    }

    fn fsync(&self, _: &Request, _: INodeNo, _: FileHandle, _: bool, reply: ReplyEmpty) {
        let admit = |drive: &mut Drive| {
            drive.meter.flushes += 1;
            drive.admit(drive.throttle.flush, 0)
        };
        self.take(admit, Answer::Flushed(reply));
    }

    fn fallocate(
        &self,
        _: &Request,
        _: INodeNo,
        _: FileHandle,
        _: u64,
        _: u64,
        _: i32,
        reply: ReplyEmpty,
    ) {
        reply.error(Errno::EOPNOTSUPP);
    }
}
