//! The Talos image on its way: its names on the jump host and on the storage, its checksums, and unpacking it.
pub mod image_file;
pub mod unpack;
