//! The ground every room stands on: clock, secrets, safe text, private files.
//! It knows no product and imports nobody.
pub mod answer;
pub mod clock;
pub mod file;
#[cfg(any(test, fuzzing))]
pub mod properties;
pub mod secret;
pub mod text;
pub mod tls;
