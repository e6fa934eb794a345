//! Shared by the steps of day 9: the tenant's Kubernetes as it is asked for, and the way to its API.
use crate::base::answer::Answer;
use crate::base::secret::Secret;
use crate::cozystack::addons::TenantCluster;
use crate::engine::failure::Failure;
use crate::engine::made::Thing;
use crate::engine::step::{Context, StepId};
use crate::kubernetes::{self, Kind};
use crate::plan::model::Plan;
use crate::steps::cluster::{self, get, number, text};
use crate::steps::cluster_api::{network, shape};
use crate::steps::site::Reading;
use crate::steps::tenancy::THIRD;
use crate::steps::tenancy::made::annotation;
use crate::steps::workers::OF_A_TENANT;
use crate::steps::{day9, failures};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use std::net::Ipv4Addr;

/// The system's name in evidence.
pub const SYSTEM: &str = "Kubernetes of the tenant";

/// The tenant's etcd, by the name of Kamaji's DataStore; `None` while the namespace is not there.
///
/// # Errors
/// When the cluster can't be asked, or no tenant above it has an etcd.
async fn data_store(site: &Reading) -> Result<Option<String>, Failure> {
    let Some(place) = get(&site.kubernetes()?, &Kind::NAMESPACE, None, THIRD.namespace).await? else { return Ok(None) };
    match annotation(&place.value, "etcd") {
        "" => Err(Failure::person(
            format!(
                "no tenant above {} has an etcd, and a control plane of Kamaji keeps its objects in one",
                THIRD.name
            ),
            "look at the root tenant: kubectl get -n tenant-root tenants.apps.cozystack.io root -o yaml (etcd: true); the step goes on \
             by itself",
        )),
        name => Ok(Some(name.to_string())),
    }
}

/// The cluster that the plan asks for; `None` while its tenant is not there.
///
/// # Errors
/// When the cluster can't be asked, when no tenant above it has an etcd, or when the plan asks for none: no step of day 9 is there then.
pub async fn wanted(site: &Reading) -> Result<Option<TenantCluster>, Failure> {
    let (plan, tests) = (&site.plan, &site.plan.tests);
    let template = plan.day_9().ok_or_else(|| Failure::defect("day 9 runs and the plan names no template for it"))?;
    let Some(data_store) = data_store(site).await? else { return Ok(None) };
    let mut shape = shape(site, tests.worker_cores, tests.worker_memory_mib, Some(tests.worker_disk_gib))?;
    shape.template = template.into();
    Ok(Some(TenantCluster {
        name: OF_A_TENANT.name.into(),
        namespace: OF_A_TENANT.namespace.into(),
        data_store,
        shape,
        network: network(site, |addresses| addresses.first)?,
        kubernetes_version: plan.kubernetes_version(),
    }))
}

pub fn gone() -> Failure {
    Failure::retryable(
        format!("namespace {} is gone", THIRD.namespace),
        "cozyup looks again; the tenant's step makes it anew",
    )
}

/// The Cluster as the journal keeps it.
pub fn thing(cluster: &Value) -> Thing {
    let uid = text(cluster, "/metadata/uid").to_string();
    Thing::new("cluster", format!("{}/{}", OF_A_TENANT.namespace, OF_A_TENANT.name), Some(uid))
}

/// The reason why the Cluster is not this run's own; `None` when it is.
pub fn strange(cx: &dyn Context, site: &Reading, found: &Value) -> Option<&'static str> {
    cluster::strange(cx, site, &StepId::new(day9::control_plane::KIND), &thing(found), found)
}

/// The refusal to touch another's Cluster.
pub fn refusal(why: &str) -> Failure {
    cluster::not_touched(&Kind::CLUSTER, OF_A_TENANT.namespace, OF_A_TENANT.name, why)
}

/// Where the tenant's API listens, as Kamaji says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Endpoint {
    pub address: Ipv4Addr,
    pub port: u16,
}

/// `None` while there is none.
///
/// # Errors
/// When it is none of the addresses that the plan gives to MetalLB: nothing secret is sent there.
pub fn endpoint(plan: &Plan, control_plane: &Value) -> Result<Option<Endpoint>, Failure> {
    let host = text(control_plane, "/spec/controlPlaneEndpoint/host");
    if host.is_empty() {
        return Ok(None);
    }
    let port = number(control_plane, "/spec/controlPlaneEndpoint/port").and_then(|port| u16::try_from(port).ok());
    let address =
        host.parse().ok().filter(|a: &Ipv4Addr| plan.network.address_pool.iter().any(|range| range.contains(*a)));
    match (address, port) {
        (Some(address), Some(port)) => Ok(Some(Endpoint { address, port })),
        _ => Err(Failure::person(
            format!("the control plane says that it listens at {host}, which is no address of network.address_pool"),
            "look where it comes from: kubectl get -A services,ipaddresspools.metallb.io; the step looks again by itself",
        )),
    }
}

/// The tenant's API at this address, by the administrator's access that Cluster API keeps; `None` while there is no such Secret.
///
/// # Errors
/// When the cluster can't be asked, or what the Secret holds is no kubeconfig that cozyup takes.
pub async fn api(site: &Reading, wanted: &TenantCluster, at: Endpoint) -> Result<Option<kubernetes::Reader>, Failure> {
    let secret = wanted.kubeconfig_secret();
    let found: Option<Answer<Value>> =
        get(&site.kubernetes()?, &Kind::SECRET, Some(&wanted.namespace), &secret).await?;
    let value = found.as_ref().and_then(|s| s.value.pointer("/data/value")).and_then(Value::as_str);
    let Some(bytes) = value.and_then(|value| STANDARD.decode(value).ok()) else { return Ok(None) };
    let Ok(kubeconfig) = String::from_utf8(bytes) else { return Ok(None) };
    let server = format!("https://{}:{}", at.address, at.port);
    let clients = kubernetes::connect(&Secret::new(kubeconfig), Some(server));
    let (reader, _) =
        clients.map_err(|e| failures::kubernetes(&e, &format!("open the kubeconfig in Secret {secret}")))?;
    Ok(Some(reader))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::steps::day0::tests::plan;
    use serde_json::json;

    #[test]
    fn nothing_is_sent_to_an_address_that_is_not_of_the_pool() {
        let plan = plan();
        let first = plan.network.address_pool[0].first;
        let at = |host: &str| json!({"spec": {"controlPlaneEndpoint": {"host": host, "port": 6443}}});
        assert_eq!(endpoint(&plan, &at("")).unwrap(), None);
        let found = endpoint(&plan, &at(&first.to_string())).unwrap();
        assert_eq!(found, Some(Endpoint { address: first, port: 6443 }));
        for host in ["192.0.2.7", "tenant.example.org", "10.0.0.1 "] {
            let failure = endpoint(&plan, &at(host)).unwrap_err();
            assert!(failure.what.contains("address_pool"), "{host}: {failure:?}");
        }
    }
}
