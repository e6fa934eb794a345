//! The sums of what a run makes.
use super::run::RunModel;
use crate::base::day::Day;
use crate::engine::estimate::estimate;
use crate::plan::Review;
use jiff::Timestamp;

impl RunModel {
    /// All that this session makes; none of a session that makes nothing of the plan.
    pub fn review(&self, now: Timestamp) -> Option<Review> {
        let course = self.state.course;
        let left = || estimate(&self.state, now).map(|estimate| estimate.left);
        course.builds().then(|| Review::of(&self.plan, |day| course.wants(Day::Number(day)), left()))
    }
}
