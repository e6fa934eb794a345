//! Day 4.
