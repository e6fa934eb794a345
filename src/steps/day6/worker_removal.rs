//! `day6.worker_removal`: the Cluster of the workers is deleted, and with it the Secrets that held keys of the cluster: neither
//! object, node, VM, disk nor CD-ROM is left.
use crate::engine::step::StepId;
use crate::plan::model::Plan;
use crate::steps::cluster_removal::{ClusterRemoval, Made};
use crate::steps::outlines;
use crate::steps::workers::OF_DAY_6;
use crate::steps::workers::removed::{BAND, Workers};

pub const KIND: &str = "day6.worker_removal";

pub fn step(_plan: &Plan) -> ClusterRemoval<Workers> {
    let made = Workers(&OF_DAY_6);
    let title = "nothing of the workers is left, nor of the keys with which they joined";
    let outline = outlines::change(StepId::new(KIND), 6, title, BAND, made.by_hand())
        .after([StepId::new(super::worker_scaling::KIND)])
        .momentary()
        .cleanup();
    ClusterRemoval { outline, made }
}
