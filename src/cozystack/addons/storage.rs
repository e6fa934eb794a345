//! LINSTOR's pool on the nodes' data disks, and the two StorageClasses whose names CozyStack takes for granted.
use super::{Maker, Object};
use crate::kubernetes::Kind;
use serde_json::{Value, json};

const PREFIX: &str = "linstor.csi.linbit.com";

/// One pool on every node, a ZFS pool of the same name on `device`, which must be empty of signatures.
/// The operator removes a pool whose entry disappears, so the object stays for the cluster's life.
pub fn linstor_pool(run: &str, pool: &str, device: &str) -> Object {
    let spec = json!({"storagePools": [{
        "name": pool,
        "zfsPool": {"zPool": pool},
        "source": {"hostDevices": [device]},
    }]});
    Maker::new(run, None).object(Kind::LINSTOR_SATELLITE_CONFIGURATION, "cozyup-storage", json!({"spec": spec}))
}

/// `local` (the default class) and `replicated`, kept `copies` times: 3, or the number of nodes when there are fewer.
pub fn storage_classes(run: &str, pool: &str, copies: u8) -> Vec<Object> {
    let maker = Maker::new(run, None);
    let of_linstor = |key: &str, value: &str| (format!("{PREFIX}/{key}"), json!(value));
    let drbd = |key: &str, value: &str| (format!("property.{PREFIX}/DrbdOptions/{key}"), json!(value));
    let class = |parameters: Vec<(String, Value)>, binding: &str, default: bool| {
        let annotations =
            if default { json!({"storageclass.kubernetes.io/is-default-class": "true"}) } else { json!({}) };
        json!({
            "metadata": {"annotations": annotations},
            "provisioner": PREFIX,
            "parameters": parameters.into_iter().collect::<serde_json::Map<String, Value>>(),
            "volumeBindingMode": binding,
            "allowVolumeExpansion": true,
        })
    };
    let local = vec![
        of_linstor("storagePool", pool),
        of_linstor("layerList", "storage"),
        of_linstor("allowRemoteVolumeAccess", "false"),
    ];
    let replicated = vec![
        of_linstor("storagePool", pool),
        of_linstor("autoPlace", &copies.to_string()),
        of_linstor("layerList", "drbd storage"),
        of_linstor("allowRemoteVolumeAccess", "true"),
        drbd("auto-quorum", "suspend-io"),
        drbd("Resource/on-no-data-accessible", "suspend-io"),
        drbd("Resource/on-suspended-primary-outdated", "force-secondary"),
        drbd("Net/rr-conflict", "retry-connect"),
    ];
    vec![
        maker.object(Kind::STORAGE_CLASS, "local", class(local, "WaitForFirstConsumer", true)),
        maker.object(Kind::STORAGE_CLASS, "replicated", class(replicated, "Immediate", false)),
    ]
}
