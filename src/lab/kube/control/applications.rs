//! Applications of tenants as cozystack-api v0.37.2 serves them: each is a view of a HelmRelease of its namespace, whose name has
//! the kind's prefix (pkg/registry/apps/application/rest.go). The root tenant is in [`super::tenants`].
//!
//! Simplified: the object shows Flux's finalizer, which the real view leaves out, and its uid is not its release's.
use super::objects::{condition, is_deleting, text, uid};
use super::{postgres, releases, tenant_chart, tenants};
use crate::kube::store::{Key, seconds};
use crate::world::World;
use serde_json::{Map, Value, json};

const GROUP: &str = "apps.cozystack.io";
/// In front of a label of the application on its release.
const LABEL_PREFIX: &str = "apps.cozystack.io-";
const FINALIZER: &str = "finalizers.fluxcd.io";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Chart {
    Tenant,
    Postgres,
}

impl Chart {
    const ALL: [Chart; 2] = [Chart::Tenant, Chart::Postgres];

    fn plural(self) -> &'static str {
        match self {
            Chart::Tenant => "tenants",
            Chart::Postgres => "postgreses",
        }
    }

    /// Of the chart and, with a dash, of the names of its releases.
    fn name(self) -> &'static str {
        match self {
            Chart::Tenant => "tenant",
            Chart::Postgres => "postgres",
        }
    }

    /// The chart of an application's release.
    pub fn of(key: &Key, release: &Value) -> Option<Chart> {
        if *key == tenants::release_key("tenant-root") {
            return None;
        }
        let spec = &release["spec"]["chart"]["spec"];
        let from_apps = spec["sourceRef"]["name"] == "cozystack-apps";
        Chart::ALL.into_iter().find(|c| from_apps && spec["chart"] == c.name() && c.short(&key.name).is_some())
    }

    /// The application's name.
    fn short(self, release: &str) -> Option<&str> {
        release.strip_prefix(self.name())?.strip_prefix('-')
    }
}

fn release_key(chart: Chart, application: &Key) -> Key {
    let name = format!("{}-{}", chart.name(), application.name);
    Key::new("helm.toolkit.fluxcd.io", "helmreleases", &application.namespace, &name)
}

/// Somebody wrote an application, or deleted it.
pub fn reconcile(world: &mut World, key: &Key, gone: Option<&Value>) {
    let Some(chart) = Chart::ALL.into_iter().find(|c| c.plural() == key.resource.plural) else { return };
    if tenants::is_root(key) {
        return tenants::reconcile(world, key, gone);
    }
    if gone.is_some() {
        return;
    }
    let Some(application) = world.object(key).cloned() else { return };
    let release = release_key(chart, key);
    if is_deleting(&application) {
        if world.object(&release).is_none() {
            world.remove_object(key);
            return;
        }
        let at = seconds(world.now);
        world.change_object(&release, |r| {
            if !is_deleting(r) {
                r["metadata"]["deletionTimestamp"] = json!(at);
            }
        });
        return;
    }
    if world.object(&release).is_some() {
        world.change_object(&release, |r| r["spec"]["values"] = application["spec"].clone());
        return;
    }
    world.change_object(key, |a| a["metadata"]["finalizers"] = json!([FINALIZER]));
    let mut labels = Map::new();
    labels.insert("cozystack.io/ui".into(), json!("true"));
    for (name, value) in application["metadata"]["labels"].as_object().into_iter().flatten() {
        labels.insert(format!("{LABEL_PREFIX}{name}"), value.clone());
    }
    let remediation = json!({"remediation": {"retries": -1}});
    let object = json!({
        "apiVersion": "helm.toolkit.fluxcd.io/v2", "kind": "HelmRelease",
        "metadata": {"labels": labels, "finalizers": [FINALIZER]},
        "spec": {"interval": "5m", "install": remediation, "upgrade": remediation, "values": application["spec"],
            "chart": {"spec": {"chart": chart.name(), "version": ">= 0.0.0-0", "reconcileStrategy": "Revision",
                "sourceRef": {"kind": "HelmRepository", "name": "cozystack-apps", "namespace": "cozy-public"}}}},
    });
    world.put_object(release, object);
}

/// The release changed: so does the view of it.
pub fn release_changed(world: &mut World, key: &Key, gone: Option<&Value>) {
    let Some(release) = gone.or_else(|| world.object(key)).cloned() else { return };
    let Some(chart) = Chart::of(key, &release) else { return };
    let Some(name) = chart.short(&key.name) else { return };
    let application = Key::new(GROUP, chart.plural(), &key.namespace, name);
    if gone.is_some() {
        world.remove_object(&application);
        return;
    }
    let conditions: Vec<Value> =
        ["Ready", "Released"].into_iter().filter_map(|c| condition(&release, c)).cloned().collect();
    world.change_object(&application, |a| {
        a["status"] = json!({"conditions": conditions, "version": release["status"]["lastAttemptedRevision"]});
        if chart == Chart::Tenant {
            a["status"]["namespace"] = json!(tenant_chart::namespace(key));
        }
    });
}

/// Flux installs the chart: its objects are there from the beginning of the attempt. False for a chart of the platform.
pub fn begun(world: &mut World, key: &Key) -> bool {
    let Some(release) = world.object(key).cloned() else { return false };
    match Chart::of(key, &release) {
        Some(Chart::Tenant) => tenant_chart::render(world, key, &release),
        Some(Chart::Postgres) => postgres::render(world, key, &release),
        None => return false,
    }
    true
}

/// True when nothing that the chart brings is waited for any more: of Postgres, Helm's hook that makes users and databases.
pub fn is_available(world: &mut World, key: &Key, release: &Value) -> bool {
    match Chart::of(key, release) {
        Some(Chart::Postgres) => postgres::hook(world, key, release),
        Some(Chart::Tenant) | None => true,
    }
}

/// The release is being deleted: what it brought goes, and it goes when that is gone.
pub fn uninstall(world: &mut World, key: &Key, release: &Value) {
    let is_gone = match Chart::of(key, release) {
        Some(Chart::Tenant) => tenant_chart::uninstalled(world, key),
        Some(Chart::Postgres) => postgres::uninstalled(world, key),
        None => true,
    };
    if is_gone {
        world.remove_object(key);
    }
}

/// A release that waited for the end of this namespace goes too.
pub fn namespace_gone(world: &mut World) {
    for (key, _) in world.select("helm.toolkit.fluxcd.io", "helmreleases", None, is_deleting) {
        releases::reconcile(world, &key, None);
    }
}

/// Labels that Helm and Flux put on what a release brings.
pub fn labelled(key: &Key) -> Value {
    let mut labels = releases::labels(key);
    labels["app.kubernetes.io/managed-by"] = json!("Helm");
    labels
}

/// Tells one release from another of the same name.
pub fn mark(world: &World, key: &Key) -> String {
    world.object(key).map(uid).unwrap_or_default()
}

/// The annotation of the tenant's namespace that says whose service of this kind it uses.
pub fn annotation<'a>(namespace: &'a Value, part: &str) -> &'a str {
    text(namespace, &format!("/metadata/annotations/namespace.cozystack.io~1{part}"))
}
