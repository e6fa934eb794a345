//! The user's wishes: the plan file, its defaults, its rules.
pub mod choose;
pub mod day;
pub mod day_6;
pub mod day_7;
pub mod day_8;
pub mod day_9;
pub mod defaults;
pub mod draft;
pub mod finding;
pub mod form;
pub mod keys;
pub mod lint;
pub mod load;
pub mod model;
pub mod offer;
pub mod pin;
pub mod reference;
pub mod review;
pub mod show;
pub mod taken;
pub mod version;
pub mod write;

mod address_range;
mod names;
mod patch;
#[cfg(any(test, fuzzing))]
pub mod properties;
mod read;
mod test_plan;
mod tree;

pub use day::{day_name, day_title};
pub use finding::{Finding, Severity};
pub use load::{Decoded, Loaded, PlanError, decode, load, load_own, of_text, parse};
pub use model::Plan;
pub use patch::rewrite;
pub use review::Review;
pub use show::show;
pub use write::save;
