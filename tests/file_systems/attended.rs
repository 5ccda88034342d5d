//! A person attaches the drives of the next set at a terminal, and takes others in their place.

use crate::common::mounted::{Memory, tried};
use crate::common::random::Random;
use crate::common::shipment::Shipment;
use crate::common::terminal::Terminal;
use crate::common::{has_programs, is_root, skip, tree};
use std::ffi::{OsStr, OsString};
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

/// Are these drives, and no others, the last that were offered, in this order?
fn are_offered(asked: &str, points: &[&PathBuf]) -> bool {
    let table = asked.rsplit("rives:").next().unwrap();
    let rows = table.lines().filter(|line| line.contains(" MB  "));
    let rows: Vec<Vec<&str>> = rows.map(|line| line.split_whitespace().collect()).collect();
    let is_row = |(number, (row, point)): (usize, (&Vec<&str>, &&PathBuf))| {
        row[0] == (number + 1).to_string() && Path::new(row[1]).file_name() == point.file_name()
    };
    rows.len() == points.len() && rows.iter().zip(points).enumerate().all(is_row)
}

#[track_caller]
fn assert_offered(asked: &str, points: &[&PathBuf]) {
    assert!(are_offered(asked, points), "{asked}");
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
    let (mut terminal, namespace) = alone(shipment, &pack, "");
    terminal.until("they are noticed");
    (terminal, namespace())
}

/// Runs the program where nothing of other tests is mounted, after lines of the shell's; the namespace
/// is there once the program has said something.
fn alone<'s>(
    shipment: &'s Shipment,
    words: &[OsString],
    first: &str,
) -> (Terminal, impl Fn() -> Namespace + use<'s>) {
    let pid = shipment.path().join("pid");
    let program = [env!("CARGO_BIN_EXE_holdall")].into_iter();
    let words = program.chain(words.iter().map(|word| word.to_str().unwrap()));
    let others = format!(
        "awk -v t={} -v own={} 'index($2, t) == 1 && index($2, own) != 1 {{ print $2 }}' \
         /proc/self/mounts | tac | xargs -r umount -l",
        std::env::temp_dir().display(),
        shipment.path().display(),
    );
    let words = shlex::try_join(words).unwrap();
    let inner = format!("{others}; {first} echo $$ > {}; exec {words}", pid.display());
    let line = format!("exec unshare -m sh -c {}", shlex::try_quote(&inner).unwrap());
    let namespace = move || Namespace(fs::read_to_string(&pid).unwrap().trim().to_owned());
    (Terminal::shell(&shipment.state(), &line), namespace)
}

/// Issue 14, review A4: without --drive what is attached is offered, never this machine's own disks;
/// one is left out; the next set's drive comes at the same mount point, which is the usual case, and
/// its case is proposed. The cases are remembered, and a shipment is resumed on offered drives too.
#[test]
fn drives_are_offered_and_change_places_at_one_mount_point() {
    let shipment = Shipment::new(&[1]);
    let Some(images) = images(shipment.path(), &["x", "y", "z"]) else { return };
    let [x, y, z] = &images[..] else { unreachable!() };
    let mut random = Random::new("offered");
    for number in 0..25 {
        let path = shipment.source.join(format!("{number:02}"));
        tree::write(&path, &random.bytes(1 << 20));
    }
    let [one, two] = ["T7", "backup"].map(|name| shipment.path().join(name));
    [&one, &two].into_iter().for_each(|point| fs::create_dir(point).unwrap());
    let mut pack = shipment.pack_arguments("none", &["--no-read-back"]);
    let at = pack.iter().position(|word| word == "--drive").unwrap();
    pack.drain(at..at + 2);
    pack.retain(|word| word != "--folder-drives");
    let at = pack.iter().position(|word| word == tree::GEOMETRY).unwrap();
    pack[at] = "262144,65536,16".into();
    let mount = |image: &Path, point: &Path| {
        format!("mount -t ext4 -o loop {} {} &&", image.display(), point.display())
    };
    let first = format!("{} {}", mount(x, &one), mount(z, &two));

    // Nobody to ask: the option is named.
    let refused = shipment.run(pack.clone()).expect(2);
    assert!(refused.stderr.contains("--drive CASE=PATH"), "{}", refused.shown());

    let (mut terminal, namespace) = alone(&shipment, &pack, &first);
    let asked = terminal.until(QUESTION);
    assert_offered(&asked, &[&one, &two]);
    assert!(asked.contains("(yes: a a)"), "{asked}");
    terminal.types("north -");
    terminal.until("the rest on further sets? [y/N]");
    terminal.types("y");
    terminal.until("they are noticed");
    let namespace = namespace();
    // What was left out is offered again, and is not proposed.
    assert_offered(&terminal.until(QUESTION), &[&two]);
    namespace.unmount(&one);
    namespace.mount(y, &one);
    let mut asked = terminal.until(QUESTION);
    while !are_offered(&asked, &[&one, &two]) {
        asked = terminal.until(QUESTION);
    }
    assert!(asked.contains("(yes: north -)"), "{asked}");
    terminal.types("stop");
    let (status, text) = terminal.end();
    assert_eq!(status, 4, "{text}");
    let known = fs::read_to_string(shipment.state().join("holdall/drives.json")).unwrap();
    assert_eq!(known.matches("north").count(), 1, "{known}");

    // Resumed: the drive of the first set is not offered again.
    let first = format!("{} {}", mount(y, &one), mount(x, &two));
    let resume = ["resume", "--no-read-back"].map(OsString::from);
    let (mut terminal, _) = alone(&shipment, &resume, &first);
    let asked = terminal.until(QUESTION);
    assert_offered(&asked, &[&one]);
    assert!(asked.contains("(yes: north)"), "{asked}");
    terminal.types("yes");
    let (status, text) = terminal.end();
    assert!(status == 0 && text.contains("Packed "), "{text}");
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
    let (mut terminal, namespace) = first_set(&shipment, "none");

    namespace.mount(x, &one);
    assert_offered(&terminal.until(QUESTION), &[&one]);
    // Another in its place while it is asked: that one is asked about, and left out.
    namespace.unmount(&one);
    namespace.mount(y, &one);
    terminal.until("The drives have changed");
    while !are_offered(&terminal.until(QUESTION), &[&one]) {}
    terminal.types("-");
    // The first one again, where the one that was left out had been.
    namespace.unmount(&one);
    namespace.mount(x, &one);
    terminal.until(QUESTION);
    namespace.mount(z, &two);
    while !are_offered(&terminal.until(QUESTION), &[&one, &two]) {}
    terminal.types("South -");
    terminal.until("The case so far: North. Is South another one? [y/N] ");
    terminal.types("y");
    // The next round: what was left out is asked about again, and every set's cases are known.
    terminal.until("they are noticed");
    assert_offered(&terminal.until(QUESTION), &[&two]);
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
    assert_offered(&terminal.until(QUESTION), &[&one]);
    namespace.mount(&images[1], &two);
    while !are_offered(&terminal.until(QUESTION), &[&one, &two]) {}
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
