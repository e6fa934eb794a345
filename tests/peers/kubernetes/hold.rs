use super::cluster::Cluster;
#[tokio::test(flavor = "multi_thread")]
#[ignore]
async fn hold() {
    let dir = std::path::PathBuf::from(std::env::var("HOLD").unwrap());
    let real = Cluster::real().await;
    let lab = Cluster::lab().await;
    std::fs::write(dir.join("lab.kubeconfig"), lab.kubeconfig.expose()).unwrap();
    std::fs::write(dir.join("real.kubeconfig"), real.kubeconfig.expose()).unwrap();
    for (n, c) in [("lab", &lab), ("real", &real)] {
        for (u, g) in [("admin", vec!["system:masters"]), ("guest", vec!["visitors"])] {
            let p = c.authority.client(u, &g);
            std::fs::write(dir.join(format!("{n}-{u}.pem")), format!("{}{}", p.certificate, p.key)).unwrap();
        }
        std::fs::write(dir.join(format!("{n}-ca.pem")), &c.authority.certificate).unwrap();
        std::fs::write(dir.join(format!("{n}.url")), &c.url).unwrap();
    }
    while dir.exists() {
        tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    }
}
