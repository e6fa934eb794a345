//! The server goes away in the middle of everything and comes back.
use super::cluster::{Cluster, PATIENCE};
use super::list::{map, maps};
use cozyup::kubernetes::{Error, Kind};
use futures::StreamExt;
use serde_json::json;
use std::time::Duration;

pub async fn watches_and_clients_survive_a_server_that_restarts(cluster: &Cluster) {
    let path = maps(cluster, "restart", &["a"]).await;
    let mut raw = cluster.watch(&format!("{path}?watch=1&fieldSelector=metadata.name%3Da"), &[]).await;
    assert_eq!(raw.event().await.0, "ADDED");
    let mut snapshots = cluster.reader.watch_nodes();
    snapshots.next().await.unwrap().unwrap();
    let waiting = tokio::spawn({
        let reader = cluster.reader.clone();
        async move { reader.wait_for_change(&Kind::CONFIG_MAP, Some("restart"), Some("b"), None, PATIENCE).await }
    });
    cluster.stop().await;
    assert!(raw.next().await.is_none(), "the watch was cut");
    let error = cluster.reader.version().await.unwrap_err();
    assert!(matches!(error, Error::Unreachable { .. }) && error.is_transient(), "{error}");
    let failed = tokio::time::timeout(PATIENCE, snapshots.next()).await.expect("it tells").unwrap();
    assert!(matches!(failed, Err(Error::Unreachable { .. })), "{failed:?}");
    let ended = tokio::time::timeout(PATIENCE, waiting).await.expect("it ends").unwrap();
    assert!(ended.is_ok() || matches!(ended, Err(Error::Unreachable { .. })), "{ended:?}");
    cluster.resume().await;
    assert_eq!(cluster.get(&format!("{path}/a")).await.ok()["data"]["k"], "v", "what was stored is there");
    let began = std::time::Instant::now();
    while tokio::time::timeout(PATIENCE, snapshots.next()).await.expect("it comes back").unwrap().is_err() {
        assert!(began.elapsed() < PATIENCE + Duration::from_secs(15), "the stream does not recover");
    }
    // A node that comes after the restart is seen by the stream from before it.
    let node = json!({"metadata": {"name": "restart-node"}});
    cluster.post("/api/v1/nodes", node).await.ok();
    loop {
        let nodes = tokio::time::timeout(PATIENCE, snapshots.next()).await.expect("a snapshot").unwrap().unwrap();
        if nodes.iter().any(|n| n.name == "restart-node") {
            break;
        }
    }
    cluster.post(&path, map("b", json!({}))).await.ok();
}
