//! What a screen and a run say to each other. The same values go over a socket once the run has a process of its own.
pub use crate::engine::driver::Request;
use crate::engine::record::Record;
use std::sync::Arc;
use tokio::sync::mpsc;

/// A screen's end of a run in the same process: records come in, requests go out.
pub struct Attachment {
    /// Everything that happened before, oldest first.
    pub history: Vec<Arc<Record>>,
    pub records: mpsc::UnboundedReceiver<Arc<Record>>,
    pub requests: mpsc::UnboundedSender<Request>,
}
