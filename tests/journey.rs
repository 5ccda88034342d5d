//! Goal: the whole journey holds. What is packed comes back bit for bit after every loss that the
//! rule allows, after damage anywhere, after being killed; and what cannot come back is named.
#![allow(clippy::unwrap_used, clippy::type_complexity, clippy::format_push_string)]

mod common;

mod journey {
    mod again;
    mod against;
    mod along;
    mod authentic;
    mod bad_blocks;
    mod balance;
    mod beyond;
    mod blind;
    mod changing;
    mod closing;
    mod damage;
    mod damaged_state;
    mod determinism;
    mod earlier;
    mod few_ports;
    mod forged;
    mod hostile;
    mod interrupted;
    mod keys;
    mod kills;
    mod lists_first;
    mod loop_drives;
    mod losses;
    mod matrix;
    mod metadata_files;
    mod numbers;
    mod planned;
    mod quick;
    mod reads;
    mod rejected;
    mod repair;
    mod repair_onto;
    mod resume;
    mod rivals;
    mod rounds;
    mod roundtrip;
    mod selection;
    mod several_sets;
    mod stored;
    mod told;
    mod unclosed;
    mod untrusted;
    mod verify;
    mod waiting;
    mod ways_out;
    mod wild;
    mod writing;
}
