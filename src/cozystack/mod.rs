//! cozystack
