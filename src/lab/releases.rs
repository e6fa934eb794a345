//! The release server of the lab: the Talos image and the installer manifest over plain HTTP, at the pace of the scenario.
use super::disturb::Line;
use super::world::Lab;
use aws_lc_rs::digest;
use axum::Router;
use axum::body::Body;
use axum::http::{Method, StatusCode, header};
use axum::routing::get;
use bytes::Bytes;
use futures::stream;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use std::convert::Infallible;
use std::io::Write;
use std::time::Duration;
use tokio::net::TcpStream;
use tower::ServiceExt;

pub const IMAGE_NAME: &str = "nocloud-amd64.raw.xz";
pub const MANIFEST_NAME: &str = "cozystack-installer.yaml";
/// The names of container registries that lead to this server: in a lab nobody asks the real ones.
pub const REGISTRIES: [&str; 9] = [
    "ghcr.io",
    "quay.io",
    "registry.k8s.io",
    "mirror.gcr.io",
    "registry-1.docker.io",
    "gcr.io",
    "cr.fluentbit.io",
    "docker-registry3.mariadb.com",
    "docker.io",
];
/// Components of the Cluster API providers, by the name of their file.
pub const COMPONENTS: [(&str, &str); 2] = [
    (CAPMOX_NAME, include_str!("../../assets/lab/capmox-components.yaml")),
    (IPAM_NAME, include_str!("../../assets/lab/ipam-components.yaml")),
];
pub const CAPMOX_NAME: &str = "infrastructure-components.yaml";
pub const IPAM_NAME: &str = "ipam-components.yaml";
/// The lab's image is small: what is simulated is the time it takes, not its bytes.
const IMAGE_BYTES: usize = 8 << 20;
const PIECES: u32 = 16;
/// The release whose manifest `assets/lab` holds.
const OWN: &str = "v0.37.2";

/// The files of the release server.
#[derive(Debug, Clone, Default)]
pub struct Releases {
    pub image: Bytes,
    pub image_sha256: String,
    pub manifest: Bytes,
    pub manifest_sha256: String,
}

impl Releases {
    /// Makes the image: mostly empty, with some noise so that it does not compress to nothing; the same every time. And the
    /// manifest of this CozyStack release.
    ///
    /// # Errors
    /// When the image can't be compressed, or the lab does not have the release.
    pub fn make(version: &str) -> std::io::Result<Releases> {
        let mut raw = vec![0u8; IMAGE_BYTES];
        let mut noise = fastrand::Rng::with_seed(0x7a105);
        for block in raw.chunks_mut(1 << 20) {
            if let Some(head) = block.get_mut(..16 << 10) {
                noise.fill(head);
            }
        }
        let mut packer = lzma_rust2::XzWriter::new(Vec::new(), lzma_rust2::XzOptions::with_preset(0))?;
        packer.write_all(&raw)?;
        let image = Bytes::from(packer.finish()?);
        let image_of = |version| super::kube::installer_image(version);
        let (own, wanted) = image_of(OWN)
            .zip(image_of(version))
            .ok_or_else(|| std::io::Error::other(format!("the lab has no CozyStack {version}")))?;
        let manifest = Bytes::from(include_str!("../../assets/lab/cozystack-installer.yaml").replace(&own, &wanted));
        Ok(Releases { image_sha256: sha256(&image), manifest_sha256: sha256(&manifest), image, manifest })
    }
}

pub fn sha256(bytes: &[u8]) -> String {
    digest::digest(&digest::SHA256, bytes).as_ref().iter().map(|b| format!("{b:02x}")).collect()
}

fn components(name: &str) -> &'static str {
    COMPONENTS.iter().find(|(known, _)| *known == name).map_or("", |(_, text)| *text)
}

/// SHA-256 of one of [`COMPONENTS`].
pub fn components_sha256(name: &str) -> String {
    sha256(components(name).as_bytes())
}

/// The files, and the registries' answer.
pub(crate) fn router(lab: Lab) -> Router {
    let image = lab.clone();
    Router::new()
        .route(
            &format!("/{IMAGE_NAME}"),
            get(move |method: Method| async move {
                let (bytes, sum) = image.look(|w| (w.releases.image.clone(), w.releases.image_sha256.clone()));
                let seconds = image.look(|w| w.scenario.latency.image_fetch_s);
                let length = bytes.len().to_string();
                let body = if method == Method::HEAD { Body::empty() } else { paced(image, bytes, seconds) };
                ([(header::CONTENT_LENGTH, length), (header::ETAG, format!("\"{sum}\""))], body)
            }),
        )
        .route(&format!("/{MANIFEST_NAME}"), get(move || async move { lab.look(|w| w.releases.manifest.clone()) }))
        // A registry wants a token, which whoever only asks whether it is there has not.
        .route(
            "/v2/",
            get(|| async {
                let own = [("docker-distribution-api-version", "registry/2.0")];
                (StatusCode::UNAUTHORIZED, own, "{\"errors\":[{\"code\":\"UNAUTHORIZED\"}]}\n")
            }),
        )
        .route(&format!("/{CAPMOX_NAME}"), get(|| async { components(CAPMOX_NAME) }))
        .route(&format!("/{IPAM_NAME}"), get(|| async { components(IPAM_NAME) }))
        .fallback(|| async { (StatusCode::NOT_FOUND, "no such release\n") })
}

/// Serves one connection.
pub async fn serve(stream: TcpStream, lab: Lab, line: Line) {
    let router = router(lab);
    let service = service_fn(move |request| {
        let (router, line) = (router.clone(), line.clone());
        async move {
            let served = |request| async { router.oneshot(request).await.unwrap_or_else(|never| match never {}) };
            Ok::<_, Infallible>(line.answer(request, served).await)
        }
    });
    // A connection that breaks is the client's business.
    let _ = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
}

/// The bytes in pieces, spread over `seconds` of lab time.
fn paced(lab: Lab, bytes: Bytes, seconds: f64) -> Body {
    let piece = bytes.len().div_ceil(PIECES as usize).max(1);
    let start = lab.clock().now();
    let pause = Duration::from_secs_f64(seconds.max(0.0) / f64::from(PIECES));
    Body::from_stream(stream::unfold((0u32, bytes), move |(n, mut rest)| {
        let lab = lab.clone();
        async move {
            if rest.is_empty() {
                return None;
            }
            lab.clock().sleep_until(cozyup_base::clock::add(start, pause * (n + 1))).await;
            let part = rest.split_to(piece.min(rest.len()));
            Some((Ok::<_, Infallible>(part), (n + 1, rest)))
        }
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;

    #[test]
    fn the_image_unpacks_to_its_full_size_and_is_the_same_every_time() {
        let one = Releases::make(OWN).unwrap();
        let two = Releases::make(OWN).unwrap();
        assert_eq!(one.image_sha256, two.image_sha256);
        let mut raw = Vec::new();
        lzma_rust2::XzReader::new(&one.image[..], false).read_to_end(&mut raw).unwrap();
        assert_eq!(raw.len(), IMAGE_BYTES);
    }
}
