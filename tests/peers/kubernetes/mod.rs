//! One conformance suite for the lab's Kubernetes API and a real one.
mod cluster;

#[tokio::test]
#[ignore = "needs real peers: tests/peers/run"]
async fn a_real_api_server_starts_from_our_secrets_and_machine_config() {
    cluster::Cluster::real().await;
}
