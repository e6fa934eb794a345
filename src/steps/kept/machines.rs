//! `kept.machines`: Cluster API is given the number of workers that stay, and says that just so many VMs are there.
use crate::engine::step::StepId;
use crate::plan::model::Plan;
use crate::steps::workers::KEPT;
use crate::steps::workers::deployed::{Asked, Deployed};

pub const KIND: &str = "kept.machines";

pub fn step(_plan: &Plan, count: u32, asked: Asked) -> Deployed {
    Deployed::of(&KEPT, count, asked, |outline| outline.after([StepId::new(super::namespace::KIND)]))
}
