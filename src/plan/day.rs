//! The names of the days.
use crate::base::day::Day;

/// `Day 1 Machines`, as headings show it.
pub fn day_title(day: Day) -> String {
    match day {
        Day::Number(n) => format!("Day {n} {}", day_name(day)),
        Day::Workers | Day::Teardown => day_name(day).to_string(),
    }
}

/// The name of `day`, as headings show it behind its number.
pub fn day_name(day: Day) -> &'static str {
    match day {
        Day::Number(0) => "Check",
        Day::Number(1) => "Machines",
        Day::Number(2) => "Cluster",
        Day::Number(3) => "Platform",
        Day::Number(4) => "Integration",
        Day::Number(5) => "Validation",
        Day::Number(6) => "VM creation",
        Day::Number(7) => "Storage",
        Day::Number(8 | 9) => "Tenancy",
        Day::Number(_) => "Hand-over",
        Day::Workers => "Workers",
        Day::Teardown => "Teardown",
    }
}
