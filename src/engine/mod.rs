//! Runs steps. Knows no product.
pub mod failure;
pub mod proof;
pub mod step;
pub mod wait;
