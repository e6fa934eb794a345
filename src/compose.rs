//! The only file that puts concrete things together.
