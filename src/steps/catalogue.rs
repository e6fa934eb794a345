//! The one ordered list of steps.
use super::site::Installation;
use super::{day0, day1, day2, day3, day4, day5, day6, day10};
use crate::base::day::Day;
use crate::engine::step::Step;
use crate::plan::model::Plan;
use crate::release::Component;
use std::sync::Arc;

/// The last day that has steps.
pub const LAST_DAY: u8 = Day::BUILT;

/// The kinds whose statement is about the session that proves it: it means nothing where none works.
pub const OF_A_SESSION: [&str; 1] = [day0::survival::KIND];

pub type Steps = Vec<Arc<dyn Step<Installation>>>;

/// Every step of the plan, day by day; `components` are the HelmReleases of its profile.
pub fn steps(plan: &Plan, components: &[Component]) -> Steps {
    let mut steps = Steps::new();
    steps.extend(day0::steps(plan));
    steps.extend(day1::steps(plan));
    steps.extend(day2::steps(plan));
    steps.extend(day3::steps(plan, components));
    steps.extend(day4::steps(plan));
    steps.extend(day5::steps(plan));
    steps.extend(day6::steps(plan));
    steps.extend(super::day7::steps(plan));
    steps.extend(super::day8::steps(plan));
    steps.extend(super::day9::steps(plan));
    steps.extend(day10::steps(plan));
    steps
}
