//! A provider's components as the Cluster API operator makes objects of them: from the ConfigMap that its selector finds,
//! with the variables of its Secret and the changes of its object. Of the components the lab makes Secrets and Deployments.
use super::objects::{items, owned_by, selects, text};
use super::proxmox::secret_value;
use crate::kube::store::Key;
use crate::world::World;
use serde_json::{Value, json};
use std::collections::BTreeMap;

const VERSION: &str = "provider.cluster.x-k8s.io/version";

/// The ConfigMap with components and metadata of this version.
pub fn config_map(world: &World, provider: &Key, selector: &Value, version: &str) -> Option<Value> {
    let wanted = |map: &Value| {
        let kept = |field: &str| map["data"][field].is_string() || map["binaryData"][field].is_string();
        let own = map["metadata"]["labels"][VERSION].as_str().unwrap_or_else(|| text(map, "/metadata/name"));
        selects(selector, &map["metadata"]["labels"]) && kept("components") && kept("metadata") && own == version
    };
    world.select("", "configmaps", Some(&provider.namespace), wanted).into_iter().next().map(|(_, map)| map)
}

/// Makes the Secrets and the Deployment; `false` when the components hold no Deployment that the lab can read.
pub fn render(world: &mut World, key: &Key, provider: &Value) -> bool {
    let Some(selector) = provider.pointer("/spec/fetchConfig/selector/matchLabels") else { return false };
    let Some(map) = config_map(world, key, selector, text(provider, "/spec/version")) else { return false };
    let filled = fill(text(&map, "/data/components"), &variables(world, key, provider));
    let documents: Vec<Value> = serde_saphyr::from_multiple(&filled).unwrap_or_default();
    let mut deployed = false;
    for mut document in documents {
        let (kind, name) = (text(&document, "/kind").to_string(), text(&document, "/metadata/name").to_string());
        document["metadata"]["ownerReferences"] = owned_by(provider);
        document["metadata"]["namespace"] = json!(key.namespace);
        match kind.as_str() {
            "Secret" => world.apply_object(Key::new("", "secrets", &key.namespace, &name), document),
            "Deployment" => {
                for changes in items(provider, "/spec/deployment/containers") {
                    customize(&mut document, changes);
                }
                world.apply_object(Key::new("apps", "deployments", &key.namespace, &name), document);
                deployed = true;
            }
            _ => {}
        }
    }
    deployed
}

fn variables(world: &World, key: &Key, provider: &Value) -> BTreeMap<String, String> {
    let name = text(provider, "/spec/configSecret/name");
    let namespace = provider.pointer("/spec/configSecret/namespace").and_then(Value::as_str).unwrap_or(&key.namespace);
    let Some(secret) = world.object(&Key::new("", "secrets", namespace, name)) else { return BTreeMap::new() };
    let names = ["data", "stringData"].into_iter().filter_map(|part| secret[part].as_object()).flat_map(|o| o.keys());
    names.filter_map(|name| Some((name.clone(), secret_value(secret, name)?))).collect()
}

/// Puts values in for `${NAME}`, `${NAME:=default}` and `${NAME="default"}`.
fn fill(text: &str, variables: &BTreeMap<String, String>) -> String {
    let mut filled = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("${") {
        let Some((inside, behind)) = after.split_once('}') else { break };
        let (name, default) = inside.split_once('=').unwrap_or((inside, ""));
        let value = variables.get(name.trim_end_matches(':')).map(String::as_str);
        filled.push_str(before);
        filled.push_str(value.unwrap_or(default.trim_matches('"')));
        rest = behind;
    }
    filled + rest
}

/// Arguments and environment of the container that the provider's object names.
fn customize(deployment: &mut Value, changes: &Value) {
    let containers = deployment.pointer_mut("/spec/template/spec/containers").and_then(Value::as_array_mut);
    let Some(container) = containers.into_iter().flatten().find(|c| c["name"] == changes["name"]) else { return };
    let mut args = container["args"].as_array().cloned().unwrap_or_default();
    for (name, value) in changes["args"].as_object().into_iter().flatten() {
        args.push(json!(format!("{name}={}", value.as_str().unwrap_or_default())));
    }
    let mut env = container["env"].as_array().cloned().unwrap_or_default();
    for entry in items(changes, "/env") {
        env.retain(|e| e["name"] != entry["name"]);
        env.push(entry.clone());
    }
    if let Some(container) = container.as_object_mut() {
        let lists = [("args", args), ("env", env)];
        container
            .extend(lists.into_iter().filter(|(_, l)| !l.is_empty()).map(|(name, l)| (name.to_string(), json!(l))));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_are_filled_in_and_defaults_stand_for_those_that_are_missing() {
        let variables = BTreeMap::from([("PROXMOX_URL".to_string(), "https://pve:8006".to_string())]);
        let text = "url: ${PROXMOX_URL=\"\"}\nat: ${ADDRESS:=:8443}\nnone: ${X}\n$5";
        assert_eq!(fill(text, &variables), "url: https://pve:8006\nat: :8443\nnone: \n$5");
    }

    #[test]
    fn the_providers_object_changes_one_container() {
        let mut deployment = json!({"spec": {"template": {"spec": {"containers": [
            {"name": "proxy"}, {"name": "manager", "env": [{"name": "A", "value": "old"}]}]}}}});
        customize(
            &mut deployment,
            &json!({"name": "manager", "args": {"--x": "1"}, "env": [{"name": "A", "value": "new"}]}),
        );
        let containers = &deployment["spec"]["template"]["spec"]["containers"];
        assert_eq!(
            (&containers[1]["args"][0], &containers[1]["env"]),
            (&json!("--x=1"), &json!([{"name": "A", "value": "new"}]))
        );
        assert!(containers[0].get("args").is_none());
    }
}
