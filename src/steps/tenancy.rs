//! The tenants of days 8 and 9 and a database: names, what is asked for them, and the objects that the tests put into them.
pub mod going;
pub mod made;

use super::applications::Application;
use super::objects::{self, IMAGE};
use super::site::Reading;
use crate::cozystack::addons::TENANT_ROOT;
use crate::engine::step::StepId;
use crate::kubernetes::Kind;
use serde_json::{Value, json};

/// A tenant of the tests. Names of tenants must not contain dashes.
#[derive(Debug, PartialEq, Eq)]
pub struct TestTenant {
    pub name: &'static str,
    /// The namespace that CozyStack makes for it.
    pub namespace: &'static str,
    release: &'static str,
    /// It has a quota.
    pub is_limited: bool,
    /// KIND of the step that makes it.
    maker: &'static str,
    /// KIND of the step with which it goes in a teardown.
    pub removed_by: &'static str,
}

/// The tenant with quota, host and database.
pub static FIRST: TestTenant = TestTenant {
    name: "cozyuptest",
    namespace: "tenant-cozyuptest",
    release: "tenant-cozyuptest",
    is_limited: true,
    ..OF_DAY_8
};
/// Its neighbour.
pub static SECOND: TestTenant =
    TestTenant { name: "cozyupother", namespace: "tenant-cozyupother", release: "tenant-cozyupother", ..OF_DAY_8 };
pub const THIRD_NAMESPACE: &str = "tenant-cozyupcluster";
/// The tenant of day 9, whose Kubernetes it is.
pub static THIRD: TestTenant = TestTenant {
    name: "cozyupcluster",
    namespace: THIRD_NAMESPACE,
    release: "tenant-cozyupcluster",
    is_limited: false,
    maker: super::day9::tenant::KIND,
    removed_by: super::day9::removal::KIND,
};
/// Without a name.
const OF_DAY_8: TestTenant = TestTenant {
    name: "",
    namespace: "",
    release: "",
    is_limited: false,
    maker: super::day8::tenant::KIND,
    removed_by: super::day8::cleanup::KIND,
};
/// Those of day 8.
pub static ALL: [&TestTenant; 2] = [&FIRST, &SECOND];

/// The amounts that the limited tenant may use, as `resourceQuotas` of its application.
pub const LIMITS: [(&str, &str); 3] = [("cpu", "8"), ("memory", "4Gi"), ("storage", "10Gi")];
/// Name of the quota that CozyStack makes of them.
pub const QUOTA: &str = "tenant-quota";

/// Name of the Deployment and Service that answer in each tenant.
pub const WEB: &str = "web";
pub const PORT: u16 = 8080;

/// User and database in Postgres.
pub const USER: &str = "cozyup";
/// Instances of it.
pub const INSTANCES: i64 = 2;
/// The image with `psql` that CozyStack's own chart runs beside a Postgres (packages/apps/postgres/templates/init-job.yaml).
const PSQL: &str = "ghcr.io/cloudnative-pg/postgresql:15.3";

pub static DATABASE: Application =
    Application { kind: Kind::POSTGRES, namespace: FIRST.namespace, name: "db", release: "postgres-db" };

impl TestTenant {
    pub fn application(&self) -> Application {
        Application { kind: Kind::TENANT, namespace: TENANT_ROOT, name: self.name, release: self.release }
    }

    /// The step that makes it.
    pub fn made_by(&self) -> StepId {
        StepId::of(self.maker, self.name)
    }

    pub fn spec(&self) -> Value {
        let quotas: serde_json::Map<String, Value> =
            LIMITS.into_iter().filter(|_| self.is_limited).map(|(k, v)| (k.to_string(), json!(v))).collect();
        json!({"isolated": true, "etcd": false, "ingress": false, "monitoring": false, "seaweedfs": false, "resourceQuotas": quotas})
    }

    /// The other one.
    pub fn neighbour(&self) -> &'static TestTenant {
        if self.name == FIRST.name { &SECOND } else { &FIRST }
    }

    /// The name under which its Service is known in the cluster.
    pub fn service(&self, domain: &str) -> String {
        format!("{WEB}.{}.svc.{domain}", self.namespace)
    }
}

/// The application's spec: passwords are drawn by the chart.
pub fn database() -> Value {
    json!({"replicas": INSTANCES, "size": "1Gi", "users": {USER: {}}, "databases": {USER: {"roles": {"admin": [USER], "readonly": []}}}})
}

/// This run's labels, and the one by which Deployment and Service find their pods.
pub fn labels(site: &Reading, app: &str) -> Value {
    let mut labels = objects::labels(site);
    if let Some(map) = labels.as_object_mut() {
        map.insert("app".into(), app.into());
    }
    labels
}

/// A Deployment of one pod with a small web server.
pub fn deployment(site: &Reading, name: &str, resources: &Value) -> Value {
    let labels = labels(site, name);
    json!({
        "metadata": {"labels": labels},
        "spec": {
            "replicas": 1,
            "selector": {"matchLabels": {"app": name}},
            "template": {
                "metadata": {"labels": labels},
                "spec": {"terminationGracePeriodSeconds": 1, "containers": [{
                    "name": objects::CONTAINER, "image": IMAGE, "args": ["netexec", format!("--http-port={PORT}")],
                    "ports": [{"containerPort": PORT}], "resources": resources,
                }]},
            },
        },
    })
}

/// A pod that runs `psql` lines of `script` as [`USER`], with the password from the Secret that the chart made.
pub fn client(site: &Reading, script: &str) -> Value {
    let mut pod = objects::job(site, script, None);
    if let Some(container) = pod.pointer_mut("/spec/containers/0").and_then(Value::as_object_mut) {
        let secret = json!({"name": format!("{}-credentials", DATABASE.release), "key": USER});
        let env = json!([
            {"name": "PGUSER", "value": USER},
            {"name": "PGDATABASE", "value": USER},
            {"name": "PGPASSWORD", "valueFrom": {"secretKeyRef": secret}},
        ]);
        container.extend([("image".to_string(), json!(PSQL)), ("env".to_string(), env)]);
    }
    pod
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tenant_is_named_as_cozystack_allows_it_and_lives_where_it_puts_it() {
        for tenant in ALL {
            assert!(tenant.neighbour() != tenant && tenant.neighbour().neighbour() == tenant);
        }
        for tenant in ALL.into_iter().chain([&THIRD]) {
            assert!(!tenant.name.contains('-') && tenant.namespace == format!("tenant-{}", tenant.name));
        }
        assert_eq!(FIRST.spec()["resourceQuotas"]["memory"], "4Gi");
        assert_eq!(SECOND.spec()["resourceQuotas"], json!({}));
    }
}
