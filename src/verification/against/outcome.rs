//! What a comparison found.

use serde::Serialize;

/// What was found.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Compared {
    /// entries of the type and content that they have in the dataset
    pub equal: u64,
    /// of these, files
    pub files: u64,
    /// bytes of these files
    pub bytes: u64,
    pub missing: u64,
    /// entries of the tree that are not in the dataset
    pub extra: u64,
    /// entries of another type, size, target or content
    pub differs: u64,
    /// hard links that are copies here, and files that are one here
    pub links: u64,
    /// entries that differ in metadata
    pub metadata: u64,
    /// entries of the tree that could not be read
    pub unread: u64,
    /// files of which nothing here tells whether they are equal
    pub untold: u64,
    /// entries of the tree that may be those of sets that are not here
    pub unplaced: u64,
    /// files that could not be read when the dataset was packed
    pub packed_badly: u64,
    /// entries that the packer could not take, or not all of them
    pub not_taken: u64,
    /// chunks that small files share, of which one at least differs, and nothing here tells which
    pub differing_chunks: u64,
    /// lists that could not be had
    pub unlisted: u64,
    /// drives that are not here may tell what is untold or unlisted
    pub waits: bool,
    pub stopped: bool,
}

impl Compared {
    /// Is the tree the dataset, as far as anything here tells?
    pub fn is_equal(&self) -> bool {
        !self.differs() && self.extra + self.unread == 0
    }

    /// Is it known of anything that was packed that it is not so in the tree?
    pub fn differs(&self) -> bool {
        let known = self.missing + self.differs + self.differing_chunks;
        known + self.links + self.metadata > 0
    }

    /// Is everything in the tree, and nothing else, but for modes, times, owners and attributes?
    pub fn differs_in_metadata_alone(&self) -> bool {
        Self { metadata: 0, ..self.clone() }.is_equal() && self.metadata > 0
    }

    /// Is all that was packed in the tree, and more besides, as far as anything here tells?
    pub fn has_more(&self) -> bool {
        self.extra > 0 && !self.differs() && self.unread == 0
    }

    /// Does everything here tell?
    pub fn is_told(&self) -> bool {
        self.untold + self.unplaced + self.unlisted == 0 && !self.stopped
    }
}
