//! Addresses for LoadBalancer services: MetalLB's pool and its announcement on the nodes' network.
use super::{Maker, Object};
use crate::kubernetes::Kind;
use serde_json::json;

pub const METALLB_NAMESPACE: &str = "cozy-metallb";

/// `ranges` as `first-last` or as CIDR. MetalLB's webhook refuses them until its controller is up; try again then.
pub fn address_pool(run: &str, ranges: &[String]) -> Vec<Object> {
    let maker = Maker::new(run, Some(METALLB_NAMESPACE));
    let pool = json!({"spec": {"addresses": ranges, "autoAssign": true, "avoidBuggyIPs": false}});
    let advertisement = json!({"spec": {"ipAddressPools": ["cozystack"]}});
    vec![
        maker.object(Kind::IP_ADDRESS_POOL, "cozystack", pool),
        maker.object(Kind::L2_ADVERTISEMENT, "cozystack", advertisement),
    ]
}
