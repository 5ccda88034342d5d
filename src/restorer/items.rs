//! The items of a set in order, wherever they come from.

use super::decode::OpenStripe;
use crate::format::ids::StripeId;
use crate::format::list::{Entry, Item};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

/// Plain bytes of an extent; 0 for any other item.
pub fn extent_bytes(item: &Item) -> u64 {
    if let Item::Extent(extent) = item { extent.len.into() } else { 0 }
}

/// Gives lists of items, in order.
pub trait Items {
    /// The next list; none at the end.
    fn next_list(&mut self) -> Option<Vec<Item>>;

    /// A stripe that was opened for the last items, so that it need not be read again.
    fn opened(&self, _stripe: StripeId) -> Option<Arc<OpenStripe>> {
        None
    }

    /// Set once drives that are not here may have lists between those that were given.
    fn lists_wait(&self) -> Arc<AtomicBool> {
        Arc::default()
    }

    /// How many bytes a batch may need, where usually it may need so many.
    fn batch_bytes(&mut self, usual: u64) -> u64 {
        usual
    }

    /// The entries of these folders, wherever the walk is, as far as they can be looked up.
    fn folders(&mut self, _paths: &[Vec<u8>]) -> Vec<Entry> {
        Vec::new()
    }
}
