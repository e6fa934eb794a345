//! Volumes beside their data: where they are attached, how they grow, and snapshots of them.
use super::*;

const SNAPSHOTS: &str = "snapshot.storage.k8s.io";

/// A site with both classes of LINSTOR, and a claim `data` with a pod `write` on cp1 that goes on running.
async fn written(class: &str) -> Site {
    let site = Site::new(vec![]);
    site.platform().await;
    site.namespace("probe");
    site.pools("/dev/sdb");
    site.claim("probe", "data", class);
    on_node(&site, "write", "cp1", "echo before > /data/file && sleep 9000", "data");
    site.until("the pod runs", 90, |w| phase(w, &pod("probe", "write")) == "Running").await;
    site
}

/// A pod on this node with the claim at /data.
fn on_node(site: &Site, name: &str, node: &str, script: &str, claim: &str) {
    let container = json!({"name": "probe", "image": "busybox:1.37", "command": ["sh", "-c", script],
        "volumeMounts": [{"name": "v", "mountPath": "/data"}]});
    let spec = json!({"restartPolicy": "Never", "nodeSelector": {"kubernetes.io/hostname": node}, "containers": [container],
        "volumes": [{"name": "v", "persistentVolumeClaim": {"claimName": claim}}]});
    site.apply(pod("probe", name), json!({"apiVersion": "v1", "kind": "Pod", "metadata": {}, "spec": spec}));
}

fn reader(site: &Site, name: &str, node: &str, claim: &str) {
    on_node(site, name, node, "cat /data/file && sleep 9000", claim);
}

/// Nodes and flags of the resources of the claim's volume, without those of snapshots.
fn resources(world: &World, of: &str) -> Vec<(String, u64)> {
    let volume = object(world, &claim("probe", of)).unwrap()["spec"]["volumeName"].as_str().unwrap().to_uppercase();
    let all = list(world, "internal.linstor.linbit.com", "resources");
    let ours = all.iter().filter(|r| r["spec"]["resource_name"] == volume.as_str() && r["spec"]["snapshot_name"] == "");
    let mut rows: Vec<(String, u64)> = ours
        .map(|r| (r["spec"]["node_name"].as_str().unwrap().to_string(), r["spec"]["resource_flags"].as_u64().unwrap()))
        .collect();
    rows.sort();
    rows
}

#[tokio::test(start_paused = true)]
async fn a_pod_on_another_node_waits_until_the_volume_is_detached_from_the_first() {
    let site = written("replicated").await;
    let kept = site.lab.look(|w| resources(w, "data"));
    assert_eq!(kept.len(), 3, "{kept:?}");
    reader(&site, "read", "worker1", "data");
    site.wait(60).await;
    assert_eq!(site.lab.look(|w| phase(w, &pod("probe", "read"))), "Pending");
    let told = site.lab.look(|w| list(w, "", "events"));
    assert!(told.iter().any(|e| e["reason"] == "FailedAttachVolume" && e["involvedObject"]["name"] == "read"));
    site.delete(&pod("probe", "write"));
    site.until("the second pod runs", 20, |w| phase(w, &pod("probe", "read")) == "Running").await;
    assert_eq!(site.log("probe", "read"), "before\n");
    // It has no replica there, and reads over the network.
    let now = site.lab.look(|w| resources(w, "data"));
    assert!(now.len() == 4 && now.contains(&("WORKER1".to_string(), 260)), "{now:?}");
    let attached = site.lab.look(|w| list(w, "storage.k8s.io", "volumeattachments"));
    assert!(attached.len() == 1 && attached[0]["spec"]["nodeName"] == "worker1", "{attached:?}");
    site.delete(&pod("probe", "read"));
    site.until("it is attached nowhere", 5, |w| list(w, "storage.k8s.io", "volumeattachments").is_empty()).await;
    assert_eq!(site.lab.look(|w| resources(w, "data")), kept);
}

#[tokio::test(start_paused = true)]
async fn a_claim_that_asks_for_more_has_it_when_the_kubelet_has_let_its_file_system_grow() {
    let site = written("replicated").await;
    let size = |w: &World| list(w, "internal.linstor.linbit.com", "volumedefinitions")[0]["spec"]["vlm_size"].as_u64();
    assert_eq!(site.lab.look(size), Some(1 << 20), "in KiB");
    site.change(&claim("probe", "data"), |c| c["spec"]["resources"]["requests"]["storage"] = json!("2Gi"));
    let has = |w: &World| object(w, &claim("probe", "data")).unwrap()["status"]["capacity"]["storage"].clone();
    assert_eq!(site.lab.look(has), "1Gi");
    let pending = site.lab.look(|w| condition(object(w, &claim("probe", "data")).unwrap(), "FileSystemResizePending"));
    assert_eq!(pending["status"], "True");
    site.until("it has more", 5, |w| has(w) == "2Gi").await;
    assert_eq!(site.lab.look(size), Some(2 << 20));
}

#[tokio::test(start_paused = true)]
async fn a_snapshot_holds_what_was_there_and_fills_another_claim_and_goes_with_its_content() {
    let site = written("local").await;
    let key = Key::new(SNAPSHOTS, "volumesnapshots", "probe", "then");
    site.apply(
        key.clone(),
        json!({"apiVersion": "snapshot.storage.k8s.io/v1", "kind": "VolumeSnapshot", "metadata": {},
            "spec": {"source": {"persistentVolumeClaimName": "data"}}}),
    );
    site.until("it is ready", 10, |w| object(w, &key).unwrap()["status"]["readyToUse"] == true).await;
    site.delete(&pod("probe", "write"));
    site.script("probe", "later", "echo after > /data/file", "data");
    site.until("the data is another", 60, |w| phase(w, &pod("probe", "later")) == "Succeeded").await;
    site.claim("probe", "restored", "local");
    site.change(&claim("probe", "restored"), |c| {
        c["spec"]["dataSource"] = json!({"apiGroup": SNAPSHOTS, "kind": "VolumeSnapshot", "name": "then"});
    });
    reader(&site, "read", "cp1", "restored");
    site.until("the pod reads", 60, |w| phase(w, &pod("probe", "read")) == "Running").await;
    assert_eq!(site.log("probe", "read"), "before\n");
    assert_eq!(site.lab.look(|w| resources(w, "restored")), [("CP1".to_string(), 0)]);
    site.change(&key, |s| s["metadata"]["deletionTimestamp"] = json!("2025-10-09T08:53:20Z"));
    site.until("it is gone", 10, |w| object(w, &key).is_none()).await;
    assert!(site.lab.look(|w| list(w, SNAPSHOTS, "volumesnapshotcontents")).is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_volume_keeps_what_a_pod_wrote_for_the_next_pod_and_goes_with_its_claim() {
    let site = Site::new(vec![]);
    site.platform().await;
    site.namespace("probe");
    site.pools("/dev/sdb");
    for class in ["local", "replicated"] {
        site.claim("probe", class, class);
        site.wait(30).await;
        let bound = site.lab.look(|w| phase(w, &claim("probe", class)));
        // The local class waits for its first consumer, the replicated one does not.
        assert_eq!(bound, if class == "local" { "Pending" } else { "Bound" });
        site.script("probe", "write", "echo 'proof 17' > /data/proof && sync", class);
        site.until("the first pod has written", 60, |w| phase(w, &pod("probe", "write")) == "Succeeded").await;
        site.delete(&pod("probe", "write"));
        site.script("probe", "read", "cat /data/proof", class);
        site.until("the second pod has read", 60, |w| phase(w, &pod("probe", "read")) == "Succeeded").await;
        assert_eq!(site.log("probe", "read"), "proof 17\n");
        site.delete(&pod("probe", "read"));
        site.delete(&claim("probe", class));
        assert_eq!(site.lab.look(|w| list(w, "", "persistentvolumes").len()), 1);
        site.until("its volume is gone", 4, |w| list(w, "", "persistentvolumes").is_empty()).await;
    }
}
