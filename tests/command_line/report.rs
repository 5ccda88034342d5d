//! `report`: one document with nothing to load, whatever names are in it, and codes that a decoder
//! reads.

use crate::common::is_root;
use crate::common::shipment::Shipment;
use crate::common::tree::{self, CHUNK};
use crate::{assert_refused, holdall};
use html5ever::tendril::TendrilSink;
use html5ever::{ParseOpts, parse_document};
use markup5ever_rcdom::{Handle, NodeData, RcDom};
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;

const NAME: &str = "\"</title><script>alert('name')</script>& \u{5d0}\u{5d1}";
const CONTACT: &str = "<img src=https://example.org onerror=alert(1)> 'q'";

/// An element of the page: its name, its attributes and its text.
struct Element {
    name: String,
    attributes: Vec<(String, String)>,
    text: String,
}

impl Element {
    fn attribute(&self, name: &str) -> &str {
        self.attributes.iter().find(|(known, _)| known == name).map_or("", |(_, value)| value)
    }
}

/// All elements of a document that a browser's parser finds nothing wrong with.
#[track_caller]
fn elements(html: &str) -> Vec<Element> {
    let dom = parse_document(RcDom::default(), ParseOpts::default()).one(html);
    assert_eq!(*dom.errors.borrow(), Vec::<String>::new(), "{html}");
    let mut found = Vec::new();
    walk(&dom.document, &mut found);
    found
}

/// The text below a node; elements are noted on the way.
fn walk(node: &Handle, found: &mut Vec<Element>) -> String {
    let mut text = String::new();
    if let NodeData::Text { contents } = &node.data {
        text.push_str(&contents.borrow());
    }
    let at = found.len();
    if let NodeData::Element { name, attrs, .. } = &node.data {
        let attributes = attrs.borrow();
        let attributes =
            attributes.iter().map(|a| (a.name.local.to_string(), a.value.to_string())).collect();
        found.push(Element { name: name.local.to_string(), attributes, text: String::new() });
    }
    for child in node.children.borrow().iter() {
        text.push_str(&walk(child, found));
    }
    if matches!(node.data, NodeData::Element { .. }) {
        found[at].text.clone_from(&text);
    }
    text
}

/// What the code that is drawn with this path says, in 4 pixels a module.
fn decoded(width: usize, path: &str) -> String {
    const PIXELS: usize = 4;
    let mut dark = vec![false; width * width];
    for run in path.split('M').skip(1) {
        let (place, len) = run.split_once('h').unwrap();
        let (x, y) = place.split_once(' ').unwrap();
        // Four modules of white are around it.
        let at = (y.parse::<usize>().unwrap() + 4) * width + x.parse::<usize>().unwrap() + 4;
        dark[at..at + len.parse::<usize>().unwrap()].fill(true);
    }
    let pixel = |x, y| if dark[y / PIXELS * width + x / PIXELS] { 0 } else { 255 };
    let size = width * PIXELS;
    let mut image = rqrr::PreparedImage::prepare_from_greyscale(size, size, pixel);
    let codes = image.detect_grids();
    assert_eq!(codes.len(), 1);
    codes[0].decode().unwrap().1
}

/// What all codes of a page say, in order.
fn codes(elements: &[Element]) -> Vec<String> {
    let mut codes = Vec::new();
    for (at, element) in elements.iter().enumerate() {
        if element.attribute("class") == "qr" {
            let width = element.attribute("viewBox").rsplit(' ').next().unwrap();
            let path = elements[at..].iter().find(|e| e.name == "path").unwrap();
            codes.push(decoded(width.parse().unwrap(), path.attribute("d")));
        }
    }
    codes
}

/// Four drives in two cases, with names that mean harm wherever one can be given.
fn hostile() -> Shipment {
    let mut shipment = Shipment::new(&[2, 2]);
    let long = "W".repeat(32);
    shipment.drives[..2].iter_mut().for_each(|(case, _)| case.clone_from(&long));
    for folder in [
        &b"<script>alert(1)<"[..],
        b"\" onload=\"alert(1)",
        b"a\nb\x1b[31m",
        b"\xff\xfe",
        "\u{202e}gpj\u{5d0}".as_bytes(),
    ] {
        tree::write(&shipment.source.join(OsStr::from_bytes(folder)).join("file"), &[1; CHUNK]);
    }
    let more = ["--name", NAME, "--contact", CONTACT];
    shipment.run(shipment.pack_arguments("cases=1", &more)).expect(0);
    shipment
}

/// Review E5: what to write on which drive, and a report to put in the case.
#[test]
fn a_report_is_one_document_whatever_is_in_it() {
    let shipment = hostile();
    let page = shipment.path().join("page.html");
    let mut words: Vec<&OsStr> = ["report", "-o"].map(OsStr::new).into();
    words.extend([page.as_os_str(), "-i".as_ref(), shipment.key.as_os_str()]);
    let paths = shipment.paths();
    // One drive is not here.
    let told = shipment.run(words.iter().copied().chain(paths[..3].iter().map(|p| p.as_os_str())));
    let told = told.expect(0).stdout;
    assert!(told.contains("4 drives in 2 cases, 1 of them not seen now"), "{told}");
    assert_eq!(fs::metadata(&page).unwrap().permissions().mode() & 0o077, 0, "it names folders");

    let html = fs::read_to_string(&page).unwrap();
    assert!(!html.contains(|c: char| c.is_control() && c != '\n'));
    assert!(!html.contains('\u{202e}'), "nothing turns what stands beside it");
    let elements = elements(&html);
    let named = |name: &'static str| elements.iter().filter(move |e| e.name == name);
    let allowed = "html head meta title style body main header section article div span p h1 h2 h3 \
                   dl dt dd ol ul li table thead tbody tr th td b strong code wbr bdi time figure \
                   figcaption svg g rect path text";
    for Element { name, attributes, .. } in &elements {
        assert!(allowed.split_whitespace().any(|known| known == name), "{name}");
        for (attribute, value) in attributes {
            assert!(!attribute.starts_with("on") && attribute != "style", "{attribute}");
            assert!(!["href", "src", "xlink:href", "action"].contains(&&attribute[..]));
            assert!(!value.contains("://") || attribute == "xmlns", "{attribute}={value}");
        }
    }
    let style = &named("style").next().unwrap().text;
    assert!(!style.contains("url(") && !style.contains("@import"), "{style}");
    let policy = named("meta").find(|e| e.attribute("http-equiv") == "Content-Security-Policy");
    assert!(policy.unwrap().attribute("content").starts_with("default-src 'none';"));
    assert_eq!(named("title").next().unwrap().attributes.len(), 0);

    let body = &named("body").next().unwrap().text;
    for shown in [
        NAME,
        CONTACT,
        "<script>alert(1)<",
        "\" onload=\"alert(1)",
        "a\\nb\\u{1b}[31m",
        "\\xff\\xfe",
        "\\u{202e}gpj\u{5d0}",
        "You can lose any 1 case.",
        "5 files, 6 folders",
    ] {
        assert!(body.contains(shown), "{shown:?} is not in\n{body}");
    }
    let set = shipment.set_folder(0);
    let root = blake3::hash(&fs::read(set.join("set.txt")).unwrap()).to_hex();
    let set = set.file_name().unwrap().to_str().unwrap();
    let long = "W".repeat(32);
    let expected = [(1, long.as_str()), (2, &long), (3, "b"), (4, "b")];
    let expected =
        expected.map(|(slot, case)| format!("holdall {set} slot {slot} case {case} root {root}"));
    assert_eq!(codes(&elements), expected);
    // The one that is not here has neither fill nor state.
    let not_seen = named("text").filter(|text| text.text == "not seen");
    assert_eq!(not_seen.count(), 1);
    let levels = named("rect").filter(|rect| rect.attribute("class") == "level");
    assert!(levels.count() <= 3);
}

#[test]
fn labels_alone_are_nothing_else_and_no_other_file_is_replaced() {
    let shipment = Shipment::new(&[1, 1]);
    tree::write(&shipment.source.join("file"), b"some bytes");
    shipment.run(shipment.pack_arguments("cases=1", &[])).expect(0);
    let (page, other) = (shipment.path().join("page.html"), shipment.path().join("other.html"));
    let report = |to: &std::path::Path, more: &[&str]| {
        let mut command = holdall(shipment.path());
        command.arg("report").arg("-o").arg(to).args(more).args(shipment.paths());
        command
    };
    report(&page, &[]).assert().code(0);
    let whole = fs::read_to_string(&page).unwrap();
    assert!(elements(&whole).iter().any(|e| e.name == "h2" && e.text == "How to restore"));
    // An earlier report is replaced.
    report(&page, &["--labels", "--size", "letter"]).assert().code(0);
    let labels = fs::read_to_string(&page).unwrap();
    let elements = elements(&labels);
    assert_eq!(elements.iter().filter(|e| e.attribute("class") == "label").count(), 2);
    assert!(!elements.iter().any(|e| ["h1", "h2", "table"].contains(&&e.name[..])));
    assert!(labels.contains("size: letter"), "{labels}");
    let output = report("-".as_ref(), &["--labels", "--size", "letter"]).output().unwrap();
    assert_eq!(String::from_utf8(output.stdout).unwrap(), labels);

    fs::write(&other, "<!DOCTYPE html>\n<p>mine").unwrap();
    let words = ["another file is there", "only an earlier report is replaced"];
    assert_refused(&mut report(&other, &[]), 1, &words);
    assert_eq!(fs::read_to_string(&other).unwrap(), "<!DOCTYPE html>\n<p>mine");
    assert_refused(&mut report(shipment.path(), &[]), 1, &["name a file in that folder"]);
    assert_refused(&mut report("-".as_ref(), &["--json"]), 2, &["standard output"]);
    if !is_root() {
        fs::set_permissions(shipment.path(), fs::Permissions::from_mode(0o500)).unwrap();
        assert_refused(&mut report(&shipment.path().join("new"), &[]), 1, &["cannot write"]);
        fs::set_permissions(shipment.path(), fs::Permissions::from_mode(0o700)).unwrap();
    }
}
