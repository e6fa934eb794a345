//! The same state, printed: lines for people without a screen, JSON for programs.
pub mod handover;
pub mod json;
pub mod line;
pub mod review;
pub mod summary;
pub mod support;
pub mod verification;
