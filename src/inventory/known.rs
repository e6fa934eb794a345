//! The kinds that hold what people put into a cluster: CozyStack's apps, and the operators' kinds behind them.
use super::item::{Engine, Sort, Way};

/// How a kind counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Known {
    pub sort: Sort,
    pub way: Way,
    /// An operator's kind, which an app's release makes.
    pub is_behind: bool,
}

/// The group of CozyStack's apps.
pub const APPS: &str = "apps.cozystack.io";
/// The Helm repositories that the charts of apps come from.
const SOURCES: [&str; 2] = ["cozystack-apps", "cozystack-extra"];

const fn of(sort: Sort, way: Way) -> Known {
    Known { sort, way, is_behind: false }
}

const fn database(engine: Engine) -> Known {
    of(Sort::Database, Way::Dump { engine })
}

/// Any other app: it is named all the same.
const ANY: Known = of(Sort::Workload, Way::Apply);

/// Kinds of CozyStack v0.28 to v1.6 by their plural, with what the name of their release begins with
/// (packages/system/cozystack-api of v0.28, packages/system/cozystack-resource-definitions of v0.37).
const APP_KINDS: [(&str, &str, Known); 23] = [
    ("tenants", "tenant-", of(Sort::Tenant, Way::Apply)),
    ("postgreses", "postgres-", database(Engine::Postgres)),
    ("mysqls", "mysql-", database(Engine::MariaDb)),
    ("mariadbs", "mariadb-", database(Engine::MariaDb)),
    ("redises", "redis-", database(Engine::Redis)),
    ("rabbitmqs", "rabbitmq-", database(Engine::RabbitMq)),
    ("kafkas", "kafka-", database(Engine::Kafka)),
    ("clickhouses", "clickhouse-", database(Engine::ClickHouse)),
    ("ferretdbs", "ferretdb-", database(Engine::FerretDb)),
    ("ferretdb", "ferretdb-", database(Engine::FerretDb)),
    ("mongodbs", "mongodb-", database(Engine::MongoDb)),
    ("natses", "nats-", database(Engine::Nats)),
    ("opensearches", "opensearch-", database(Engine::OpenSearch)),
    ("foundationdbs", "foundationdb-", of(Sort::Database, Way::CopyFiles)),
    ("buckets", "bucket-", database(Engine::ObjectStore)),
    ("virtualmachines", "virtual-machine-", of(Sort::Machine, Way::CopyDisk)),
    ("vminstances", "vm-instance-", of(Sort::Machine, Way::Apply)),
    ("vmdisks", "vm-disk-", of(Sort::Disk, Way::CopyDisk)),
    ("kuberneteses", "kubernetes-", of(Sort::Cluster, Way::Rebuild)),
    ("httpcaches", "http-cache-", ANY),
    ("tcpbalancers", "tcp-balancer-", ANY),
    ("vpns", "vpn-", ANY),
    ("harbors", "harbor-", ANY),
];

/// Parts of a tenant: there is one of each, and its release has its name.
const MODULES: [(&str, &str, Known); 6] = [
    ("etcds", "etcd", database(Engine::Etcd)),
    ("seaweedfses", "seaweedfs", database(Engine::ObjectStore)),
    ("ingresses", "ingress", ANY),
    ("monitorings", "monitoring", ANY),
    ("bootboxes", "bootbox", ANY),
    ("infos", "info", ANY),
];

const fn behind(sort: Sort, way: Way) -> Known {
    Known { sort, way, is_behind: true }
}

const fn store(engine: Engine) -> Known {
    behind(Sort::Database, Way::Dump { engine })
}

/// Operators' kinds, by group and plural.
const BEHIND: [(&str, &str, Known); 14] = [
    ("postgresql.cnpg.io", "clusters", store(Engine::Postgres)),
    ("k8s.mariadb.com", "mariadbs", store(Engine::MariaDb)),
    ("mariadb.mmontes.io", "mariadbs", store(Engine::MariaDb)),
    ("databases.spotahome.com", "redisfailovers", store(Engine::Redis)),
    ("rabbitmq.com", "rabbitmqclusters", store(Engine::RabbitMq)),
    ("kafka.strimzi.io", "kafkas", store(Engine::Kafka)),
    ("clickhouse.altinity.com", "clickhouseinstallations", store(Engine::ClickHouse)),
    ("etcd.aenix.io", "etcdclusters", store(Engine::Etcd)),
    ("opensearch.opster.io", "opensearchclusters", store(Engine::OpenSearch)),
    ("psmdb.percona.com", "perconaservermongodbs", store(Engine::MongoDb)),
    ("kubevirt.io", "virtualmachines", behind(Sort::Machine, Way::CopyDisk)),
    ("kamaji.clastix.io", "tenantcontrolplanes", behind(Sort::Cluster, Way::Rebuild)),
    ("cluster.x-k8s.io", "clusters", behind(Sort::Cluster, Way::Rebuild)),
    ("seaweed.seaweedfs.com", "seaweeds", store(Engine::ObjectStore)),
];

/// `None` for a kind that holds nothing of anybody. An app that nobody knows is a workload.
pub fn known(group: &str, plural: &str) -> Option<Known> {
    if group == APPS {
        return Some(
            APP_KINDS.iter().chain(&MODULES).find(|(name, ..)| *name == plural).map_or(ANY, |(.., known)| *known),
        );
    }
    BEHIND.iter().find(|(g, p, _)| (*g, *p) == (group, plural)).map(|(_, _, known)| *known)
}

/// True for a group that may hold such kinds: when nobody answers behind it, nobody knows what is there.
pub fn may_hold(group: &str) -> bool {
    group == APPS || BEHIND.iter().any(|(g, ..)| *g == group)
}

/// The Gateway API's routes, which lead names to somebody like an ingress.
pub fn is_route(group: &str, plural: &str) -> bool {
    group == "gateway.networking.k8s.io" && plural.ends_with("routes")
}

/// The release of an app. `kind` is in lower case.
pub fn release_of(plural: &str, kind: &str, app: &str) -> String {
    if MODULES.iter().any(|(name, ..)| *name == plural) {
        return app.to_string();
    }
    let prefix = APP_KINDS.iter().find(|(name, ..)| *name == plural).map(|(_, prefix, _)| *prefix);
    prefix.map_or_else(|| format!("{kind}-{app}"), |prefix| format!("{prefix}{app}"))
}

/// The app behind a release whose chart comes from `source`: its plural, its name, and how it counts.
pub fn app_of(source: &str, release: &str) -> Option<(&'static str, String, Known)> {
    if !SOURCES.contains(&source) {
        return None;
    }
    let module = MODULES.iter().find(|(_, name, _)| *name == release);
    let apps = APP_KINDS.iter().filter_map(|(plural, prefix, known)| {
        release.strip_prefix(prefix).filter(|name| !name.is_empty()).map(|name| (*plural, name.to_string(), *known))
    });
    module.map(|(plural, name, known)| (*plural, (*name).to_string(), *known)).or_else(|| apps.into_iter().next())
}

/// A kind under the name that it has in later releases, so that what moved is found again.
pub fn later(resource: &str) -> &str {
    match resource {
        // With CozyStack v1.0.
        "mysqls.apps.cozystack.io" => "mariadbs.apps.cozystack.io",
        // With CozyStack v0.35.
        "ferretdb.apps.cozystack.io" => "ferretdbs.apps.cozystack.io",
        other => other,
    }
}

/// Namespaces that Kubernetes and Cluster API's provider bring, and that have no label of CozyStack.
const SYSTEM: [&str; 5] = ["kube-system", "kube-public", "kube-node-lease", "capmox-system", "cilium-secrets"];

/// True for a namespace of the platform itself. CozyStack labels those that it makes; a namespace that only has such a name
/// is somebody's. `label` is `None` while namespaces can't be read: then the name has to do, and that is a gap.
pub fn is_platform(namespace: &str, label: Option<&str>) -> bool {
    let named = namespace.starts_with("cozy-");
    SYSTEM.contains(&namespace) || (named && label.is_none_or(|label| label == "true"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_release_and_its_app_lead_to_each_other() {
        for (plural, prefix, known) in APP_KINDS.iter().filter(|(plural, ..)| *plural != "ferretdb") {
            let release = release_of(plural, "x", "a-b");
            assert_eq!(release, format!("{prefix}a-b"));
            assert_eq!(app_of("cozystack-apps", &release).map(|(_, name, k)| (name, k)), Some(("a-b".into(), *known)));
        }
        assert_eq!(release_of("etcds", "etcd", "etcd"), "etcd");
        assert_eq!(app_of("cozystack-extra", "etcd").map(|(plural, ..)| plural), Some("etcds"));
        assert_eq!((app_of("bitnami", "redis-mine"), app_of("cozystack-apps", "redis-")), (None, None));
        assert_eq!(release_of("newkinds", "newkind", "a"), "newkind-a");
    }

    #[test]
    fn a_name_alone_makes_no_namespace_the_platforms() {
        assert!(is_platform("cozy-linstor", Some("true")) && is_platform("kube-system", Some("")));
        assert!(!is_platform("cozy-shop", Some("")) && !is_platform("kube-shop", Some("true")));
        assert!(!is_platform("tenant-a", Some("true")) && is_platform("cozy-linstor", None));
    }
}
