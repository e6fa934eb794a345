//! `day2.access`: kubeconfig and talosconfig lie in the run's folder, and the API answers to them at the VIP.
use crate::engine::failure::Failure;
use crate::engine::proof::{Evidence, Proof};
use crate::engine::step::{Context, Observed, Outline, Step, StepId, Undo};
use crate::engine::wait::{Band, Wait};
use crate::plan::model::Plan;
use crate::steps::site::{Changing, Installation, Reading, address, files};
use crate::steps::{failures, outlines};
use crate::talos::Secure;
use async_trait::async_trait;
use std::net::Ipv4Addr;
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

pub const KIND: &str = "day2.access";
const BAND: Band = Band::new(90, 300);

pub struct Access {
    outline: Outline,
}

pub fn step(plan: &Plan) -> Access {
    let title = format!("kubeconfig and talosconfig are written and the API answers at {}", plan.cluster_endpoint());
    let first = plan.control_planes().next().map_or(plan.network.vip, |n| n.address);
    let by_hand =
        format!("talosctl --talosconfig talosconfig -n {first} version; kubectl --kubeconfig kubeconfig version");
    let outline =
        outlines::change(StepId::new(KIND), 2, title, BAND, by_hand).after([StepId::new(super::bootstrap::KIND)]);
    Access { outline }
}

/// A service that the API server needs and that is not up on the first control plane: VIP and static pods wait for the
/// kubelet, which nothing waited for before.
async fn behind(site: &Reading) -> Option<String> {
    let first = site.plan.control_planes().next()?;
    let node = Secure::connect(address(first), &site.admin().ok()?).await.ok()?;
    let services = node.services().await.ok()?.value;
    let down = services.iter().find(|s| ["etcd", "kubelet"].contains(&s.id.as_str()) && !s.is_up())?;
    Some(format!("on {} {down}", first.name))
}

#[async_trait]
impl Step<Installation> for Access {
    fn outline(&self) -> &Outline {
        &self.outline
    }

    async fn observe(&self, cx: &dyn Context, site: &Reading) -> Result<Observed, Failure> {
        let mut listed = Vec::new();
        for name in [files::KUBECONFIG, files::TALOSCONFIG] {
            let path = site.vault.path(name);
            match std::fs::metadata(&path) {
                Ok(found) if found.permissions().mode() & 0o077 == 0 => {
                    listed.push(format!("{:o} {}", found.permissions().mode() & 0o777, path.display()));
                }
                Ok(_) => return Ok(Observed::Absent(format!("{} may be read by others", path.display()))),
                Err(_) => return Ok(Observed::Absent(format!("there is no {}", path.display()))),
            }
        }
        let reader = site.kubernetes()?;
        let version = match reader.version().await {
            Ok(version) => version,
            Err(e) if e.is_transient() => {
                let condition = format!("the API answers at {}", site.plan.cluster_endpoint());
                let seen = match behind(site).await {
                    Some(service) => format!("{e}; {service}"),
                    None => e.to_string(),
                };
                return Ok(Observed::Underway(Wait::new(condition, seen, BAND)));
            }
            Err(e) => return Err(failures::kubernetes(&e, "ask the API server for its version")),
        };
        let now = cx.clock().now();
        let file = Evidence {
            system: "jump host".into(),
            asked: "list the access files".into(),
            answer: listed.join("\n"),
            at: now,
            by_hand: format!("ls -l {}", site.secrets.display()),
        };
        let summary =
            format!("{} answers to the kubeconfig in {}", site.plan.cluster_endpoint(), site.secrets.display());
        Ok(Observed::Satisfied(Proof::new(summary, Evidence::of("Kubernetes", now, &version)).and(file)))
    }

    async fn act(&self, cx: &dyn Context, site: &Reading, change: &Changing) -> Result<(), Failure> {
        let bundle = site.bundle()?;
        let plan = &site.plan;
        let control_planes: Vec<Ipv4Addr> = plan.control_planes().map(|n| n.address).collect();
        // One default node: `health` and `kubeconfig` refuse several, and `reset` would wipe all of them.
        let first = control_planes.get(..1).unwrap_or_default();
        let broken = |e: String| Failure::broken(format!("write the access files: {e}"), "check the secrets bundle");
        let now = cx.clock().now();
        let talosconfig =
            bundle.talosconfig(&plan.name, &control_planes, first, now).map_err(|e| broken(e.to_string()))?;
        let kubeconfig =
            bundle.kubeconfig(&plan.name, &plan.cluster_endpoint(), now).map_err(|e| broken(e.to_string()))?;
        change.keep_secret(files::TALOSCONFIG, &talosconfig)?;
        change.keep_secret(files::KUBECONFIG, &kubeconfig)
    }

    fn undo(&self) -> Undo<'_, Installation> {
        Undo::With(super::secrets::KIND)
    }

    async fn changed(&self, cx: &dyn Context, _site: &Reading) {
        cx.clock().sleep(Duration::from_secs(1)).await;
    }
}
