//! `kept.removal`: the kept workers are drained, and nothing of them is left in either system.
use crate::base::day::Day;
use crate::engine::step::StepId;
use crate::plan::model::Plan;
use crate::steps::cluster_removal::{ClusterRemoval, Made};
use crate::steps::outlines;
use crate::steps::workers::KEPT;
use crate::steps::workers::removed::{BAND, Workers};

pub const KIND: &str = "kept.removal";

pub fn step(_plan: &Plan) -> ClusterRemoval<Workers> {
    let made = Workers(&KEPT);
    let title = "no worker is kept, neither node nor VM, nor the keys with which they joined";
    let outline = outlines::change_on(StepId::new(KIND), Day::Workers, title, BAND, made.by_hand());
    ClusterRemoval { outline: outline.after([StepId::new(super::room::KIND)]), made }
}
