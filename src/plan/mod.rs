//! What the user wants: the plan file, its defaults, its rules.
pub mod model;
