//! Definitions of custom resources: those that the lab has (`assets/lab/definitions`), and what goes with one.
use crate::world::World;
use serde::Deserialize;
use serde_json::Value;
use std::sync::LazyLock;

const FILES: [&str; 6] = [
    include_str!("../../../../assets/lab/definitions/cluster-api.yaml"),
    include_str!("../../../../assets/lab/definitions/cozystack.yaml"),
    include_str!("../../../../assets/lab/definitions/flux.yaml"),
    include_str!("../../../../assets/lab/definitions/metallb.yaml"),
    include_str!("../../../../assets/lab/definitions/others.yaml"),
    include_str!("../../../../assets/lab/definitions/piraeus.yaml"),
];

/// What the snapshot controller's release brings: group and plural.
pub const SNAPSHOTS: [(&str, &str); 2] =
    [("snapshot.storage.k8s.io", "volumesnapshots"), ("snapshot.storage.k8s.io", "volumesnapshotclasses")];

static ALL: LazyLock<Vec<Value>> = LazyLock::new(|| {
    let documents = FILES.iter().flat_map(|file| serde_yaml::Deserializer::from_str(file));
    documents.filter_map(|document| Option::<Value>::deserialize(document).ok().flatten()).collect()
});

/// The definition with this name, `helmreleases.helm.toolkit.fluxcd.io`.
pub fn of(name: &str) -> Option<Value> {
    ALL.iter().find(|definition| definition["metadata"]["name"] == name).cloned()
}

/// With a definition goes every object of its kind.
pub fn gone(world: &mut World, definition: &Value) {
    let text = |pointer: &str| definition.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
    for (key, _) in world.objects(text("/spec/group"), text("/spec/names/plural"), None) {
        world.remove_object(&key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_is_read_to_its_end() {
        let documents: usize = FILES.iter().map(|file| file.matches("kind: CustomResourceDefinition").count()).sum();
        assert_eq!(ALL.len(), documents);
    }
}
