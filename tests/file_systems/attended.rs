//! A person attaches the drives of the next set at a terminal, and takes others in their place.

use crate::common::mounted::{Memory, tried};
use crate::common::random::Random;
use crate::common::shipment::Shipment;
use crate::common::terminal::Terminal;
use crate::common::{has_programs, is_root, skip, tree};
use std::ffi::OsStr;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

const QUESTION: &str = "or stop: ";

/// A mount namespace in which `holdall` runs: mounts of other tests are no drives there.
struct Namespace(String);

impl Namespace {
    #[track_caller]
    fn run(&self, words: &[&OsStr]) {
        let mut command = Command::new("nsenter");
        let done = tried(command.args(["-t", &self.0, "-m"]).args(words));
        assert!(done.status.success(), "{words:?}: {}", String::from_utf8_lossy(&done.stderr));
    }

    #[track_caller]
    fn mount(&self, image: &Path, point: &Path) {
        let words = ["mount", "-t", "ext4", "-o", "loop"].map(OsStr::new);
        self.run(&[&words[..], &[image.as_os_str(), point.as_os_str()]].concat());
    }

    #[track_caller]
    fn unmount(&self, point: &Path) {
        self.run(&["umount".as_ref(), point.as_os_str()]);
    }
}

/// Images of ext4 by name; none, and a skip, if they cannot be had or mounted here.
fn images(folder: &Path, names: &[&str]) -> Option<Vec<PathBuf>> {
    if !is_root() {
        skip("only root can mount loop devices");
        return None;
    }
    if !has_programs(&["script", "unshare", "nsenter", "mkfs.ext4", "mount", "umount"]) {
        return None;
    }
    let image = |name: &&str| {
        let image = folder.join(name).with_extension("image");
        File::create(&image).unwrap().set_len(24 << 20).unwrap();
        let made = Command::new("mkfs.ext4").args(["-q", "-F", "-m", "0"]).arg(&image).output();
        assert!(made.unwrap().status.success());
        image
    };
    let images: Vec<PathBuf> = names.iter().map(image).collect();
    let mut probe = Command::new("unshare");
    probe.args(["-m", "mount", "-t", "ext4", "-o", "loop"]);
    let probe = tried(probe.args([images[0].as_os_str(), folder.as_os_str()]));
    if !probe.status.success() {
        skip(&format!("no loop mounts: {}", String::from_utf8_lossy(&probe.stderr).trim()));
        return None;
    }
    Some(images)
}

/// Packs a first set, its first drive in case North, up to where the next drives are waited for.
fn first_set(shipment: &Shipment, survive: &str) -> (Terminal, Namespace) {
    let mut random = Random::new("attended");
    for number in 0..60 {
        let path = shipment.source.join(format!("{number:02}"));
        tree::write(&path, &random.bytes(1 << 20));
    }
    let mut pack = shipment.pack_arguments(survive, &["--yes", "--no-read-back"]);
    let at = pack.iter().position(|word| word == "--drive").unwrap() + 1;
    pack[at] = format!("North={}", shipment.drives[0].1.display()).into();
    let at = pack.iter().position(|word| word == tree::GEOMETRY).unwrap();
    pack[at] = "262144,65536,16".into();
    let pid = shipment.path().join("pid");
    let program = [env!("CARGO_BIN_EXE_holdall")].into_iter();
    let words = program.chain(pack.iter().map(|word| word.to_str().unwrap()));
    let others = format!(
        "awk -v t={} -v own={} 'index($2, t) == 1 && index($2, own) != 1 {{ print $2 }}' \
         /proc/self/mounts | tac | xargs -r umount -l",
        std::env::temp_dir().display(),
        shipment.path().display(),
    );
    let words = shlex::try_join(words).unwrap();
    let inner = format!("{others}; echo $$ > {}; exec {words}", pid.display());
    let line = format!("exec unshare -m sh -c {}", shlex::try_quote(&inner).unwrap());
    let mut terminal = Terminal::shell(&shipment.state(), &line);
    terminal.until("they are noticed");
    let pid = fs::read_to_string(&pid).unwrap().trim().to_owned();
    (terminal, Namespace(pid))
}

/// Review A2: without paths, the set on the mounted drives is meant; it is named, and a person is
/// asked.
#[test]
fn a_set_on_mounted_drives_is_closed_without_naming_them() {
    let shipment = Shipment::new(&[1]);
    let Some(images) = images(shipment.path(), &["x"]) else { return };
    tree::plain(&shipment.source, "close", 20);
    let point = shipment.drives[0].1.clone();
    let inner = |then: &str| {
        let line = format!(
            "awk -v t={} 'index($2, t) == 1 {{ print $2 }}' /proc/self/mounts | tac | \
             xargs -r umount -l; mount -t ext4 -o loop {} {} && {then}",
            std::env::temp_dir().display(),
            images[0].display(),
            point.display(),
        );
        format!("unshare -m sh -c {}", shlex::try_quote(&line).unwrap())
    };
    let program = env!("CARGO_BIN_EXE_holdall");
    let pack = shipment.pack_arguments("none", &[]);
    let pack = shlex::try_join(pack.iter().map(|word| word.to_str().unwrap())).unwrap();
    let (status, text) =
        Terminal::shell(&shipment.state(), &inner(&format!("{program} {pack}"))).end();
    assert_eq!(status, 0, "{text}");
    let line = inner(&format!(
        "rm -r {0}/holdall/*/set.txt {0}/holdall/*/copy && {program} close",
        point.display()
    ));
    let mut terminal = Terminal::shell(&shipment.state(), &line);
    let asked = terminal.until("Close it? [y/N] ");
    assert!(asked.contains(&format!("on {}", point.display())), "{asked}");
    terminal.types("y");
    let (status, text) = terminal.end();
    assert!(status == 0 && text.contains("is closed with"), "{text}");
    // Nobody to ask: it is not closed.
    let line = inner(&format!("{program} close < /dev/null; echo \"status $?\""));
    let (_, text) = Terminal::shell(&shipment.state(), &line).end();
    assert!(text.contains("there is nobody to ask") && text.contains("status 2"), "{text}");
}

/// Review A4, scale 4: what is asked about is what is there: another drive at the same place, with
/// the same numbers, is a new one, whether it comes while a question is open or later; one that is
/// left out is offered again in the next round. A case is compared with those of all sets.
#[test]
fn drives_that_change_places_at_a_question_are_noticed() {
    let shipment = Shipment::new(&[1]);
    let Some(images) = images(shipment.path(), &["x", "y", "z"]) else { return };
    let [x, y, z] = &images[..] else { unreachable!() };
    let Some(_first) = Memory::new(&shipment.drives[0].1, 8) else { return };
    let [one, two] = ["T7", "T8"].map(|name| shipment.path().join(name));
    [&one, &two].into_iter().for_each(|point| fs::create_dir(point).unwrap());
    let shown = |points: &[&PathBuf]| {
        let lines =
            points.iter().enumerate().map(|(n, p)| format!("  {}  {}  ", n + 1, p.display()));
        lines.collect::<Vec<_>>()
    };
    let (mut terminal, namespace) = first_set(&shipment, "none");

    namespace.mount(x, &one);
    terminal.until(&shown(&[&one])[0]);
    terminal.until(QUESTION);
    // Another in its place while it is asked: that one is asked about, and left out.
    namespace.unmount(&one);
    namespace.mount(y, &one);
    terminal.until("The drives have changed");
    while !terminal.until(QUESTION).contains(&shown(&[&one])[0]) {}
    terminal.types("-");
    // The first one again, where the one that was left out had been.
    namespace.unmount(&one);
    namespace.mount(x, &one);
    terminal.until(QUESTION);
    namespace.mount(z, &two);
    let both = shown(&[&one, &two]);
    let mut asked = String::new();
    while !both.iter().all(|line| asked.contains(line)) {
        asked = terminal.until(QUESTION);
    }
    terminal.types("South -");
    terminal.until("The case so far: North. Is South another one? [y/N] ");
    terminal.types("y");
    // The next round: what was left out is asked about again, and every set's cases are known.
    terminal.until("they are noticed");
    let asked = terminal.until(QUESTION);
    assert!(asked.contains(&shown(&[&two])[0]), "{asked}");
    terminal.types("north");
    terminal.until("has a case North. Is north another one? [y/N] ");
    terminal.types("n");
    terminal.until(QUESTION);
    terminal.types("stop");
    let (status, text) = terminal.end();
    assert_eq!(status, 4, "{text}");
}

/// Review A4: an answer that breaks the shipment's rule is told, and the question is asked again.
#[test]
fn an_answer_that_breaks_the_rule_is_asked_for_again() {
    let shipment = Shipment::new(&[1, 1]);
    let Some(images) = images(shipment.path(), &["x", "y"]) else { return };
    let mount = |(_, point): &(String, PathBuf)| Memory::new(point, 8);
    let Some(_first) = shipment.drives.iter().map(mount).collect::<Option<Vec<_>>>() else {
        return;
    };
    let [one, two] = ["T7", "T8"].map(|name| shipment.path().join(name));
    [&one, &two].into_iter().for_each(|point| fs::create_dir(point).unwrap());
    let (mut terminal, namespace) = first_set(&shipment, "cases=1");
    namespace.mount(&images[0], &one);
    terminal.until(QUESTION);
    terminal.types("South");
    terminal.until("Is South another one? [y/N] ");
    terminal.types("y");
    terminal.until("there is no plan that keeps the rule cases=1");
    let asked = terminal.until(QUESTION);
    assert!(asked.contains(&format!("1  {}", one.display())), "{asked}");
    namespace.mount(&images[1], &two);
    let both = [&one, &two].map(|point| point.to_str().unwrap());
    let mut asked = String::new();
    while !both.iter().all(|point| asked.contains(point)) {
        asked = terminal.until(QUESTION);
    }
    terminal.types("South East");
    for _ in 0..2 {
        terminal.until("another one? [y/N] ");
        terminal.types("y");
    }
    terminal.until("Packed ");
    terminal.until("they are noticed");
    terminal.press("\x03");
    let (status, text) = terminal.end();
    assert_eq!(status, 4, "{text}");
}
