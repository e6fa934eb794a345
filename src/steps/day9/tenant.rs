//! `day9.tenant/NAME`: CozyStack has made the tenant whose Kubernetes it is to be.
use crate::base::day::Day;
use crate::plan::model::Plan;
use crate::steps::tenancy::THIRD;
use crate::steps::tenancy::made::{self, Tenant};

pub const KIND: &str = "day9.tenant";

pub fn step(_plan: &Plan) -> Tenant {
    made::step(Day::Number(9), &THIRD)
}
