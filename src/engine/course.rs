//! The direction of a session.
use crate::base::day::Day;
use crate::base::label::Label;
use serde::{Deserialize, Serialize};

/// The purpose of a session, and the day that it goes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Course {
    /// Makes true what the plan says, to the end of this day.
    Forward {
        /// The last day of the session; day 0 alone only checks.
        until: Day,
    },
    /// Removes what the run made.
    Back {
        /// The cluster can't be asked any more what lives in it, and a person said so.
        cluster_is_lost: bool,
    },
    /// Brings a validated cluster to so many workers that stay, and proves them; the days are left as they are.
    Workers {
        /// Their number afterwards; 0 takes all of them back.
        count: u32,
    },
    /// Takes one machine of the plan out of the cluster and removes it; everything else is left as it is.
    Node {
        /// Its name in the plan.
        name: Label,
    },
}

/// Day 0 alone, which changes nothing: what is known of a run before its first record.
impl Default for Course {
    fn default() -> Course {
        Course::Forward { until: Day::Number(0) }
    }
}

impl Course {
    /// True when the session is to prove the steps of this day.
    pub fn wants(self, day: Day) -> bool {
        match self {
            // Who asks for every day that has steps asks for what came after them, too.
            Course::Forward { until } => day <= until || (day == Day::Workers && until >= Day::Number(Day::BUILT)),
            Course::Workers { .. } => day == Day::Workers,
            Course::Node { .. } => day == Day::Teardown,
            Course::Back { .. } => true,
        }
    }

    /// True when it takes back all that other sessions made.
    pub fn is_back(self) -> bool {
        match self {
            Course::Back { .. } => true,
            Course::Forward { .. } | Course::Workers { .. } | Course::Node { .. } => false,
        }
    }

    /// True when the days of the plan are its matter, and so what is to be said of the plan.
    pub fn builds(self) -> bool {
        match self {
            Course::Forward { .. } => true,
            Course::Back { .. } | Course::Workers { .. } | Course::Node { .. } => false,
        }
    }

    /// The command that goes on with the run.
    pub fn resume_command(self) -> String {
        match self {
            Course::Back { .. } => "cozyup teardown PLAN".into(),
            Course::Forward { .. } => "cozyup run PLAN".into(),
            Course::Workers { count } => format!("cozyup workers set PLAN {count}"),
            Course::Node { name } => format!("cozyup teardown PLAN --node {name}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_course_is_kept_in_records_by_its_name() {
        let kept = [
            (Course::Forward { until: Day::Number(5) }, r#"{"forward":{"until":5}}"#),
            (Course::Back { cluster_is_lost: true }, r#"{"back":{"cluster_is_lost":true}}"#),
            (Course::Workers { count: 2 }, r#"{"workers":{"count":2}}"#),
            (Course::Node { name: "cp2".parse().unwrap() }, r#"{"node":{"name":"cp2"}}"#),
        ];
        for (course, json) in kept {
            assert_eq!(serde_json::to_string(&course).unwrap(), json);
            assert_eq!(serde_json::from_str::<Course>(json).unwrap(), course);
        }
    }

    #[test]
    fn forward_ends_with_its_day_and_the_way_back_wants_every_step() {
        let forward = Course::Forward { until: Day::Number(2) };
        assert!(forward.wants(Day::Number(2)) && !forward.wants(Day::Number(3)) && !forward.wants(Day::Teardown));
        assert!(Course::Back { cluster_is_lost: false }.wants(Day::Teardown));
    }

    #[test]
    fn the_removal_of_a_machine_looks_at_no_day_and_is_no_teardown() {
        let node = Course::Node { name: "cp2".parse().unwrap() };
        assert!(node.wants(Day::Teardown) && !node.wants(Day::Number(1)) && !node.wants(Day::Workers));
        assert!(!node.is_back() && !node.builds() && node.resume_command().ends_with("--node cp2"));
    }

    #[test]
    fn workers_that_stay_are_looked_at_by_who_asks_for_them_or_for_every_day() {
        let workers = Course::Workers { count: 2 };
        assert!(workers.wants(Day::Workers) && !workers.wants(Day::Number(6)) && !workers.is_back());
        let until = |day| Course::Forward { until: Day::Number(day) };
        assert!(until(Day::BUILT).wants(Day::Workers) && !until(Day::BUILT - 1).wants(Day::Workers));
    }
}
