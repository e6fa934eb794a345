//! The lab's Proxmox VE over TLS on a real socket: what a client sees on the wire.
use cozyup::base::clock::Clock;
use cozyup::base::secret::Secret;
use cozyup::base::tls::{ByLeaf, Fingerprint, Pinned};
use cozyup::lab::disturb::Line;
use cozyup::lab::pve::api;
use cozyup::lab::scenario::{Fault, FaultKind, Scenario};
use cozyup::lab::world::{Lab, World};
use cozyup::proxmox::{self, Error, TokenFault};
use jiff::Timestamp;
use rustls::pki_types::ServerName;
use serde_json::{Value, json};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

const PATIENCE: Duration = Duration::from_secs(200);

/// A lab of the standard scenario whose Proxmox answers on a port of its own.
struct Site {
    lab: Lab,
    address: SocketAddr,
    token: String,
}

struct Answer {
    status: u16,
    reason: String,
    head: String,
    body: String,
}

impl Answer {
    fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|e| panic!("{e}: {}", self.body))
    }

    fn data(&self) -> Value {
        assert_eq!(self.status, 200, "{}: {}", self.reason, self.body);
        self.json()["data"].clone()
    }
}

async fn site(speed: f64, shape: impl FnOnce(&mut Scenario)) -> Site {
    let mut scenario: Scenario = serde_yaml::from_str(include_str!("../../assets/lab/standard.yaml")).unwrap();
    shape(&mut scenario);
    let now = Timestamp::from_second(1_780_000_000).unwrap();
    let lab =
        Lab::new(World::new(scenario, Ipv4Addr::new(127, 86, 0, 0), now), Clock::scaled(now, SystemTime::now(), speed));
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    let serving = lab.clone();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(api::serve(stream, serving.clone(), Line::quiet()));
        }
    });
    let (id, secret) = lab.look(|w| w.pve.installer_token());
    Site { lab, address, token: format!("PVEAPIToken={id}={}", secret.expose()) }
}

impl Site {
    async fn raw(&self, request: &[u8]) -> Result<Answer, String> {
        timeout(PATIENCE, self.raw_without_end(request)).await.map_err(|_| "no answer in time".to_string())?
    }

    async fn raw_without_end(&self, request: &[u8]) -> Result<Answer, String> {
        let pin = self.lab.look(|w| w.pve.fingerprint());
        exchange(self.address, pin, request).await
    }

    async fn send(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Answer {
        let mut request = format!("{method} {path} HTTP/1.1\r\nHost: lab\r\nConnection: close\r\n");
        for (name, value) in headers {
            request += &format!("{name}: {value}\r\n");
        }
        if !body.is_empty() {
            request += &format!("Content-Length: {}\r\n", body.len());
        }
        request += "\r\n";
        request += body;
        self.raw(request.as_bytes()).await.unwrap()
    }

    async fn get(&self, path: &str) -> Answer {
        self.send("GET", &format!("/api2/json{path}"), &[("Authorization", &self.token)], "").await
    }

    async fn form(&self, method: &str, path: &str, form: &[(&str, &str)]) -> Answer {
        let body: Vec<String> = form.iter().map(|(k, v)| format!("{k}={}", escape(v))).collect();
        let mut headers = vec![("Authorization", self.token.as_str())];
        if !form.is_empty() {
            headers.push(("Content-Type", "application/x-www-form-urlencoded"));
        }
        self.send(method, &format!("/api2/json{path}"), &headers, &body.join("&")).await
    }

    async fn task(&self, answer: Answer) -> String {
        let upid = answer.data().as_str().unwrap().to_string();
        let path = format!("/nodes/pve/tasks/{}/status", escape(&upid));
        for _ in 0..2000 {
            if let Some(exit) = self.get(&path).await.data()["exitstatus"].as_str() {
                return exit.to_string();
            }
        }
        panic!("{upid} does not end");
    }

    async fn upload(&self, name: &str, file: &[u8]) -> Answer {
        let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, file);
        let checksum: String = digest.as_ref().iter().map(|b| format!("{b:02x}")).collect();
        let mut body = Vec::new();
        for (field, value) in [("content", "import"), ("checksum-algorithm", "sha256"), ("checksum", &checksum)] {
            body.extend(
                format!("--B\r\nContent-Disposition: form-data; name=\"{field}\"\r\n\r\n{value}\r\n").into_bytes(),
            );
        }
        body.extend(
            format!(
                "--B\r\nContent-Disposition: form-data; name=\"filename\"; filename=\"{name}\"\r\n\
                 Content-Type: application/octet-stream\r\n\r\n"
            )
            .into_bytes(),
        );
        body.extend_from_slice(file);
        body.extend_from_slice(b"\r\n--B--\r\n");
        let mut request = format!(
            "POST /api2/json/nodes/pve/storage/local/upload HTTP/1.1\r\nHost: lab\r\nConnection: close\r\n\
             Authorization: {}\r\nContent-Type: multipart/form-data; boundary=B\r\nContent-Length: {}\r\n\r\n",
            self.token,
            body.len()
        )
        .into_bytes();
        request.extend(body);
        self.raw(&request).await.unwrap()
    }
}

async fn exchange(address: SocketAddr, pin: Fingerprint, request: &[u8]) -> Result<Answer, String> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(ByLeaf::new(Pinned::new(pin)))
        .with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    let tcp = TcpStream::connect(address).await.map_err(|e| e.to_string())?;
    let name = ServerName::try_from("lab").unwrap();
    let mut tls = tokio_rustls::TlsConnector::from(Arc::new(config)).connect(name, tcp).await;
    let tls = tls.as_mut().map_err(|e| e.to_string())?;
    tls.write_all(request).await.map_err(|e| e.to_string())?;
    let mut bytes = Vec::new();
    // The server may end the connection without the TLS farewell.
    let _ = tls.read_to_end(&mut bytes).await;
    let text = String::from_utf8_lossy(&bytes).into_owned();
    let (head, body) = text.split_once("\r\n\r\n").ok_or("no answer")?;
    let mut first = head.lines().next().unwrap().splitn(3, ' ').skip(1);
    Ok(Answer {
        status: first.next().unwrap().parse().unwrap(),
        reason: first.next().unwrap_or_default().to_string(),
        head: head.to_lowercase(),
        body: body.to_string(),
    })
}

fn escape(text: &str) -> String {
    text.bytes()
        .map(|b| match b {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'.' | b'_' | b'-' => char::from(b).to_string(),
            _ => format!("%{b:02X}"),
        })
        .collect()
}

#[tokio::test]
async fn a_client_that_pins_another_certificate_does_not_get_in() {
    let site = site(60.0, |_| ()).await;
    let wrong = Fingerprint::of(b"another certificate");
    let refused = exchange(site.address, wrong, b"GET / HTTP/1.1\r\n\r\n").await.map(|a| a.status);
    assert!(refused.unwrap_err().contains("the pinned one is"));
}

#[tokio::test]
async fn a_good_answer_has_proxmoxs_envelope_and_headers() {
    let site = site(60.0, |_| ()).await;
    let version = site.get("/version").await;
    assert_eq!(version.data()["version"], "9.1.2");
    assert_eq!(version.data()["release"], "9.1");
    for header in
        ["server: pve-api-daemon/3.0", "cache-control: max-age=0", "content-type: application/json;charset=utf-8"]
    {
        assert!(version.head.contains(header), "{header} in {}", version.head);
    }
    assert_eq!(site.get("/cluster/nextid").await.body, r#"{"data":"100"}"#);
}

#[tokio::test]
async fn wrong_credentials_are_refused_after_three_seconds_of_lab_time_and_in_the_words_of_the_version() {
    let old = site(100.0, |_| ()).await;
    let ask = async |site: &Site, token: &str| {
        let before = site.lab.clock().now();
        let headers = [("Authorization", token)];
        let headers = if token.is_empty() { &headers[..0] } else { &headers[..] };
        let answer = site.send("GET", "/api2/json/version", headers, "").await;
        let took = site.lab.clock().now().duration_since(before).as_secs_f64();
        assert!(took >= 3.0, "{took} s");
        assert_eq!(answer.body, "");
        (answer.status, answer.reason)
    };
    assert_eq!(ask(&old, "").await, (401, "No ticket".into()));
    let wrong = "PVEAPIToken=cozyup@pve!installer=00000000-0000-4000-8000-000000000000";
    assert_eq!(ask(&old, wrong).await, (401, "invalid token value!".into()));
    assert_eq!(
        ask(&old, "PVEAPIToken=cozyup@pve!other=x").await,
        (401, "no such token 'other' for user 'cozyup@pve'".into())
    );
    assert_eq!(ask(&old, "PVEAPIToken=no@pve!other=x").await, (401, "no such user ('no@pve')".into()));
    let new = site(100.0, |s| s.proxmox.version = "9.1.5".into()).await;
    assert_eq!(ask(&new, wrong).await, (401, "Authentication failed!".into()));
}

#[tokio::test]
async fn a_ticket_needs_its_guard_for_everything_but_reading() {
    let site = site(100.0, |_| ()).await;
    let password = site.lab.look(|w| w.pve.password());
    let form = format!("username=root%40pam&password={}", escape(password.expose()));
    let media = ("Content-Type", "application/x-www-form-urlencoded");
    let ticket = site.send("POST", "/api2/json/access/ticket", &[media], &form).await.data();
    let cookie = format!("PVEAuthCookie={}", escape(ticket["ticket"].as_str().unwrap()));
    let read = site.send("GET", "/api2/json/version", &[("Cookie", &cookie)], "").await;
    assert_eq!(read.status, 200);
    let pool = "poolid=p";
    let bare = site.send("POST", "/api2/json/pools", &[("Cookie", &cookie), media], pool).await;
    assert_eq!((bare.status, bare.reason.as_str()), (401, "Permission denied - invalid csrf token"));
    let guard = ("CSRFPreventionToken", ticket["CSRFPreventionToken"].as_str().unwrap());
    let guarded = site.send("POST", "/api2/json/pools", &[("Cookie", &cookie), guard, media], pool).await;
    assert_eq!(guarded.status, 200, "{}", guarded.reason);
    let wrong = site.send("POST", "/api2/json/access/ticket", &[media], "username=root%40pam&password=x").await;
    assert_eq!((wrong.status, wrong.reason.as_str()), (401, "authentication failure"));
    assert_eq!(wrong.json()["data"], Value::Null);
}

#[tokio::test]
async fn an_error_speaks_in_its_reason_phrase_and_since_8_4_in_its_body_too() {
    let why = "Configuration file 'nodes/pve/qemu-server/999.conf' does not exist";
    let new = site(60.0, |_| ()).await.get("/nodes/pve/qemu/999/config").await;
    assert_eq!((new.status, new.reason.as_str()), (500, why));
    assert_eq!(new.json(), json!({"data": null, "message": format!("{why}\n")}));
    assert!(new.head.contains("connection: close"));

    let site = site(60.0, |s| s.proxmox.version = "8.3.5".into()).await;
    let old = site.get("/nodes/pve/qemu/999/config").await;
    assert_eq!((old.status, old.reason.as_str()), (500, why));
    assert_eq!(old.json(), json!({"data": null}));
    let path = "/api2/extjs/nodes/pve/qemu/999/config";
    let extjs = site.send("GET", path, &[("Authorization", &site.token)], "").await;
    assert_eq!(extjs.status, 200);
    assert_eq!(extjs.json()["success"], 0);
    assert_eq!(extjs.json()["status"], 500);
    assert_eq!(extjs.json()["message"], format!("{why}\n"));
}

#[tokio::test]
async fn a_missing_privilege_is_a_403_that_names_object_and_privilege() {
    let kind = FaultKind::MissingPrivilege { privilege: "VM.Audit".into() };
    let site = site(60.0, |s| s.faults.push(Fault { kind, heal_s: None, bit_at: None })).await;
    let answer = site.get("/nodes/pve/qemu/150/config").await;
    let why = "Permission check failed (/vms/150, VM.Audit)";
    assert_eq!((answer.status, answer.reason.as_str()), (403, why));
    assert_eq!(answer.json()["message"], format!("{why}\n"));
    assert_eq!(site.get("/nodes/pve/qemu").await.data(), json!([]), "lists are silently empty");
}

#[tokio::test]
async fn parameter_errors_are_named_in_every_version() {
    for version in ["8.2.4", "9.1.2"] {
        let site = site(60.0, |s| s.proxmox.version = version.into()).await;
        let answer = site.form("POST", "/nodes/pve/qemu/150/clone", &[("newid", "abc")]).await;
        assert_eq!((answer.status, answer.reason.as_str()), (400, "Parameter verification failed."), "{version}");
        assert_eq!(answer.json()["errors"]["newid"], "type check ('integer') failed - got 'abc'");
    }
}

#[tokio::test]
async fn what_a_rust_client_sends_by_default_is_refused_as_by_the_real_server() {
    let site = site(60.0, |_| ()).await;
    let head = |line: &str, more: &str| {
        format!("{line} HTTP/1.1\r\nHost: lab\r\nConnection: close\r\nAuthorization: {}\r\n{more}", site.token)
    };
    let ask = async |request: String| {
        let answer = site.raw(request.as_bytes()).await.unwrap();
        (answer.status, answer.reason)
    };
    let chunked = head("POST /api2/json/pools", "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n");
    assert_eq!(ask(chunked).await, (501, "chunked transfer encoding not supported".into()));
    let body = head("DELETE /api2/json/nodes/pve/qemu/150", "Content-Length: 7\r\n\r\npurge=1");
    assert_eq!(ask(body).await, (501, "Unexpected content for method 'DELETE'".into()));
    let unknown = head("GET /api2/json/foo", "\r\n");
    assert_eq!(ask(unknown).await, (501, "Method 'GET /foo' not implemented".into()));
    let wrong = head("POST /api2/json/version", "\r\n");
    assert_eq!(ask(wrong).await, (501, "Method 'POST /version' not implemented".into()));
    let empty = head(
        "POST /api2/json/nodes/pve/qemu/150/status/stop",
        "Content-Type: application/json\r\nContent-Length: 0\r\n\r\n",
    );
    let (status, reason) = ask(empty).await;
    assert_eq!(status, 500);
    assert!(reason.starts_with("malformed JSON string"), "{reason}");
}

/// proxmox.md 2.2: of a large upload that is refused the server takes some MiB and closes; the client still learns why.
#[tokio::test]
async fn a_refused_upload_is_told_as_the_refusal_that_it_is_and_not_as_a_broken_network() {
    cozyup::base::tls::install_provider();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("image.raw");
    std::fs::write(&file, vec![7_u8; 12 << 20]).unwrap();
    let lacking = |s: &mut Scenario| {
        let kind = FaultKind::MissingPrivilege { privilege: "Datastore.AllocateTemplate".into() };
        s.faults.push(Fault { kind, heal_s: None, bit_at: None });
    };
    let site = site(10.0, lacking).await;
    let (id, secret) = site.lab.look(|w| w.pve.installer_token());
    let pin = site.lab.look(|w| w.pve.fingerprint());
    let upload = async |secret: Secret<String>| {
        let url = format!("https://{}", site.address).parse().unwrap();
        let target =
            proxmox::Target { url, token_id: id.clone(), secret, trust: cozyup::base::trust::Trust::Leaf(pin.clone()) };
        let (_, changer) = proxmox::connect(target).unwrap();
        let sum = "a".repeat(64);
        changer.upload("pve", "local", "import", "image.raw", &sum, &file, |_, _| ()).await.unwrap_err()
    };
    let error = upload(secret).await;
    assert!(matches!(&error, Error::Forbidden { path: Some(path), .. } if path == "/storage/local"), "{error:?}");
    let error = upload(Secret::new("00000000-0000-0000-0000-000000000000".into())).await;
    assert!(matches!(error, Error::Unauthorized { fault: TokenFault::WrongSecret, .. }), "{error:?}");
    // Of a small body the answer is seen at once, after its delay.
    let small = site.upload("talos.raw", &[7; 5]).await;
    assert_eq!(small.status, 403, "{}", small.reason);
}

#[tokio::test]
async fn a_whole_machine_is_made_over_the_wire_by_form_and_by_json() {
    let site = site(2000.0, |_| ()).await;
    let file = vec![7_u8; 3 << 20];
    assert_eq!(site.task(site.upload("talos.raw", &file).await).await, "OK");
    let content = site.get("/nodes/pve/storage/local/content?content=import").await.data();
    assert_eq!(content[0]["volid"], "local:import/talos.raw");
    assert_eq!(content[0]["size"], file.len());

    let template = [
        ("vmid", "9100"),
        ("name", "talos"),
        ("scsi0", "local-lvm:0,import-from=local:import/talos.raw,discard=on"),
        ("ide2", "local-lvm:cloudinit"),
        ("net0", "virtio,bridge=vmbr0"),
        ("boot", "order=scsi0"),
    ];
    assert_eq!(site.task(site.form("POST", "/nodes/pve/qemu", &template).await).await, "OK");
    assert_eq!(site.task(site.form("POST", "/nodes/pve/qemu/9100/template", &[]).await).await, "OK");

    let body = json!({"newid": 1001, "name": "cozy-new-cp1", "full": true, "storage": "local-lvm"}).to_string();
    let headers = [("Authorization", site.token.as_str()), ("Content-Type", "application/json")];
    let clone = site.send("POST", "/api2/json/nodes/pve/qemu/9100/clone", &headers, &body).await;
    assert_eq!(site.task(clone).await, "OK");
    let resize = site.form("PUT", "/nodes/pve/qemu/1001/resize", &[("disk", "scsi0"), ("size", "50G")]).await;
    assert_eq!(site.task(resize).await, "OK");
    let settings = [("ipconfig0", "ip=127.86.0.201/24,gw=127.86.0.1"), ("cores", "8")];
    assert_eq!(site.task(site.form("POST", "/nodes/pve/qemu/1001/config", &settings).await).await, "OK");
    assert_eq!(site.task(site.form("POST", "/nodes/pve/qemu/1001/status/start", &[]).await).await, "OK");

    let config = site.get("/nodes/pve/qemu/1001/config").await.data();
    assert_eq!(config["name"], "cozy-new-cp1");
    assert_eq!(config["cores"], 8);
    assert_eq!(config["scsi0"], "local-lvm:vm-1001-disk-0,discard=on,size=50G");
    let facts = site.lab.look(|w| w.pve.facts(1001)).unwrap();
    assert!(facts.running && facts.talos_disk);
    assert_eq!(facts.address, Some((Ipv4Addr::new(127, 86, 0, 201), 24)));
}

#[tokio::test]
async fn a_query_parameter_goes_before_the_same_one_in_the_body() {
    let site = site(60.0, |_| ()).await;
    let answer = site.form("POST", "/access/roles?roleid=query", &[("roleid", "body")]).await;
    assert_eq!(answer.status, 200);
    let roles = site.get("/access/roles").await.data().to_string();
    assert!(roles.contains("\"query\"") && !roles.contains("\"body\""), "{roles}");
}

#[tokio::test]
async fn plain_http_is_sent_to_https() {
    let site = site(60.0, |_| ()).await;
    let mut stream = TcpStream::connect(site.address).await.unwrap();
    stream.write_all(b"GET /api2/json/version HTTP/1.1\r\nHost: lab:8006\r\n\r\n").await.unwrap();
    let mut bytes = Vec::new();
    timeout(PATIENCE, stream.read_to_end(&mut bytes)).await.unwrap().unwrap();
    let text = String::from_utf8(bytes).unwrap().to_lowercase();
    assert!(text.starts_with("http/1.1 301"), "{text}");
    assert!(text.contains("location: https://lab:8006/api2/json/version"), "{text}");
}
