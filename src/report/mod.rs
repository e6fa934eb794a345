//! The same state, printed: lines for people without a screen, JSON for programs.
pub mod json;
pub mod line;
pub mod summary;
pub mod verification;
