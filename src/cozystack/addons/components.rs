//! A Cluster API provider's components, handed to the operator in a ConfigMap: the cluster fetches nothing, and what gets
//! its rights is what the jump host has compared with a digest.
//!
//! The operator (0.19) reads the version from a label, `components` and `metadata` from the data, and puts everything
//! into the namespace of the provider's object. A ConfigMap holds 1 MiB.
use serde_json::{Map, Value, json};

/// The limit for the content of a ConfigMap beside our labels, in bytes.
pub const LIMIT: usize = 1_000_000;
/// Label of the operator: the version of the components.
pub const VERSION_LABEL: &str = "provider.cluster.x-k8s.io/version";
/// Label by which a provider's object finds its ConfigMap.
pub const PROVIDER_LABEL: &str = "cozyup.dev/provider";
/// Annotation: SHA-256 of the file as it was fetched.
pub const SHA256: &str = "cozyup.dev/sha256";
const MANAGER: &str = "manager";

/// The components of one provider as its release has them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Components {
    pub text: String,
    /// Of the file, in hexadecimal digits.
    pub sha256: String,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    #[error("document {number} is no YAML: {text}")]
    Yaml { number: usize, text: String },
    #[error("{found} Deployments with a container `manager`, where one is expected")]
    Deployments { found: usize },
}

/// A volume with a certificate for the provider's manager, mounted at `path`.
pub struct Mount<'a> {
    pub config_map: &'a str,
    pub path: &'a str,
}

/// The components with one volume more in the manager's Deployment, which the provider's object can't add. Every other
/// document stays as it is, letter by letter.
///
/// # Errors
/// When a document can't be read, or there is not exactly one such Deployment.
pub fn with_mount(components: &str, mount: &Mount<'_>) -> Result<String, Error> {
    let mut documents: Vec<String> = documents(components);
    let mut found = 0;
    for (number, text) in documents.iter_mut().enumerate() {
        if !text.contains("Deployment") {
            continue;
        }
        let mut value: Value =
            serde_saphyr::from_str(text).map_err(|e| Error::Yaml { number: number + 1, text: e.to_string() })?;
        if value.get("kind").and_then(Value::as_str) == Some("Deployment") && add(&mut value, mount).is_some() {
            found += 1;
            // JSON is YAML.
            *text = format!("{value}\n");
        }
    }
    if found == 1 { Ok(documents.join("---\n")) } else { Err(Error::Deployments { found }) }
}

/// The documents of a YAML stream, without the lines that part them.
fn documents(stream: &str) -> Vec<String> {
    let mut all = vec![String::new()];
    for line in stream.lines() {
        if line.trim_end() == "---" {
            all.push(String::new());
        } else if let Some(last) = all.last_mut() {
            last.push_str(line);
            last.push('\n');
        }
    }
    all.retain(|text| !text.trim().is_empty());
    all
}

fn add(deployment: &mut Value, mount: &Mount<'_>) -> Option<()> {
    let pod = deployment.pointer_mut("/spec/template/spec")?.as_object_mut()?;
    let containers = pod.get_mut("containers")?.as_array_mut()?;
    let manager = containers.iter_mut().find(|c| c.get("name").and_then(Value::as_str) == Some(MANAGER))?;
    let name = mount.config_map;
    let mounted = json!({"name": name, "mountPath": mount.path, "readOnly": true});
    push(manager.as_object_mut()?, "volumeMounts", mounted)?;
    push(pod, "volumes", json!({"name": name, "configMap": {"name": name}}))
}

fn push(into: &mut Map<String, Value>, list: &str, item: Value) -> Option<()> {
    into.entry(list.to_string()).or_insert_with(|| json!([])).as_array_mut()?.push(item);
    Some(())
}

/// The provider's metadata, with the one series that its version belongs to.
pub fn metadata(version: &str, contract: &str) -> String {
    let mut numbers = version.trim_start_matches('v').split('.').map(|n| n.parse().unwrap_or(0_u32));
    let (major, minor) = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
    json!({"apiVersion": "clusterctl.cluster.x-k8s.io/v1alpha3", "kind": "Metadata",
        "releaseSeries": [{"major": major, "minor": minor, "contract": contract}]})
    .to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    const STREAM: &str = "\
apiVersion: v1
kind: Secret
stringData:
  token: ${PROXMOX_TOKEN=\"\"}   # stays as it is
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: m}
spec:
  template:
    spec:
      containers:
      - name: manager
        args: [\"--v=${LEVEL:=0}\"]
        volumeMounts: [{name: cert, mountPath: /c}]
      volumes: [{name: cert, secret: {secretName: s}}]
---
kind: Service
about: not a Deployment
";

    /// cozystack.md 2.3: the operator's object takes no volumes.
    #[test]
    fn the_manager_gets_one_volume_more_and_everything_else_stays() {
        let mount = Mount { config_map: "authority", path: "/etc/authority" };
        let changed = with_mount(STREAM, &mount).unwrap();
        let before: Vec<String> = documents(STREAM);
        let after = documents(&changed);
        assert_eq!((after.len(), &after[0], &after[2]), (3, &before[0], &before[2]));
        let deployment: Value = serde_json::from_str(&after[1]).unwrap();
        let pod = &deployment["spec"]["template"]["spec"];
        assert_eq!(pod["volumes"][0]["secret"]["secretName"], "s", "the webhook's certificate stays");
        assert_eq!(pod["volumes"][1]["configMap"]["name"], "authority");
        assert_eq!(pod["containers"][0]["volumeMounts"][1]["mountPath"], "/etc/authority");
        assert_eq!(pod["containers"][0]["args"][0], "--v=${LEVEL:=0}", "the operator fills it in");
    }

    #[test]
    fn components_without_a_manager_or_that_can_not_be_read_are_refused() {
        let mount = Mount { config_map: "a", path: "/a" };
        assert_eq!(with_mount("kind: Service\n", &mount), Err(Error::Deployments { found: 0 }));
        let two = format!("{STREAM}---\n{STREAM}");
        assert_eq!(with_mount(&two, &mount), Err(Error::Deployments { found: 2 }));
        assert!(matches!(with_mount("kind: Deployment\na: [", &mount), Err(Error::Yaml { number: 1, .. })));
    }

    #[test]
    fn the_metadata_names_the_series_of_the_version() {
        let metadata: Value = serde_json::from_str(&metadata("v0.7.7", "v1beta1")).unwrap();
        assert_eq!(metadata["releaseSeries"][0], json!({"major": 0, "minor": 7, "contract": "v1beta1"}));
    }
}
