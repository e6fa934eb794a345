//! First contact with a site, by the binary itself: to whom the token goes, and what is written.
use cozyup::base::tls::Fingerprint;
use cozyup::tui::Contact;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, date_time_ymd};
use std::path::PathBuf;
use std::process::{Output, Stdio};
use std::sync::{Arc, Mutex};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::process::Command;

const UUID: &str = "1f2e3d4c-5b6a-4798-8c7d-6e5f4a3b2c1d";
const ID: &str = "cozyup@pve!installer";

/// A certificate for 127.0.0.1, and the authority that signed it.
struct Made {
    leaf: Vec<u8>,
    key: Vec<u8>,
    ca_pem: String,
}

fn made(until: i32) -> Made {
    let ca_key = KeyPair::generate().unwrap();
    let mut ca = CertificateParams::new(Vec::new()).unwrap();
    ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    ca.distinguished_name.push(DnType::CommonName, "Proxmox Virtual Environment");
    ca.distinguished_name.push(DnType::OrganizationName, "PVE Cluster Manager CA");
    let ca_pem = ca.self_signed(&ca_key).unwrap().pem();
    let mut leaf = CertificateParams::new(vec!["127.0.0.1".to_string()]).unwrap();
    (leaf.not_before, leaf.not_after) = (date_time_ymd(2001, 1, 1), date_time_ymd(until, 1, 1));
    let key = KeyPair::generate().unwrap();
    let leaf = leaf.signed_by(&key, &Issuer::from_params(&ca, &ca_key)).unwrap();
    Made { leaf: leaf.der().to_vec(), key: key.serialize_der(), ca_pem }
}

/// A Proxmox VE of one node. The n-th connection shows the n-th certificate, the last one again and again.
struct Site {
    url: String,
    /// What was sent, whole requests and whatever else.
    seen: Arc<Mutex<String>>,
    folder: TempDir,
    certificates: Vec<Made>,
}

async fn site(certificates: Vec<Made>, status: &'static str) -> Site {
    site_that(certificates, move |_| status).await
}

/// One that answers each path with a status of its own.
async fn site_that(certificates: Vec<Made>, status: impl Fn(&str) -> &'static str + Copy + Send + 'static) -> Site {
    cozyup::base::tls::install_provider();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://{}", listener.local_addr().unwrap());
    let seen: Arc<Mutex<String>> = Arc::default();
    let acceptors: Vec<_> = certificates
        .iter()
        .map(|made| {
            let key = rustls::pki_types::PrivatePkcs8KeyDer::from(made.key.clone());
            let config = rustls::ServerConfig::builder()
                .with_no_client_auth()
                .with_single_cert(vec![made.leaf.clone().into()], key.into())
                .unwrap();
            tokio_rustls::TlsAcceptor::from(Arc::new(config))
        })
        .collect();
    let (kept, ca_pem) = (seen.clone(), certificates.last().unwrap().ca_pem.clone());
    tokio::spawn(async move {
        for n in 0.. {
            let (tcp, _) = listener.accept().await.unwrap();
            let acceptor = acceptors.get(n).or(acceptors.last()).unwrap().clone();
            let (kept, ca_pem) = (kept.clone(), ca_pem.clone());
            tokio::spawn(async move {
                let Ok(mut tls) = acceptor.accept(tcp).await else { return };
                let mut bytes = vec![0; 8192];
                while let Ok(length) = tls.read(&mut bytes).await {
                    if length == 0 {
                        return;
                    }
                    let request = String::from_utf8_lossy(&bytes[..length]).to_string();
                    kept.lock().unwrap().push_str(&request);
                    let body = answer(&request, &ca_pem).to_string();
                    let status = status(request.split(' ').nth(1).unwrap_or_default());
                    let head = format!("HTTP/1.1 {status}\r\nContent-Type: application/json\r\n");
                    let whole = format!("{head}Content-Length: {}\r\n\r\n{body}", body.len());
                    tls.write_all(whole.as_bytes()).await.unwrap();
                }
            });
        }
    });
    let folder = tempfile::tempdir().unwrap();
    write_token(&folder, UUID);
    Site { url, seen, folder, certificates }
}

fn write_token(folder: &TempDir, text: &str) {
    cozyup::base::file::write_private(&folder.path().join("token"), text.as_bytes()).unwrap();
}

fn answer(request: &str, ca_pem: &str) -> serde_json::Value {
    let path = request.split(' ').nth(1).unwrap_or_default();
    let data = match path.strip_prefix("/api2/json").unwrap_or_default() {
        "/nodes" => serde_json::json!([{"node": "pve7", "status": "online"}]),
        "/nodes/pve7/certificates/info" => serde_json::json!([{"filename": "pve-root-ca.pem", "pem": ca_pem}]),
        "/nodes/pve7/status" => serde_json::json!({
            "cpuinfo": {"cpus": 64, "model": "x", "flags": "vmx"}, "memory": {"total": 1_u64 << 40, "used": 0}, "rootfs": {"avail": 1},
            "pveversion": "pve-manager/9.1.2/x"
        }),
        _ => serde_json::json!([]),
    };
    serde_json::json!({"data": data})
}

impl Site {
    fn plan(&self) -> PathBuf {
        self.folder.path().join("site.yaml")
    }

    fn fingerprint(&self) -> String {
        Fingerprint::of(&self.certificates.last().unwrap().leaf).to_string()
    }

    fn command(&self, more: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_cozyup"));
        command.args(["plan", "new"]).arg(self.plan()).args(["--url", &self.url, "--token-id", ID, "--token-file"]);
        command.arg(self.folder.path().join("token")).args(more).stdin(Stdio::null());
        command.env_remove("COZYUP_PROXMOX_TOKEN").env("COZYUP_STATE_DIR", self.folder.path());
        command
    }

    async fn new_plan(&self, more: &[&str]) -> (i32, String) {
        told(&self.command(more).output().await.unwrap())
    }

    fn sent(&self) -> String {
        self.seen.lock().unwrap().to_lowercase()
    }

    fn written(&self) -> String {
        std::fs::read_to_string(self.plan()).unwrap_or_default()
    }
}

fn told(output: &Output) -> (i32, String) {
    let text = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    (output.status.code().unwrap(), text)
}

/// harm.md S1
#[tokio::test]
async fn nobody_gets_the_token_before_his_certificate_was_accepted() {
    for until in [2100, 2002] {
        let site = site(vec![made(until)], "200 OK").await;
        let (exit, text) = site.new_plan(&[]).await;
        assert_eq!(exit, 2, "{text}");
        assert!(text.contains(&format!("--fingerprint {}", site.fingerprint())), "{text}");
        assert!(text.contains("pvenode cert info") && text.contains("as usual"), "{text}");
        assert_eq!((site.sent(), site.written()), (String::new(), String::new()));
    }
}

/// harm.md S1
#[tokio::test]
async fn another_fingerprint_than_the_given_one_is_refused_with_both_and_nothing_is_sent() {
    let site = site(vec![made(2100)], "200 OK").await;
    let other = Fingerprint::of(b"another").to_string();
    for more in [vec!["--fingerprint", &other], vec!["--fingerprint", &other, "--pin", "ca"]] {
        let (exit, text) = site.new_plan(&more).await;
        assert_eq!(exit, 2, "{text}");
        assert!(text.contains(&other) && text.contains(&site.fingerprint()), "{text}");
        assert_eq!((site.sent(), site.written()), (String::new(), String::new()));
    }
}

/// harm.md S1
#[tokio::test]
async fn the_accepted_certificate_is_pinned_and_its_server_is_asked() {
    let site = site(vec![made(2100)], "200 OK").await;
    let (exit, text) = site.new_plan(&["--fingerprint", &site.fingerprint()]).await;
    assert_eq!(exit, 0, "{text}");
    assert!(site.sent().contains("authorization: pveapitoken=cozyup@pve!installer="), "{}", site.sent());
    let plan = site.written();
    assert!(plan.contains(&site.fingerprint()) && plan.contains("host: pve7"), "{plan}");
    assert!(!text.contains(UUID) && !plan.contains(UUID));
}

/// harm.md S1
#[tokio::test]
async fn a_certificate_that_changes_after_it_was_accepted_gets_nothing() {
    let site = site(vec![made(2100), made(2100)], "200 OK").await;
    let first = Fingerprint::of(&site.certificates[0].leaf).to_string();
    let (exit, text) = site.new_plan(&["--fingerprint", &first]).await;
    assert_eq!(exit, 1, "{text}");
    assert!(text.contains("somebody is in between") && text.contains(&site.fingerprint()), "{text}");
    assert_eq!((site.sent(), site.written()), (String::new(), String::new()));
}

/// harm.md S1, proxmox.md "ACME certificate"
#[tokio::test]
async fn what_a_system_authority_vouches_for_passes_without_a_question_and_is_not_pinned() {
    let site = site(vec![made(2100)], "200 OK").await;
    let store = site.folder.path().join("system.pem");
    std::fs::write(&store, &site.certificates[0].ca_pem).unwrap();
    let output = site.command(&[]).env("SSL_CERT_FILE", &store).env_remove("SSL_CERT_DIR").output().await.unwrap();
    let (exit, text) = told(&output);
    assert_eq!(exit, 0, "{text}");
    let plan = site.written();
    assert!(plan.contains("host: pve7"), "{plan}");
    assert!(!plan.contains("\n  fingerprint:") && !plan.contains("\n  ca_file:"), "{plan}");
}

/// harm.md S1
#[tokio::test]
async fn the_sites_own_authority_is_pinned_and_a_renewed_certificate_passes_by_it() {
    let site = site(vec![made(2100)], "200 OK").await;
    let (exit, text) = site.new_plan(&["--fingerprint", &site.fingerprint(), "--pin", "ca"]).await;
    assert_eq!(exit, 0, "{text}");
    let file = site.folder.path().join("site.ca.pem");
    let plan = site.written();
    assert!(plan.contains(&format!("ca_file: {}", file.display())) && !plan.contains("\n  fingerprint:"), "{plan}");
    site.seen.lock().unwrap().clear();
    let given = file.display().to_string();
    let (exit, text) = site.new_plan(&["--force", "--ca-file", &given]).await;
    assert_eq!(exit, 0, "{text}");
    assert!(site.sent().contains("authorization"));
    // Another authority with the same names.
    site.seen.lock().unwrap().clear();
    std::fs::write(&file, made(2100).ca_pem).unwrap();
    let (exit, text) = site.new_plan(&["--force", "--ca-file", &given]).await;
    assert_eq!((exit, site.sent().as_str()), (2, ""), "{text}");
    assert!(text.contains("does not vouch"), "{text}");
}

/// harm.md S16
#[tokio::test]
async fn a_site_that_refuses_the_token_is_no_success() {
    let site = site(vec![made(2100)], "401 Authentication failed!").await;
    let (exit, text) = site.new_plan(&["--fingerprint", &site.fingerprint()]).await;
    assert_eq!(exit, 1, "{text}");
    assert!(text.contains("does not accept the token") && text.contains("next: "), "{text}");
    assert_eq!(site.written(), "");
}

/// harm.md S16: the kind. What can't be read of a site is no success either, and the plan is not taken for a whole one.
#[tokio::test]
async fn a_site_that_can_be_read_in_part_only_is_no_success() {
    for missing in ["/status", "/storage", "/network", "/cluster/resources", "/certificates/info"] {
        let status = move |path: &str| if path.contains(missing) { "500 no" } else { "200 OK" };
        let site = site_that(vec![made(2100)], status).await;
        let pinned: &[&str] = if missing == "/certificates/info" { &["--pin", "ca"] } else { &[] };
        let (exit, text) = site.new_plan(&[&["--fingerprint", &site.fingerprint()], pinned].concat()).await;
        assert_ne!(exit, 0, "{missing}: {text}");
        assert!(text.contains("error: ") && text.contains("next: "), "{missing}: {text}");
    }
}

/// reports.md B24
#[tokio::test]
async fn a_token_file_with_something_else_in_it_is_told_before_anything_is_asked() {
    let site = site(vec![made(2100)], "200 OK").await;
    for (text, said) in [
        (format!("{UUID}\n{UUID}\n"), "2 lines"),
        (format!("root@pam!backup={UUID}"), "the token root@pam!backup, and the plan names cozyup@pve!installer"),
        ("hunter2hunter2".to_string(), "a password"),
    ] {
        write_token(&site.folder, &text);
        let (exit, told) = site.new_plan(&["--fingerprint", &site.fingerprint()]).await;
        assert_eq!(exit, 2, "{told}");
        assert!(told.contains(said) && told.contains("/token:") && told.contains("next: "), "{told}");
        assert!(!told.contains(UUID) && !told.contains("hunter2"), "{told}");
        assert_eq!((site.sent(), site.written()), (String::new(), String::new()));
    }
    write_token(&site.folder, &format!("\u{feff}PVEAPIToken={ID}={UUID}\r\n"));
    let (exit, told) = site.new_plan(&["--fingerprint", &site.fingerprint()]).await;
    assert_eq!(exit, 0, "{told}");
    assert!(site.sent().contains(&format!("authorization: pveapitoken={ID}={UUID}\r\n")), "{}", site.sent());
    assert!(site.written().contains(ID), "the id is no secret");
}

/// The form of the screen asks in the same way: a person compares first, and what comes back is no secret.
#[tokio::test]
async fn the_form_sends_its_token_to_nobody_whose_certificate_is_not_accepted() {
    let site = site(vec![made(2100)], "401 authentication failure").await;
    let mut plan = cozyup::plan::defaults::plan(&cozyup::plan::defaults::Defaults::default());
    plan.site.url = site.url.parse().unwrap();
    plan.site.token_id = ID.into();
    plan.site.token_file = site.folder.path().join("token").display().to_string();
    let ask = cozyup::cli::form_site::connector().0;
    match ask(Box::new(plan.clone()), true).await {
        Ok(Contact::Unknown { fingerprint, described }) => {
            assert_eq!(fingerprint.to_string(), site.fingerprint());
            assert!(described.contains(&site.fingerprint()), "{described}");
        }
        other => panic!("{other:?}"),
    }
    plan.site.fingerprint = Some(Fingerprint::of(b"another"));
    match ask(Box::new(plan.clone()), true).await {
        Err(why) => assert!(why.what.contains("another certificate") && why.next.contains("pvenode"), "{why:?}"),
        Ok(met) => panic!("{met:?}"),
    }
    assert_eq!(site.sent(), "", "nothing is sent before it is accepted");
    plan.site.fingerprint = Some(site.fingerprint().parse().unwrap());
    match ask(Box::new(plan.clone()), true).await {
        Err(why) => {
            assert!(!format!("{why:?}").contains(UUID) && why.what.contains("does not accept the token"), "{why:?}")
        }
        Ok(met) => panic!("{met:?}"),
    }
    assert!(site.sent().contains(UUID), "then the token is sent");
    plan.site.token_file = site.folder.path().join("none").display().to_string();
    match ask(Box::new(plan), true).await {
        Err(why) => assert!(why.next.contains("chmod 600"), "{why:?}"),
        Ok(met) => panic!("{met:?}"),
    }
}

/// screen.md A6: what the form of a new plan takes from a site is what day 0 lets through there.
#[tokio::test]
async fn the_form_takes_hosts_storages_and_bridge_of_the_site_and_lists_what_else_there_is() {
    cozyup::base::tls::install_provider();
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("site");
    let _served = tokio::task::spawn_blocking({
        let dir = dir.clone();
        move || crate::common::Served::start("local-templates", "60", &dir)
    })
    .await
    .unwrap();
    let of_lab = cozyup::plan::load(&dir.join("plan.yaml")).unwrap().plan;
    let mut plan = cozyup::plan::defaults::plan(&cozyup::plan::defaults::Defaults::default());
    plan.site = of_lab.site.clone();
    let ask = cozyup::cli::form_site::connector().0;
    let Ok(Contact::Met(offer)) = ask(Box::new(plan.clone()), true).await else { panic!("the lab was not met") };
    assert!(offer.site.contains("3 hosts online"), "{}", offer.site);
    offer.take_up(&mut plan);
    let mut hosts: Vec<&str> = plan.nodes.iter().map(|n| n.host.as_str()).collect();
    hosts.sort_unstable();
    hosts.dedup();
    assert_eq!(hosts.len(), 3, "a machine on each host: {hosts:?}");
    assert_eq!(plan.template.copies.len(), 2, "and a template on each");
    assert_eq!(plan.network.subnet, of_lab.network.subnet);
    let storages = offer.choices("template.storage");
    assert!(storages.iter().any(|c| c.value == plan.template.storage && c.about.contains("free, on ")), "{storages:?}");
    assert_eq!(offer.choices("nodes[0].host").len(), 3);
    let rights = offer.rights.unwrap();
    assert!(rights.missing.is_empty() && rights.there.iter().any(|p| p == "VM.Clone"), "{rights:?}");
}
