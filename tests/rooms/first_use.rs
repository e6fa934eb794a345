//! A digest that is trusted on first use: which files are worth one.
use cozyup::base::tls::install_provider;
use cozyup::lab::releases::{COMPONENTS, MANIFEST_NAME, Releases, components_sha256};
use cozyup::plan::defaults::{Defaults, plan};
use cozyup::plan::model::Plan;
use cozyup::plan::pin::{FirstUse, Pin};
use cozyup::steps::first_use::fetch;
use cozyup::steps::web::Web;
use jiff::Timestamp;
use reqwest::Client;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

/// Answers each path with its bytes, whatever they are, and closes.
async fn server(files: Arc<Mutex<BTreeMap<String, Vec<u8>>>>) -> String {
    install_provider();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut asked = [0; 4096];
            let count = stream.read(&mut asked).await.unwrap();
            let asked = String::from_utf8_lossy(&asked[..count]).into_owned();
            let path = asked.split(' ').nth(1).unwrap_or_default().to_string();
            let answer = files.lock().unwrap().get(&path).cloned().unwrap_or_default();
            let _ = stream.write_all(&answer).await;
        }
    });
    url
}

fn whole(kind: &str, announced: usize, body: &[u8]) -> Vec<u8> {
    let head =
        format!("HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nContent-Length: {announced}\r\nConnection: close\r\n\r\n");
    [head.as_bytes(), body].concat()
}

struct Served {
    files: Arc<Mutex<BTreeMap<String, Vec<u8>>>>,
    plan: Plan,
    web: Web,
}

impl Served {
    async fn new() -> Served {
        let files = Arc::new(Mutex::new(BTreeMap::new()));
        let url = server(files.clone()).await;
        let mut plan = plan(&Defaults::default());
        plan.image.url = format!("{url}/image");
        plan.cozystack.installer_url = format!("{url}/{MANIFEST_NAME}");
        plan.integration.capmox.components_url = Some(format!("{url}/capmox"));
        plan.integration.capmox.ipam_components_url = Some(format!("{url}/ipam"));
        Served { files, plan, web: Web::new(Client::builder().no_proxy().build().unwrap(), None) }
    }

    fn put(&self, path: &str, answer: Vec<u8>) {
        self.files.lock().unwrap().insert(format!("/{path}"), answer);
    }

    async fn fetch(&self, pin: Pin) -> Result<FirstUse, String> {
        let fetched = fetch(&self.web, &self.plan, pin, Timestamp::UNIX_EPOCH, &|_, _| {}).await;
        fetched.map_err(|failure| format!("{} | {}", failure.what, failure.next))
    }
}

/// issue 15: the digest of the image by fetch-and-hash.
#[tokio::test]
async fn each_file_of_a_plan_gives_the_digest_of_what_its_server_has_and_says_how_far_it_is() {
    let (served, releases) = (Served::new().await, Releases::make("v0.37.2").unwrap());
    served.put("image", whole("application/x-xz", releases.image.len(), &releases.image));
    served.put(MANIFEST_NAME, whole("text/yaml", releases.manifest.len(), &releases.manifest));
    for ((_, text), path) in COMPONENTS.iter().zip(["capmox", "ipam"]) {
        served.put(path, whole("text/yaml", text.len(), text.as_bytes()));
    }
    let progress = Mutex::new(Vec::new());
    let told = |done, total| progress.lock().unwrap().push((done, total));
    let image = fetch(&served.web, &served.plan, Pin::Image, Timestamp::UNIX_EPOCH, &told).await.unwrap();
    assert_eq!((image.sha256.as_str(), image.bytes), (releases.image_sha256.as_str(), releases.image.len() as u64));
    assert_eq!(progress.lock().unwrap().last(), Some(&(image.bytes, Some(image.bytes))));
    let mut plan = served.plan.clone();
    plan.image.sha256 = image.sha256.clone();
    assert!(image.holds(&plan));
    assert_eq!(served.fetch(Pin::Installer).await.unwrap().sha256, releases.manifest_sha256);
    for (pin, (name, _)) in [Pin::Capmox, Pin::Ipam].into_iter().zip(COMPONENTS) {
        assert_eq!(served.fetch(pin).await.unwrap().sha256, components_sha256(name));
    }
}

#[tokio::test]
async fn what_breaks_off_was_cut_off_or_is_something_else_gets_no_digest() {
    let (served, releases) = (Served::new().await, Releases::make("v0.37.2").unwrap());
    let (image, half) = (&releases.image, releases.image.len() / 2);
    let why = async |answer: Vec<u8>| {
        served.put("image", answer);
        served.fetch(Pin::Image).await.unwrap_err()
    };
    let broken = why(whole("application/x-xz", image.len(), &image[..half])).await;
    assert!(broken.contains("fetch http://") && broken.contains("again"), "{broken}");
    // Whole by what the server says of it.
    let cut = why(whole("application/x-xz", half, &image[..half])).await;
    assert!(cut.contains("cut off") && cut.contains("another mirror"), "{cut}");
    let page = why(whole("text/html; charset=utf-8", 6, b"<html>")).await;
    assert!(page.contains("a web page"), "{page}");
    let other = why(whole("application/octet-stream", 6, b"PK\x03\x04..")).await;
    assert!(other.contains("neither xz nor a disk"), "{other}");
    let endless = why(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nxxxx".to_vec()).await;
    assert!(endless.contains("without a length"), "{endless}");
    let long = why(whole("application/x-xz", 3 << 30, b"x")).await;
    assert!(long.contains("no Talos image has more"), "{long}");
    let gone = why(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n".to_vec()).await;
    assert!(gone.contains("404"), "{gone}");
    served.put(MANIFEST_NAME, whole("text/yaml", 5, b"a: b\n"));
    assert!(served.fetch(Pin::Installer).await.is_err());
    served.put("capmox", whole("text/yaml", 5, b"a: b\n"));
    let unfit = served.fetch(Pin::Capmox).await.unwrap_err();
    assert!(unfit.contains("holds no components of capmox"), "{unfit}");
}

#[tokio::test]
async fn a_server_that_changes_its_file_in_between_gives_another_digest() {
    let (served, releases) = (Served::new().await, Releases::make("v0.37.2").unwrap());
    served.put("image", whole("application/x-xz", releases.image.len(), &releases.image));
    let first = served.fetch(Pin::Image).await.unwrap();
    let mut other = releases.image.to_vec();
    let middle = other.len() / 2;
    other[middle] ^= 1;
    served.put("image", whole("application/x-xz", other.len(), &other));
    let second = served.fetch(Pin::Image).await.unwrap();
    assert_ne!(first.sha256, second.sha256);
    let mut plan = served.plan.clone();
    plan.image.sha256 = first.sha256.clone();
    assert!(first.holds(&plan) && !second.holds(&plan));
}
