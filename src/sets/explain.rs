//! What lies beside the sets on a drive and explains it to whoever finds it. No hash covers these
//! files, and no reader needs them.

use crate::format::ids::ShipmentId;
use std::fmt::Write as _;

/// The specification, as it lies on every drive.
const FORMAT_MD: &str = include_str!("../format/format.md");
/// The reader in Python, as it lies on every drive.
const READER_PY: &str = include_str!("../../tests/reference_reader.py");
/// The names of these files in `holdall/`.
pub const BESIDE_SETS: [&str; 3] = ["README.txt", "format.md", "reader.py"];

/// Names and texts of the files in `holdall/` of a drive.
pub fn beside_sets(shipment: ShipmentId, name: &str, contact: &str) -> [(&'static str, String); 3] {
    let [first, second, third] = BESIDE_SETS;
    let readme = readme(shipment, name, contact);
    [(first, readme), (second, FORMAT_MD.into()), (third, READER_PY.into())]
}

/// What a person reads who finds the drive.
fn readme(shipment: ShipmentId, name: &str, contact: &str) -> String {
    let mut t = String::from(
        "This drive was packed by holdall, a tool that moves datasets on drives.\n\
         It carries a part of a dataset, encrypted. It hides nothing else.\n\n",
    );
    // Writing to a String cannot fail.
    let _ = writeln!(t, "Dataset:  {}", if name.is_empty() { "(no name)" } else { name });
    let contact = if contact.is_empty() { "(nobody was named)" } else { contact };
    let _ = writeln!(t, "Contact:  {contact}");
    let _ = writeln!(t, "Shipment: {shipment}\n");
    t.push_str(
        "If you found this drive, please ask the contact above.\n\
         To check it, no key is needed: holdall verify, or with b3sum alone:\n\
         \x20   cd holdall/<folder of the set> && b3sum --check checklist.b3\n\
         To restore it you need the other drives and the recipient's key:\n\
         \x20   holdall restore DRIVE ... -i KEY --to FOLDER\n\
         Without holdall: format.md beside this file specifies every byte, and reader.py\n\
         restores with Python alone.\n",
    );
    t
}
