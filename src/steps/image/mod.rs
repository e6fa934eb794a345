//! The Talos image on its way: fetching it, its names on the jump host and on the storage, its checksums, and unpacking it.
pub mod body;
pub mod ends;
pub mod image_file;
pub mod unpack;
