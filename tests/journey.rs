//! Goal: the whole journey holds. What is packed comes back bit for bit after every loss that the
//! rule allows, after damage anywhere, after being killed; and what cannot come back is named.
#![allow(clippy::unwrap_used, clippy::type_complexity, clippy::format_push_string)]
#![allow(missing_docs, reason = "tests")]

mod common;

mod journey {
    mod again;
    mod along;
    mod balance;
    mod changing;
    mod closing;
    mod damage;
    mod determinism;
    mod few_ports;
    mod interrupted;
    mod kills;
    mod loop_drives;
    mod losses;
    mod matrix;
    mod numbers;
    mod papers;
    mod quick;
    mod reads;
    mod repair;
    mod repair_onto;
    mod resume;
    mod rounds;
    mod roundtrip;
    mod selection;
    mod several_sets;
    mod verify;
    mod waiting;
    mod ways_out;
    mod wild;
    mod writing;
}
