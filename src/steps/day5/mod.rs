//! Day 5.
