//! `day8.tenant/NAME`: CozyStack has made a tenant of an application object: its namespace is there, and bound by its policies.
use crate::base::day::Day;
use crate::plan::model::Plan;
use crate::steps::tenancy::TestTenant;
use crate::steps::tenancy::made::{self, Tenant};

pub const KIND: &str = "day8.tenant";

pub fn step(_plan: &Plan, tenant: &'static TestTenant) -> Tenant {
    made::step(Day::Number(8), tenant)
}
