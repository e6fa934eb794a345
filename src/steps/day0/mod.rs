//! Day 0.
