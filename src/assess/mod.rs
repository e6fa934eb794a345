//! The assessment of a cluster that is there already: what it is, what is broken in it, how far an upgrade would go, and
//! whether to upgrade, to repair first, or to install a new one beside it. It only reads.
//!
//! `gather` reads a [`snapshot::Snapshot`]; `rules` are pure functions from it to typed findings; `verdict` weighs them;
//! `tell` makes the sentences, and `render` lays them out as text, Markdown or HTML.
mod assessment;
pub mod finding;
pub mod gather;
pub mod pod;
pub mod render;
mod rules;
pub mod snapshot;
mod tell;
#[cfg(test)]
mod testing;
mod upgrade;
pub mod verdict;
pub mod version;

pub use assessment::{Assessment, Lack, assess};
pub use rules::rules;
pub use tell::{Block, Mark, Page, Section, missing};
pub use upgrade::{Stop, target};
pub use version::Version;
