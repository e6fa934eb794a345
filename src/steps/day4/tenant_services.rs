//! `day4.tenant_services`: the root tenant runs its etcd (for tenant control planes) and its ingress, and the ingress
//! has an address of the plan's pool.
use crate::cozystack::addons::{TENANT_ROOT, TenantRoot};
use crate::engine::failure::Failure;
use crate::engine::proof::Evidence;
use crate::engine::step::{Context, Observed, Outline, Step, StepId, Undo};
use crate::engine::wait::{Band, Wait};
use crate::kubernetes::Kind;
use crate::plan::model::{AddressRange, Plan};
use crate::steps::cluster::{get, items, number, proven, seen, text};
use crate::steps::site::{Changing, Installation, Reading};
use crate::steps::{failures, flux, follow, outlines};
use async_trait::async_trait;
use serde_json::Value;
use std::net::Ipv4Addr;
use std::time::Duration;

pub const KIND: &str = "day4.tenant_services";
const BAND: Band = Band::new(120, 300);
const RELEASES: [&str; 4] = ["tenant-root", "etcd", "ingress", "ingress-nginx-system"];
const ETCD: &str = "etcd";
const ETCD_MEMBERS: i64 = 3;
/// The Service of the root tenant's ingress; day 5 tests through it.
pub const INGRESS: &str = "root-ingress-controller";

pub struct TenantServices {
    outline: Outline,
}

pub fn step(plan: &Plan) -> TenantServices {
    let patch = wanted(None).patch(&plan.cozystack.root_host);
    let by_hand = format!(
        "kubectl patch -n {TENANT_ROOT} tenants.apps.cozystack.io {} --type=merge -p '{patch}'",
        TenantRoot::NAME
    );
    let title = "the root tenant runs etcd and its ingress has an address of the pool";
    let outline = outlines::change(StepId::new(KIND), 4, title, BAND, by_hand)
        .after([StepId::new(super::storage_classes::KIND), StepId::new(super::address_pool::KIND)]);
    TenantServices { outline }
}

/// The services that the tenant should run: ours, beside those that somebody switched on already.
fn wanted(live: Option<&Value>) -> TenantRoot {
    let on = |pointer: &str| live.and_then(|l| l.pointer(pointer)).and_then(Value::as_bool).unwrap_or(false);
    TenantRoot { etcd: true, ingress: true, monitoring: on("/spec/monitoring"), seaweedfs: on("/spec/seaweedfs") }
}

fn is_asked_for(tenant: &Value, host: &str) -> bool {
    let on = |pointer: &str| tenant.pointer(pointer).and_then(Value::as_bool) == Some(true);
    on("/spec/etcd") && on("/spec/ingress") && text(tenant, "/spec/host") == host
}

/// The Service's address.
///
/// # Errors
/// When the Service has no address yet, or one outside the pool.
fn address(service: &Value, pool: &[AddressRange]) -> Result<Ipv4Addr, String> {
    let given = items(service, "/status/loadBalancer/ingress").map(|i| text(i, "/ip")).find(|ip| !ip.is_empty());
    let given = given.ok_or_else(|| format!("Service {INGRESS} has no address yet"))?;
    let parsed = given.parse().ok().filter(|a| pool.iter().any(|r| r.contains(*a)));
    parsed.ok_or_else(|| format!("Service {INGRESS} has the address {given}, which is none of the plan's pool"))
}

/// One look at what the patch brings about: the evidence, or what is missing.
#[derive(Default)]
struct Look {
    readings: Vec<Evidence>,
    lacks: Vec<String>,
    address: Option<Ipv4Addr>,
}

async fn look(cx: &dyn Context, site: &Reading) -> Result<Look, Failure> {
    let reader = site.kubernetes()?;
    let mut look = Look::default();
    for name in RELEASES {
        match flux::look(cx, &reader, TENANT_ROOT, name).await? {
            flux::Look::Ready(reading) => look.readings.push(reading),
            flux::Look::Lacks(lack) => look.lacks.push(lack),
        }
    }
    match get(&reader, &Kind::STATEFUL_SET, Some(TENANT_ROOT), ETCD).await? {
        Some(found) => match number(&found.value, "/status/readyReplicas").unwrap_or_default() {
            n if n >= ETCD_MEMBERS => look.readings.push(seen(cx, &found)),
            n => look.lacks.push(format!("etcd has {n} of {ETCD_MEMBERS} members ready")),
        },
        None => look.lacks.push("there is no StatefulSet etcd yet".into()),
    }
    match get(&reader, &Kind::SERVICE, Some(TENANT_ROOT), INGRESS).await? {
        Some(found) => match address(&found.value, &site.plan.network.address_pool) {
            Ok(address) => {
                look.address = Some(address);
                look.readings.push(seen(cx, &found));
            }
            Err(lack) => look.lacks.push(lack),
        },
        None => look.lacks.push(format!("there is no Service {INGRESS} yet")),
    }
    Ok(look)
}

#[async_trait]
impl Step<Installation> for TenantServices {
    fn outline(&self) -> &Outline {
        &self.outline
    }

    async fn observe(&self, cx: &dyn Context, site: &Reading) -> Result<Observed, Failure> {
        let tenant = get(&site.kubernetes()?, &Kind::TENANT, Some(TENANT_ROOT), TenantRoot::NAME).await?;
        let Some(tenant) = tenant else {
            let wait = Wait::new("the root tenant can be read", "the API shows no tenant root", BAND);
            return Ok(Observed::Underway(wait));
        };
        if !is_asked_for(&tenant.value, &site.plan.cozystack.root_host) {
            return Ok(Observed::Absent("the root tenant does not ask for etcd and ingress yet".into()));
        }
        let mut look = look(cx, site).await?;
        if let (Some(address), true) = (look.address, look.lacks.is_empty()) {
            look.readings.push(seen(cx, &tenant));
            let summary = format!("etcd has {ETCD_MEMBERS} members, the ingress is reached at {address}");
            return proven(summary, look.readings);
        }
        let (done, total) = (look.readings.len() as u64, (look.readings.len() + look.lacks.len()) as u64);
        let wait = Wait::new("etcd and ingress of the root tenant are ready", look.lacks.join("; "), BAND);
        Ok(Observed::Underway(wait.with_progress(done, total, "parts")))
    }

    async fn act(&self, _cx: &dyn Context, site: &Reading, change: &Changing) -> Result<(), Failure> {
        let live = get(&site.kubernetes()?, &Kind::TENANT, Some(TENANT_ROOT), TenantRoot::NAME).await?;
        let patch = wanted(live.as_ref().map(|l| &l.value)).patch(&site.plan.cozystack.root_host);
        let done = change.kubernetes()?.merge_patch(&Kind::TENANT, Some(TENANT_ROOT), TenantRoot::NAME, &patch).await;
        done.map(drop).map_err(|e| failures::kubernetes(&e, "switch on etcd and ingress of the root tenant"))
    }

    fn undo(&self) -> Undo<'_, Installation> {
        Undo::With(crate::steps::day1::clone::KIND)
    }

    async fn changed(&self, cx: &dyn Context, site: &Reading) {
        follow::object(cx, site, &Kind::HELM_RELEASE, Some(TENANT_ROOT), None, Duration::from_secs(3)).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_somebody_switched_on_stays_on() {
        let live = json!({"spec": {"monitoring": true, "etcd": false}});
        let tenant = wanted(Some(&live));
        assert!(tenant.etcd && tenant.ingress && tenant.monitoring && !tenant.seaweedfs);
        let patched = tenant.patch("cozy.example.com");
        assert!(is_asked_for(&patched, "cozy.example.com") && !is_asked_for(&patched, "other.example.com"));
        assert!(!is_asked_for(&live, "cozy.example.com"));
    }

    #[test]
    fn an_address_outside_the_pool_is_no_address() {
        let pool: [AddressRange; 1] = ["10.0.0.210-10.0.0.220".parse().unwrap()];
        let with = |ip: &str| json!({"status": {"loadBalancer": {"ingress": [{"ip": ip}]}}});
        assert_eq!(address(&with("10.0.0.210"), &pool), Ok("10.0.0.210".parse().unwrap()));
        assert!(address(&with("10.0.0.9"), &pool).unwrap_err().contains("10.0.0.9, which is none"));
        assert!(address(&json!({"status": {"loadBalancer": {}}}), &pool).unwrap_err().contains("no address yet"));
    }
}
