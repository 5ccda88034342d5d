//! What a dataset takes on the drives: what one stream of tar and zstd at the same level takes, whatever
//! is in it, but for the padding of blocks, their tags and their hashes; and of tiny files, a few bytes
//! each.

use crate::common::random::Random;
use crate::common::shipment::Shipment;
use crate::common::{has_programs, tree};
use std::io::{Read, Write};
use std::process::{Command, Stdio};

/// What every drive carries whatever is packed: README.txt, format.md, reader.py, label, keys.
const FIXED_BYTES: u64 = 200_000;
/// What blocks cost: one part in so many.
const BLOCKS_PART: u64 = 200;
/// The level of both.
const LEVEL: i32 = 3;

/// Packs a dataset without parity onto one drive; the bytes of all files there.
fn stored(shipment: &Shipment) -> u64 {
    let mut words = vec!["pack".into(), shipment.source.clone().into_os_string()];
    words.extend(["--folder-drives", "--survive", "none", "--no-read-back", "-r"].map(Into::into));
    words.extend([shipment.recipient.clone().into(), "--level".into()]);
    words.extend([LEVEL.to_string().into(), "--drive".into()]);
    words.push(format!("a={}", shipment.drives[0].1.display()).into());
    shipment.run(words).expect(0);
    let files = tree::walk(&shipment.drives[0].1);
    files
        .iter()
        .map(|path| path.symlink_metadata().unwrap())
        .filter(std::fs::Metadata::is_file)
        .map(|m| m.len())
        .sum()
}

/// The bytes of one stream of tar and zstd.
fn tar_and_zstd(shipment: &Shipment) -> u64 {
    let mut tar = Command::new("tar");
    tar.args(["--sort=name", "-c", "-C"]).arg(&shipment.source).arg(".");
    let mut tar = tar.stdout(Stdio::piped()).spawn().unwrap();
    let mut zstd = zstd::stream::read::Encoder::new(tar.stdout.take().unwrap(), LEVEL).unwrap();
    let (mut bytes, mut buffer) = (0, vec![0; 1 << 20]);
    loop {
        match zstd.read(&mut buffer).unwrap() {
            0 => break,
            read => bytes += read as u64,
        }
    }
    assert!(tar.wait().unwrap().success());
    bytes
}

/// Words that code, mail and records are made of; some are much more frequent than others.
struct Words(Vec<String>);

impl Words {
    fn new(random: &mut Random, count: usize) -> Self {
        let letters = b"etaoinshrdlucmfwyg_";
        let word = |random: &mut Random| {
            let len = 2 + random.below(9);
            (0..len).map(|_| char::from(*random.pick(letters))).collect()
        };
        Self((0..count).map(|_| word(random)).collect())
    }

    fn pick(&self, random: &mut Random) -> &str {
        let most = 1 + random.below(self.0.len());
        &self.0[random.below(most).min(random.below(most))]
    }
}

/// A file of source text: each repeats names of its own, with the form of all.
fn code(random: &mut Random, words: &Words, len: usize) -> Vec<u8> {
    let own: Vec<&str> = (0..40).map(|_| words.pick(random)).collect();
    let mut text =
        String::from("// Licensed to whom it may concern, as the file LICENSE says.\n\n");
    while text.len() < len {
        let (a, b, c) = (*random.pick(&own), *random.pick(&own), *random.pick(&own));
        let number = random.below(5000);
        match random.below(6) {
            0 => text += &format!("static int {a}_{b}(struct {c} *{c}, int {a})\n{{\n"),
            1 => text += &format!("\tif ({a}->{b} < {number})\n\t\treturn -{c};\n"),
            2 => text += &format!("\t{a} = {b}({c}, {number});\n"),
            3 => {
                text +=
                    &format!("\t/* {a} {} {b} {} {c} */\n", words.pick(random), words.pick(random));
            }
            4 => text += &format!("\tfor ({a} = 0; {a} < {b}; {a}++)\n\t\t{c}[{a}] = {number};\n"),
            _ => text += "}\n\n",
        }
    }
    text.into_bytes()
}

fn mail(random: &mut Random, words: &Words, len: usize) -> Vec<u8> {
    let (from, to) = (words.pick(random), words.pick(random));
    let id = random.below(1 << 40);
    let mut text = format!(
        "From: {from}@example.org\nTo: {to}@example.com\nMessage-ID: <{id:x}@example.org>\n\
         Content-Type: text/plain; charset=utf-8\n\n"
    );
    while text.len() < len {
        if random.below(12) == 0 {
            text += "\n> ";
        }
        text += words.pick(random);
        text.push(' ');
    }
    text.into_bytes()
}

fn record(random: &mut Random, words: &Words, number: usize, as_json: bool) -> String {
    let (name, a, b) = (words.pick(random), random.below(10_000), random.below(1 << 30));
    if as_json {
        format!(
            "{{\"id\":\"{b:08x}\",\"time\":{},\"name\":\"{name}\",\"mean\":0.{a:04}}}\n",
            1_763_800_000 + number
        )
    } else {
        format!(
            "2026-11-{:02}T{:02}:{:02}:00,{name},{a},{}\n",
            number / 1440 % 30 + 1,
            number / 60 % 24,
            number % 60,
            number * 3
        )
    }
}

fn records(shipment: &Shipment, random: &mut Random, words: &Words, name: &str, bytes: usize) {
    let mut file =
        std::io::BufWriter::new(std::fs::File::create(shipment.source.join(name)).unwrap());
    let (mut written, mut number) = (0, 0);
    while written < bytes {
        let line = record(random, words, number, name.ends_with("json"));
        file.write_all(line.as_bytes()).unwrap();
        (written, number) = (written + line.len(), number + 1);
    }
    file.flush().unwrap();
}

/// Fills folders with files of about `mean` bytes, `bytes` in all.
fn files(
    shipment: &Shipment,
    random: &mut Random,
    (name, mean, bytes): (&str, usize, usize),
    content: impl Fn(&mut Random, usize) -> Vec<u8>,
) {
    let (mut written, mut number) = (0, 0);
    while written < bytes {
        let len = 200 + random.below(mean) * random.below(5);
        let folder = number / 60;
        let path = shipment
            .source
            .join(format!("{name}-{:02}/{folder:04}/{number:06}.{name}", folder % 7));
        tree::write(&path, &content(random, len));
        (written, number) = (written + len, number + 1);
    }
}

#[track_caller]
fn assert_what_tar_takes(fill: impl FnOnce(&Shipment, &mut Random, &Words)) {
    if !has_programs(&["tar"]) {
        return;
    }
    let shipment = Shipment::new(&[1]);
    let mut random = Random::new("stored");
    let words = Words::new(&mut random, 4000);
    fill(&shipment, &mut random, &words);
    let (own, tar) = (stored(&shipment), tar_and_zstd(&shipment));
    println!("{own} bytes, tar and zstd {tar}");
    let most = tar + tar / BLOCKS_PART + FIXED_BYTES;
    assert!(own <= most, "{own} bytes, tar and zstd {tar}");
}

#[test]
fn source_text_takes_what_tar_and_zstd_take() {
    assert_what_tar_takes(|shipment, random, words| {
        files(shipment, random, ("c", 8000, 100 << 20), |random, len| code(random, words, len));
    });
}

#[test]
fn mail_takes_what_tar_and_zstd_take() {
    assert_what_tar_takes(|shipment, random, words| {
        files(shipment, random, ("eml", 4000, 50 << 20), |random, len| mail(random, words, len));
    });
}

#[test]
fn tables_take_what_tar_and_zstd_take() {
    assert_what_tar_takes(|shipment, random, words| {
        records(shipment, random, words, "stations.csv", 100 << 20);
    });
}

#[test]
fn records_take_what_tar_and_zstd_take() {
    assert_what_tar_takes(|shipment, random, words| {
        records(shipment, random, words, "events.json", 100 << 20);
    });
}

#[test]
fn a_mixed_tree_takes_what_tar_and_zstd_take() {
    assert_what_tar_takes(|shipment, random, words| {
        files(shipment, random, ("c", 8000, 40 << 20), |random, len| code(random, words, len));
        files(shipment, random, ("eml", 4000, 20 << 20), |random, len| mail(random, words, len));
        files(shipment, random, ("jpg", 400_000, 60 << 20), Random::bytes);
        records(shipment, random, words, "a.csv", 20 << 20);
        records(shipment, random, words, "b.json", 20 << 20);
    });
}

/// The content of each is some 20 bytes.
#[test]
fn tiny_files_take_a_few_bytes_each() {
    const FILES: u64 = 40_000;
    let shipment = Shipment::new(&[1]);
    let mut random = Random::new("tiny");
    for number in 0..FILES {
        let path = shipment.source.join(format!("{:03}/{number:07}.json", number / 500));
        tree::write(
            &path,
            format!("{{\"n\":{number},\"v\":{}}}", random.below(1 << 20)).as_bytes(),
        );
    }
    let bytes = stored(&shipment);
    assert!(bytes <= FIXED_BYTES + 30 * FILES, "{bytes}");
}
