//! The root tenant: `tenants.apps.cozystack.io/root` is a view of the HelmRelease `tenant-root`.
use super::objects::{condition, text};
use super::{releases, tenant_chart};
use crate::kube::store::Key;
use crate::world::World;
use serde_json::{Value, json};

const ROOT: &str = "tenant-root";

pub fn release_key(name: &str) -> Key {
    Key::new("helm.toolkit.fluxcd.io", "helmreleases", ROOT, name)
}

fn tenant_key() -> Key {
    Key::new("apps.cozystack.io", "tenants", ROOT, "root")
}

pub fn is_root(key: &Key) -> bool {
    *key == tenant_key()
}

/// Somebody wrote the tenant: its spec becomes the release's values. A deleted root tenant comes back from the release.
pub fn reconcile(world: &mut World, key: &Key, gone: Option<&Value>) {
    if gone.is_some() {
        return show(world);
    }
    let Some(spec) = world.object(key).map(|t| t["spec"].clone()) else { return };
    world.change_object(&release_key(ROOT), |r| {
        if r["spec"]["values"] != spec && spec.is_object() {
            r["spec"]["values"] = spec;
        }
    });
}

pub fn release_changed(world: &mut World, key: &Key) {
    if *key == release_key(ROOT) {
        show(world);
    }
}

/// Brings the tenant in line with its release; there is none before cozystack-api serves it.
pub fn show(world: &mut World) {
    let served = world.state().is_some_and(|s| s.groups.contains("apps.cozystack.io"));
    let Some(release) = world.object(&release_key(ROOT)).cloned().filter(|_| served) else { return };
    let version = release.pointer("/status/history/0/chartVersion").cloned().unwrap_or(Value::Null);
    let conditions: Vec<Value> =
        ["Ready", "Released"].into_iter().filter_map(|c| condition(&release, c)).cloned().collect();
    let spec = release["spec"]["values"].clone();
    let desired = json!({"apiVersion": "apps.cozystack.io/v1alpha1", "kind": "Tenant", "metadata": {},
        "appVersion": "*", "spec": spec});
    world.apply_object(tenant_key(), desired);
    world.change_object(&tenant_key(), |t| {
        t["status"] = json!({"conditions": conditions, "version": version, "namespace": ROOT});
    });
}

/// The releases that the tenant chart renders: always `info`, the others by their switches.
pub fn installed(world: &mut World, release: &Value) {
    let on = |flag: &str| release["spec"]["values"][flag] == true;
    child(world, "info", "info");
    for flag in ["etcd", "ingress", "monitoring", "seaweedfs"] {
        if on(flag) {
            child(world, flag, flag);
        } else {
            world.remove_object(&release_key(flag));
        }
    }
    if release["spec"]["values"]["isolated"] != false {
        let labels = releases::labels(&release_key(ROOT));
        tenant_chart::policies(world, ROOT, &labels, on("ingress"), on("etcd"));
    }
    let host = text(release, "/spec/values/host").to_string();
    world.change_object(&Key::new("", "namespaces", "", ROOT), |n| {
        if !host.is_empty() {
            n["metadata"]["annotations"]["namespace.cozystack.io/host"] = json!(host);
        }
    });
    let token = json!({"apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/service-account-token",
        "metadata": {"annotations": {"kubernetes.io/service-account.name": ROOT}},
        "data": {"token": "bGFiLXRva2Vu", "namespace": "dGVuYW50LXJvb3Q="}});
    world.apply_object(Key::new("", "secrets", ROOT, ROOT), token);
}

/// A release of the root tenant, from the repository of applications and extras.
pub fn child(world: &mut World, name: &str, chart: &str) {
    child_in(world, ROOT, name, chart);
}

/// The same of another tenant, by its namespace.
pub fn child_in(world: &mut World, tenant: &str, name: &str, chart: &str) {
    let key = Key::new("helm.toolkit.fluxcd.io", "helmreleases", tenant, name);
    if world.object(&key).is_some() {
        return;
    }
    // A chart of the platform itself, which an extra brings along.
    let system = chart.starts_with("cozy-");
    let (repository, namespace) =
        if system { ("cozystack-system", "cozy-system") } else { ("cozystack-extra", "cozy-public") };
    let labels = if system {
        json!({})
    } else {
        json!({"cozystack.io/ui": "true", "internal.cozystack.io/tenantmodule": "true",
            "app.kubernetes.io/instance": tenant, "app.kubernetes.io/managed-by": "Helm"})
    };
    let release = json!({
        "apiVersion": "helm.toolkit.fluxcd.io/v2", "kind": "HelmRelease",
        "metadata": {"labels": labels},
        "spec": {"interval": "5m", "timeout": "10m", "install": {"remediation": {"retries": -1}},
            "upgrade": {"force": true, "remediation": {"retries": -1}},
            "chart": {"spec": {"chart": chart, "version": ">= 0.0.0-0", "reconcileStrategy": "Revision",
                "sourceRef": {"kind": "HelmRepository", "name": repository, "namespace": namespace}}}},
    });
    world.put_object(key, release);
}
