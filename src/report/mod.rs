//! The page of a shipment, to be printed and to travel with it: HTML with its drawings and styles in
//! it, and nothing to load.
//!
//! - Enters: what is known of a shipment and of its drives, words for people among it.
//! - Leaves: one HTML document.
//! - Always holds: (1) text from outside passes [`text::shown`], is escaped by its type, and set apart
//!   from the text around it, so that a name can neither end an element nor turn what stands beside
//!   it; (2) the page names nothing that would have to be fetched, and forbids fetching, scripts and
//!   forms; (3) of a drive that was not seen, neither its state nor how full it is is told; (4) labels
//!   are black on white, whatever the colours of the page.
//!
//! [`page`] is the page but for [`cases`], drawn as they are carried, [`checks`] on the way, [`lists`], a
//! sheet for each case, and [`labels`], one for each drive. [`facts`] is what is known of
//! the shipment, and [`dataset`] sums up entries.

mod cases;
mod checks;
pub mod dataset;
pub mod facts;
mod labels;
mod lists;
mod page;
mod text;

pub use page::{FIRST_LINES, Paper, labels_only, whole};

#[cfg(test)]
mod tests;
