//! The product's knowledge: one file per step, in folders by day; `catalogue` is the one ordered list.
pub mod catalogue;
pub mod causes;
pub mod claim;
pub mod cluster;
pub mod day0;
pub mod day1;
pub mod day2;
pub mod day3;
pub mod day4;
pub mod day5;
pub mod failures;
pub mod flux;
pub mod follow;
pub mod outlines;
pub mod removal;
pub mod site;
pub mod teardown;
