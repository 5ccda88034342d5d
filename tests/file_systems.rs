//! Goal: nothing is believed unread. On every file system that drives are sold or made with, what
//! changes on the medium behind the caches is seen; drives that fill up, lie about their size or
//! die while they are written to are told, and what can be saved is. What a destination does not take
//! or keep is told, and costs nothing else.
#![allow(clippy::unwrap_used, clippy::type_complexity, clippy::format_push_string)]

mod common;

mod file_systems {
    mod attended;
    mod destination;
    mod dying;
    mod faulty;
    mod locks;
    mod medium;
    mod pulled;
    mod room;
    mod wrapping;
}
