//! The days of the plan and their names.

/// The day of a plan's removal: after all others.
pub const TEARDOWN: u8 = u8::MAX;

/// `day 1: Machines`, as headings show it.
pub fn day_title(day: u8) -> String {
    if day == TEARDOWN { day_name(day).to_string() } else { format!("Day {day} {}", day_name(day)) }
}

/// The command that goes on with a run, there or back.
pub fn resume_command(backwards: bool) -> &'static str {
    if backwards { "cozyup teardown PLAN" } else { "cozyup run PLAN" }
}

/// The name of `day` as headings show it; from day 11 on it is the migration of the old cluster.
pub fn day_name(day: u8) -> &'static str {
    match day {
        0 => "Check",
        1 => "Machines",
        2 => "Cluster",
        3 => "Platform",
        4 => "Integration",
        5 => "Validation",
        6 | 7 => "VM creation",
        8 | 9 => "Tenancy",
        10 => "Hand-over",
        TEARDOWN => "Teardown",
        _ => "Migrate",
    }
}
