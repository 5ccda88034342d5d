//! What the tests and benches of this crate name of it, in the shape of its modules. No interface:
//! it changes with them. What only tests need of a drive lies below.

pub mod faulty;
pub mod proxy;

pub mod cli {
    pub mod args {
        pub use crate::cli::args::Cli;
    }
    pub mod help {
        pub use crate::cli::topics::{COMMANDS, TOPICS, Topic};
    }
    pub mod sizes {
        pub use crate::cli::sizes::parse_size;
    }
}
pub mod commands {
    pub mod decode {
        pub use crate::commands::decode::decode_sets;
    }
    pub mod demo {
        pub use crate::commands::demo::{DemoError, demo};
    }
    pub mod erase {
        pub use crate::commands::erase::Erasure;
    }
    pub mod ls {
        pub use crate::commands::ls::{LsOptions, ls, ls_sets};
    }
    pub mod pack {
        pub use crate::commands::pack::{
            CloseError, ClosedSet, Closing, PackJobError, PackOptions, PackOutcome, Prepared,
            ResumeOptions, close, prepare_on, resume_on,
        };
    }
    pub mod repair {
        pub use crate::commands::repair::{SetRepair, repair_sets};
    }
    pub mod restore {
        pub use crate::commands::restore::{
            RestoreJob, RestoreJobError, RestoreOutcome, restore, restore_sets,
        };
    }
    pub mod restore_status {
        pub use crate::commands::restore_status::{SetProgress, SetState, restore_status};
    }
    pub mod status {
        pub use crate::commands::status::{status, status_of};
    }
}
pub mod dataset {
    pub use crate::dataset::{Contents, Filter, ScanError, ScanOptions, Source, scan};
}
pub mod destination {
    pub use crate::destination::{Destination, DestinationError, OnConflict};
}
pub mod drives {
    pub use crate::drives::{
        Drive, DriveError, DriveFile, Level, LocalDrive, ReadMode, Room, WriteMode,
    };
    pub mod buffer {
        pub use crate::drives::buffer::Buffer;
    }
}
pub mod entropy {
    pub use crate::entropy::{Entropy, Fixed, System, random_id};
}
pub mod format {
    pub use crate::format::Suite;
    pub mod catalog {
        pub use crate::format::catalog::{FrameRow, Index, decode_frame_head, encode_frame_head};
    }
    pub mod entry {
        pub use crate::format::entry_coding::entry_len;
    }
    pub mod ids {
        pub use crate::format::ids::{
            INDEX_PART, RunId, SetNumber, ShipmentId, Slot, StripeId, StripeNumber, key_path,
            part_path, record_path, set_folder, shard_path,
        };
    }
    pub mod label {
        pub use crate::format::label::{Label, MOST_CHUNK_BYTES, WHAT};
    }
    pub mod list {
        pub use crate::format::list::{
            DataShard, End, Entry, Extent, Hash, Item, Kind, Lack, Method, Place, State, shown_path,
        };
    }
    pub mod list_reader {
        pub use crate::format::list_reader::decode;
    }
    pub mod list_writer {
        pub use crate::format::list_writer::encode;
    }
    pub mod record {
        pub use crate::format::record::{
            Member, PartRecord, Reason, RecordFileHeader, ShardRecord, StripeKind, StripeRecord,
            decode_file, encode_file, records,
        };
    }
    pub mod set {
        pub use crate::format::set::{PartLine, RunLine, SetText, SlotLine, UNKNOWN_CASE};
    }
    pub mod shard {
        pub use crate::format::shard::{Blocks, TRAILER_BYTES, Trailer};
    }
}
pub mod keys {
    pub use crate::keys::RunKey;
    pub mod recipients {
        pub use crate::keys::recipients::{Identities, Recipients};
    }
    pub mod run {
        pub use crate::keys::run::StripeShape;
    }
}
pub mod local_state {
    pub use crate::local_state::{LocalStateError, SnapshotWriter};
    pub mod state {
        pub use crate::local_state::state::StateFolder;
    }
}
pub mod measure {
    pub mod devices {
        pub use crate::measure::devices::measure;
    }
    pub mod predict {
        pub use crate::measure::predict::Limit;
    }
    pub mod sample {
        pub use crate::measure::sample::SampleData;
    }
    pub mod whole {
        pub use crate::measure::whole::{
            PackSetup, PackedSet, SourcePart, pack, pack_onto, part, write_snapshot,
        };
    }
}
pub mod memory {
    pub use crate::memory::Memory;
}
pub mod monitor {
    pub use crate::monitor::{Event, Monitor, Phase, Problem, ProblemKind, Recording};
}
pub mod opening {
    pub mod open {
        pub use crate::opening::open::OpenError;
    }
    pub mod unlock {
        pub use crate::opening::unlock::{expect, record_index, unlock};
    }
}
pub mod packer {
    pub use crate::packer::{Checkpoint, PackError, Packed, ResumePoint, SetDrive, SetJob, pack};
}
pub mod patterns {
    pub use crate::patterns::Selection;
}
pub mod plan {
    pub mod cipher {
        pub use crate::plan::cipher::CipherChoice;
    }
    pub mod effort {
        pub use crate::plan::effort::Effort;
    }
    pub mod geometry {
        pub use crate::plan::geometry::Geometry;
    }
    pub mod room {
        pub use crate::plan::room::{DriveRoom, Need, plan};
    }
    pub mod survive {
        pub use crate::plan::survive::Survive;
    }
}
pub mod repairer {
    pub use crate::repairer::{DriveRepair, RepairJob, repair};
    pub mod onto {
        pub use crate::repairer::onto::NewDrive;
    }
    pub mod origin {
        pub use crate::repairer::origin::OriginError;
    }
    pub mod quiet {
        pub use crate::repairer::quiet::Quiet;
    }
}
pub mod restore_journal {
    pub mod choice {
        pub use crate::restore_journal::choice::DriveChoice;
    }
    pub mod next_step {
        pub use crate::restore_journal::next_step::NextStep;
    }
}
pub mod restorer {
    pub use crate::restorer::{OpenSet, RestoreError, RestoreOptions, Restored, restore};
    pub mod end {
        pub use crate::restorer::end::{EndOfRun, report};
    }
    pub mod items {
        pub use crate::restorer::{CatalogItems, Items};
    }
    pub mod stage {
        pub use crate::restorer::stage::keep;
    }
}
pub mod sets {
    pub use crate::shipment::{FoundSet, RecordIndex};
    pub mod check {
        pub use crate::check::drive::{Depth, DriveCheck, ReadBefore};
        pub use crate::check::report::DriveReport;
    }
    pub mod cleanup {
        pub use crate::shipment::cleanup::{level, remove_litter, reopen};
    }
    pub mod damage {
        pub use crate::check::damage::Damage;
    }
    pub mod key_files {
        pub use crate::metadata_files::key_files::key_files;
    }
    pub mod metadata_files {
        pub use crate::metadata_files::expected::MetadataFiles;
    }
    pub mod open {
        pub use crate::format::shown::error_chain;
        pub use crate::shipment::find::find;
    }
    pub mod slots {
        pub use crate::shipment::slots::MissingSlot;
    }
    pub mod reading {
        pub use crate::shards::reading::SkipPolicy;
    }
}
pub mod stages {
    pub mod aead {
        pub use crate::stages::aead::Aead;
    }
    pub mod compress {
        pub use crate::stages::compress::{Compressor, Decompressor};
    }
    pub mod dedup {
        pub use crate::stages::dedup::{Dedup, Known};
    }
    pub mod hash {
        pub use crate::stages::hash::{Merge, block_hash, block_hashes, piece};
    }
    pub mod parity {
        pub use crate::stages::parity::Code;
    }
    pub mod seal {
        pub use crate::stages::seal::{Cipher, Payload, seal_content, seal_stripe};
    }
}
pub mod verification {
    pub use crate::verification::{DriveOutcome, SetOutcome, verify_set, verify_sets};
}
