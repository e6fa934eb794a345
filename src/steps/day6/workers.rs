//! `day6.workers`: Cluster API is given a MachineDeployment and all that it needs, and says that its VMs are there.
use crate::engine::step::StepId;
use crate::plan::model::Plan;
use crate::steps::workers::OF_DAY_6;
use crate::steps::workers::deployed::{Asked, Deployed};

pub const KIND: &str = "day6.workers";

pub fn step(plan: &Plan) -> Deployed {
    Deployed::of(&OF_DAY_6, plan.workers(), Asked::Now, |outline| {
        outline.after([StepId::new(super::worker_namespace::KIND)]).momentary()
    })
}
