//! Runs steps. Knows no product.
pub mod course;
pub mod decide;
pub mod doubt;
pub mod driver;
pub mod failure;
pub mod journal;
pub mod made;
pub mod notice;
pub mod proof;
pub mod record;
pub mod request;
pub mod standing;
pub mod state;
pub mod step;
pub mod tell;
pub mod undo;
pub mod wait;
