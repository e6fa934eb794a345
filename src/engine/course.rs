//! The direction of a session.
use crate::base::day::Day;
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
            Course::Back { .. } => true,
        }
    }

    /// True when it takes back what other sessions made.
    pub fn is_back(self) -> bool {
        match self {
            Course::Back { .. } => true,
            Course::Forward { .. } | Course::Workers { .. } => false,
        }
    }

    /// True when the days of the plan are its matter, and so what is to be said of the plan.
    pub fn builds(self) -> bool {
        match self {
            Course::Forward { .. } => true,
            Course::Back { .. } | Course::Workers { .. } => false,
        }
    }

    /// The command that goes on with the run.
    pub fn resume_command(self) -> String {
        match self {
            Course::Back { .. } => "cozyup teardown PLAN".into(),
            Course::Forward { .. } => "cozyup run PLAN".into(),
            Course::Workers { count } => format!("cozyup workers set PLAN {count}"),
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
    fn workers_that_stay_are_looked_at_by_who_asks_for_them_or_for_every_day() {
        let workers = Course::Workers { count: 2 };
        assert!(workers.wants(Day::Workers) && !workers.wants(Day::Number(6)) && !workers.is_back());
        let until = |day| Course::Forward { until: Day::Number(day) };
        assert!(until(Day::BUILT).wants(Day::Workers) && !until(Day::BUILT - 1).wants(Day::Workers));
    }
}
