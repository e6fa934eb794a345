//! Definitions of custom resources: those that the lab has (`assets/lab/definitions`), and what goes with one.
use super::objects::{items, set_condition};
use crate::kube::store::{Key, seconds};
use crate::world::World;
use serde::Deserialize;
use serde_json::{Value, json};
use std::sync::LazyLock;

const FILES: [&str; 6] = [
    include_str!("../../../../assets/lab/definitions/cluster-api.yaml"),
    include_str!("../../../../assets/lab/definitions/cozystack.yaml"),
    include_str!("../../../../assets/lab/definitions/flux.yaml"),
    include_str!("../../../../assets/lab/definitions/metallb.yaml"),
    include_str!("../../../../assets/lab/definitions/others.yaml"),
    include_str!("../../../../assets/lab/definitions/piraeus.yaml"),
];

/// The definitions that the snapshot controller's release brings: group and plural.
pub const SNAPSHOTS: [(&str, &str); 3] = [
    ("snapshot.storage.k8s.io", "volumesnapshots"),
    ("snapshot.storage.k8s.io", "volumesnapshotclasses"),
    ("snapshot.storage.k8s.io", "volumesnapshotcontents"),
];

static ALL: LazyLock<Vec<Value>> = LazyLock::new(|| {
    let documents = FILES.iter().flat_map(|file| serde_yaml::Deserializer::from_str(file));
    documents.filter_map(|document| Option::<Value>::deserialize(document).ok().flatten()).collect()
});

/// The definition with this name, `helmreleases.helm.toolkit.fluxcd.io`.
pub fn of(name: &str) -> Option<Value> {
    ALL.iter().find(|definition| definition["metadata"]["name"] == name).cloned()
}

/// From now on the API serves these kinds, named by group and plural.
pub fn define(world: &mut World, kinds: &[(&str, &str)]) {
    let at = seconds(world.now);
    for (group, plural) in kinds {
        if let Some(state) = world.state() {
            state.groups.insert((*group).to_string());
        }
        let key = Key::new("apiextensions.k8s.io", "customresourcedefinitions", "", &format!("{plural}.{group}"));
        let Some(mut definition) = of(&key.name).filter(|_| world.object(&key).is_none()) else {
            continue;
        };
        let versions = items(&definition, "/spec/versions").map(|v| v["name"].clone()).collect::<Vec<Value>>();
        definition["status"] = json!({"acceptedNames": definition["spec"]["names"], "storedVersions": versions});
        set_condition(&mut definition, &at, "NamesAccepted", "True", "NoConflicts", "no conflicts found");
        set_condition(
            &mut definition,
            &at,
            "Established",
            "True",
            "InitialNamesAccepted",
            "the initial names have been accepted",
        );
        world.put_object(key, definition);
    }
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

    /// cozystack.md section 2: what kubectl finds by a short name or a category is what it finds in a real cluster. As the
    /// definitions of the releases that CozyStack v0.37.2 ships have it, and capmox v0.7.7 and the IPAM provider v1.0.3.
    #[test]
    fn short_names_and_categories_are_those_of_the_real_definitions() {
        const NAMES: [(&str, &[&str], &[&str]); 17] = [
            ("coreproviders.operator.cluster.x-k8s.io", &["cacp"], &[]),
            ("bootstrapproviders.operator.cluster.x-k8s.io", &["cabp"], &[]),
            ("controlplaneproviders.operator.cluster.x-k8s.io", &["cacpp"], &[]),
            ("infrastructureproviders.operator.cluster.x-k8s.io", &["caip"], &[]),
            ("ipamproviders.operator.cluster.x-k8s.io", &["caipamp"], &[]),
            ("clusters.cluster.x-k8s.io", &["cl"], &["cluster-api"]),
            ("machines.cluster.x-k8s.io", &["ma"], &["cluster-api"]),
            ("machinedeployments.cluster.x-k8s.io", &["md"], &["cluster-api"]),
            ("proxmoxclusters.infrastructure.cluster.x-k8s.io", &[], &["cluster-api"]),
            ("proxmoxmachines.infrastructure.cluster.x-k8s.io", &["moxm"], &["cluster-api", "proxmox"]),
            ("ipaddressclaims.ipam.cluster.x-k8s.io", &[], &["cluster-api"]),
            ("inclusterippools.ipam.cluster.x-k8s.io", &[], &["cluster-api"]),
            ("helmreleases.helm.toolkit.fluxcd.io", &["hr"], &[]),
            ("helmrepositories.source.toolkit.fluxcd.io", &["helmrepo"], &[]),
            ("certificates.cert-manager.io", &["cert", "certs"], &["cert-manager"]),
            ("linstorclusters.piraeus.io", &[], &[]),
            ("ipaddresspools.metallb.io", &[], &[]),
        ];
        for (name, short, categories) in NAMES {
            let names = &of(name).unwrap()["spec"]["names"];
            let listed = |field: &str| -> Vec<String> {
                names[field].as_array().into_iter().flatten().filter_map(Value::as_str).map(Into::into).collect()
            };
            assert_eq!((listed("shortNames"), listed("categories")), (owned(short), owned(categories)), "{name}");
        }
    }

    fn owned(texts: &[&str]) -> Vec<String> {
        texts.iter().map(ToString::to_string).collect()
    }
}
