//! One conformance suite for the lab's Kubernetes API and a real one.
mod cluster;
mod lab;

#[tokio::test]
#[ignore = "needs real peers: tests/peers/run"]
async fn a_real_api_server_starts_from_our_secrets_and_machine_config() {
    let cluster = cluster::Cluster::real().await;
    assert_eq!(cluster.reader.version().await.unwrap().value.git_version, "v1.33.3");
}
mod hold;
