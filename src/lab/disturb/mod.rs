//! Faults between a client and an API: connections refused and cut, answers that are late, broken or missing.
//!
//! It sits in front of the APIs and knows nothing of what they do: `plan` says what is to happen when, `line` does it to one
//! connection, `answer` and `body` make what is sent instead.
mod answer;
mod body;
mod certificate;
mod line;
mod log;
mod plan;

pub use line::Line;
pub use log::keep;
pub use plan::{Api, Disturbance, Kind, Plan};
