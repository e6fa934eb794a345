//! The kinds that the API server serves now, whoever defined them.
use super::error::Error;
use super::kind::Kind;
use super::reader::Reader;
use super::wire::Ask;
use crate::base::text;
use serde::Deserialize;
use std::collections::BTreeSet;

/// Versions of groups that are asked for; a large platform has some two hundred.
const MOST_VERSIONS: usize = 1_000;
/// Kinds of one version; the core group has some thirty.
const MOST_KINDS: usize = 1_000;
/// Longest name of a group or a kind, in bytes (RFC 1123).
const LONGEST_NAME: usize = 253;

/// A kind that can be listed, in the version that the server prefers.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Served {
    /// Empty for the core group.
    pub group: String,
    /// API version without the group: `v1`, `v1beta1`.
    pub version: String,
    /// Kind as objects spell it: `ConfigMap`.
    pub kind: String,
    /// Lower-case plural, the last part of the path.
    pub plural: String,
    /// False for kinds of the whole cluster.
    pub namespaced: bool,
}

impl Served {
    /// `v1`, `apps/v1`
    pub fn api_version(&self) -> String {
        if self.group.is_empty() { self.version.clone() } else { format!("{}/{}", self.group, self.version) }
    }

    /// As kubectl names it without doubt: `configmaps`, `helmreleases.helm.toolkit.fluxcd.io`.
    pub fn resource(&self) -> String {
        if self.group.is_empty() { self.plural.clone() } else { format!("{}.{}", self.plural, self.group) }
    }

    /// The path of all objects of all namespaces.
    pub(super) fn path(&self) -> String {
        let root = if self.group.is_empty() { "/api" } else { "/apis" };
        format!("{root}/{}/{}", self.api_version(), self.plural)
    }
}

impl From<&Kind> for Served {
    fn from(kind: &Kind) -> Served {
        Served {
            group: kind.group.into(),
            version: kind.version.into(),
            kind: kind.kind.into(),
            plural: kind.plural.into(),
            namespaced: kind.namespaced,
        }
    }
}

/// What the server says of itself.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Discovered {
    /// Each kind once, by group and name; the core group is first.
    pub kinds: Vec<Served>,
    /// Versions of groups (`metrics.k8s.io/v1beta1`) whose kinds can't be told, and why: most often nobody answers behind
    /// an aggregated API.
    pub silent: Vec<(String, Error)>,
}

#[derive(Deserialize)]
#[serde(default)]
#[derive(Default)]
struct CoreVersions {
    versions: Vec<String>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Groups {
    groups: Vec<Group>,
}

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
struct Group {
    name: String,
    versions: Vec<GroupVersion>,
    preferred_version: GroupVersion,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct GroupVersion {
    version: String,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Resources {
    resources: Vec<Resource>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Resource {
    name: String,
    namespaced: bool,
    kind: String,
    verbs: Vec<String>,
}

/// A name that may stand in a path and name a file.
fn is_name(text: &str) -> bool {
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'.';
    text.len() <= LONGEST_NAME && text.starts_with(|c: char| c.is_ascii_alphanumeric()) && text.bytes().all(plain)
}

fn is_kind(text: &str) -> bool {
    !text.is_empty() && text.len() <= LONGEST_NAME && text.bytes().all(|b| b.is_ascii_alphanumeric())
}

impl Reader {
    /// Every kind that can be listed, each in one version: the group's preferred one where it serves the kind there.
    ///
    /// # Errors
    /// When the server does not name its groups; a single version that can't be asked for is in [`Discovered::silent`].
    pub async fn discover(&self) -> Result<Discovered, Error> {
        let core: CoreVersions = self.wire.json(Ask::get("/api".into())).await?;
        let groups: Groups = self.wire.json(Ask::get("/apis".into())).await?;
        let mut asked: Vec<(String, String)> = core.versions.into_iter().map(|v| (String::new(), v)).collect();
        for group in groups.groups {
            let preferred = group.preferred_version.version;
            let others = group.versions.into_iter().map(|v| v.version).filter(|v| *v != preferred);
            let others: Vec<String> = others.collect();
            let all = Some(preferred).filter(|v| !v.is_empty()).into_iter().chain(others);
            asked.extend(all.map(|version| (group.name.clone(), version)));
        }
        let mut found = Discovered::default();
        let mut known: BTreeSet<(String, String)> = BTreeSet::new();
        if asked.len() > MOST_VERSIONS {
            let text = format!("the server names {} versions of groups", asked.len());
            return Err(Error::Answer { text });
        }
        for (group, version) in asked {
            let name = if group.is_empty() { version.clone() } else { format!("{group}/{version}") };
            match self.resources(&group, &version).await {
                Ok(kinds) => {
                    let new = kinds.into_iter().filter(|k| known.insert((k.group.clone(), k.plural.clone())));
                    found.kinds.extend(new);
                }
                Err(e @ (Error::Unreachable { .. } | Error::Unauthorized)) => return Err(e),
                Err(e) => found.silent.push((text::shorten(&text::clean(&name), LONGEST_NAME), e)),
            }
        }
        found.kinds.sort();
        Ok(found)
    }

    async fn resources(&self, group: &str, version: &str) -> Result<Vec<Served>, Error> {
        if !(group.is_empty() || is_name(group)) || !is_name(version) {
            return Err(Error::Answer { text: "it is not the name of a version".to_string() });
        }
        let path = if group.is_empty() { format!("/api/{version}") } else { format!("/apis/{group}/{version}") };
        let list: Resources = self.wire.json(Ask::get(path)).await?;
        if list.resources.len() > MOST_KINDS {
            return Err(Error::Answer { text: format!("it has {} kinds", list.resources.len()) });
        }
        let mut kinds = Vec::new();
        for resource in list.resources {
            // A part of an object, such as `pods/log`; or one that only answers, such as a review.
            if resource.name.contains('/') || !resource.verbs.iter().any(|v| v == "list") {
                continue;
            }
            if !is_name(&resource.name) || !is_kind(&resource.kind) {
                return Err(Error::Answer { text: "the name of a kind is none".to_string() });
            }
            kinds.push(Served {
                group: group.into(),
                version: version.into(),
                kind: resource.kind,
                plural: resource.name,
                namespaced: resource.namespaced,
            });
        }
        Ok(kinds)
    }
}

#[cfg(test)]
mod tests {
    use super::super::connect;
    use super::super::testing::{Reply, Server, status};
    use super::*;
    use serde_json::{Value, json};

    fn resource(name: &str, kind: &str, verbs: &[&str]) -> Value {
        json!({"name": name, "kind": kind, "namespaced": true, "verbs": verbs})
    }

    fn group(name: &str, versions: &[&str]) -> Value {
        let all: Vec<Value> = versions.iter().map(|v| json!({"version": v})).collect();
        json!({"name": name, "versions": all, "preferredVersion": {"version": versions[0]}})
    }

    async fn of(groups: Vec<Value>, answers: Vec<Reply>) -> Discovered {
        let mut script =
            vec![Reply::Json(200, json!({"versions": ["v1"]})), Reply::Json(200, json!({"groups": groups}))];
        script.extend(answers);
        let server = Server::start(script).await;
        let (reader, _) = connect(&server.kubeconfig, None).unwrap();
        reader.discover().await.unwrap()
    }

    fn list(resources: Vec<Value>) -> Reply {
        Reply::Json(200, json!({"resources": resources}))
    }

    #[tokio::test]
    async fn each_kind_that_can_be_listed_is_found_once_in_the_version_that_the_server_prefers() {
        let pods = vec![resource("pods", "Pod", &["get", "list"]), resource("pods/log", "Pod", &["get", "list"])];
        let reviews = vec![resource("tokenreviews", "TokenReview", &["create"])];
        let answers = vec![
            list([pods, reviews].concat()),
            list(vec![resource("clusters", "Cluster", &["list"])]),
            list(vec![resource("clusters", "Cluster", &["list"]), resource("pools", "Pool", &["list"])]),
        ];
        let found = of(vec![group("a.io", &["v1", "v1beta1"])], answers).await;
        let names: Vec<String> = found.kinds.iter().map(|k| format!("{} {}", k.resource(), k.version)).collect();
        assert_eq!(names, ["pods v1", "clusters.a.io v1", "pools.a.io v1beta1"]);
        assert!(found.silent.is_empty());
    }

    #[tokio::test]
    async fn a_version_behind_which_nobody_answers_is_named_and_the_others_are_found() {
        let answers = vec![
            list(vec![resource("pods", "Pod", &["list"])]),
            status(503, "ServiceUnavailable", "error trying to reach service"),
            list(vec![resource("../secrets", "Secret", &["list"])]),
            list(vec![resource("deployments", "Deployment", &["list"])]),
        ];
        let groups = vec![group("metrics.k8s.io", &["v1beta1"]), group("b.io", &["v1"]), group("apps", &["v1"])];
        let found = of(groups, answers).await;
        assert_eq!(found.kinds.iter().map(Served::resource).collect::<Vec<_>>(), ["pods", "deployments.apps"]);
        let silent: Vec<&str> = found.silent.iter().map(|(name, _)| name.as_str()).collect();
        // A slash makes it a part of an object, and so no kind; nothing of it becomes a path.
        assert_eq!(silent, ["metrics.k8s.io/v1beta1"]);
        assert!(!is_name("../x") && !is_name("..") && !is_name("a/b") && !is_name("") && !is_kind("A/B"));
    }
}
