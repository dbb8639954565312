//! The wire journal: what tells, after a crash, which notices had reached the wire; with it the
//! high-water mark and the lock that proves a worker's death (`docs/protocol.md` §6).
//!
//! Owns the folder of segments, the order in which marks become visible, and the reading of a
//! dead worker's folder. Must not know what an outcome means (it is opaque bytes here), nor the
//! database, nor what is done about a verdict.

mod boot;
mod frame;
mod high_water;
mod host;
mod lives;
mod lock;
mod mark;
mod pack;
mod reader;
mod recovered;
mod segment;
mod shrink;
mod writer;

pub use boot::{BootId, BootIdError, boot_id};
pub use high_water::{HighWater, HighWaterError, HighWaterKeeper, LifeMark, MarkCopy};
pub use lives::{Folder, folders};
pub use lock::{HostLock, LockError, WorkerLock};
pub use mark::{Mark, MarkKey, OutcomeBytes, OutcomeTooLong};
pub use reader::{Journals, ReadError, Walk};
pub use recovered::{Begun, Recovered, SegmentReport, SegmentState, Survey, Trail, Verdict};
pub use segment::{DEFAULT_SEGMENT_SIZE, Life, Origin, Position};
pub use shrink::{Shorten, Shrunk};
pub use writer::{Journal, JournalError};
