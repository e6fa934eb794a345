//! Day 1, machines: image, template, clones, sizes, addresses, disks, start, reached.
pub mod clone;
