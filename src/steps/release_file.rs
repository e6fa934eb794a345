//! A small text file of a release: fetched by the jump host, or read from its disk, and compared with the digest that the
//! plan names or that this run saw first.
use crate::base::text::{format_duration, hex};
use crate::engine::failure::Failure;
use crate::engine::step::Observed;
use crate::steps::site::Reading;
use crate::steps::web::{self, Web};
use aws_lc_rs::digest;
use reqwest::Method;
use std::time::Duration;
use tokio::io::AsyncReadExt as _;

/// On the wall: the release server is real even when the clock runs fast.
const DEADLINE: Duration = Duration::from_secs(60);

/// The file, and the plan's words about it.
pub struct ReleaseFile<'a> {
    /// `installer manifest`
    pub what: &'static str,
    /// An http or https URL, or an absolute path on the jump host.
    pub url: &'a str,
    /// The plan's key for [`ReleaseFile::url`].
    pub url_key: &'static str,
    pub sha256: Option<&'a str>,
    /// The plan's key for [`ReleaseFile::sha256`].
    pub sha256_key: &'static str,
    /// In bytes: what is larger is something else.
    pub limit: usize,
}

/// A file as it was fetched.
pub struct Fetched {
    pub text: String,
    /// In lower-case hexadecimal digits.
    pub sha256: String,
}

impl ReleaseFile<'_> {
    /// Under which name its digest is recorded.
    pub fn name(&self) -> String {
        format!("{} {}", self.what, self.url)
    }

    /// True when the plan pins the file, so that nothing has to be trusted on first use.
    pub fn is_pinned(&self) -> bool {
        self.sha256.is_some()
    }

    /// A proof that also records the digest of this file, when the plan does not pin it and it was read.
    pub fn recorded(&self, site: &Reading, observed: Observed) -> Observed {
        match (observed, site.digests().of(&self.name()).filter(|_| !self.is_pinned())) {
            (Observed::Satisfied(proof), Some(sha256)) => Observed::Satisfied(proof.records(self.name(), sha256)),
            (observed, _) => observed,
        }
    }

    /// # Errors
    /// When it can't be fetched, is too large, is no text, or is another file than the plan's SHA-256 says or than this run
    /// fetched before.
    pub async fn fetch(&self, site: &Reading) -> Result<Fetched, Failure> {
        let fetched = self.fetch_now(&site.web).await?;
        match self.sha256 {
            Some(wanted) => self.verify(&fetched.sha256, wanted)?,
            None => {
                let next = format!("set {} to the new one in the plan only when you trust it", self.sha256_key);
                site.digests().agree(&self.name(), &fetched.sha256, &next)?;
            }
        }
        Ok(fetched)
    }

    /// The file as it is now, compared with nothing.
    ///
    /// # Errors
    /// When it can't be fetched, is too large, or is no text.
    pub async fn fetch_now(&self, web: &Web) -> Result<Fetched, Failure> {
        let url = self.url;
        let late = || {
            Failure::retryable(
                format!("fetch {url}: no end after {}", format_duration(DEADLINE)),
                "the release server is slow: name a mirror in the plan if it stays so; cozyup tries again",
            )
        };
        let bytes = match url.starts_with('/') {
            true => self.read().await?,
            false => tokio::time::timeout(DEADLINE, self.download(web)).await.map_err(|_| late())??,
        };
        let sha256 = hex(digest::digest(&digest::SHA256, &bytes).as_ref());
        let text = String::from_utf8(bytes).map_err(|_| self.wrong("is no text"))?;
        Ok(Fetched { text, sha256 })
    }

    fn wrong(&self, why: &str) -> Failure {
        Failure::person(format!("{} {why}", self.url), format!("correct {} in the plan", self.url_key))
    }

    fn too_large(&self) -> Failure {
        self.wrong(&format!("has more than {} bytes: that is no {}", self.limit, self.what))
    }

    async fn read(&self) -> Result<Vec<u8>, Failure> {
        let failed = |e: std::io::Error| self.wrong(&format!("can't be read: {e}"));
        let file = tokio::fs::File::open(self.url).await.map_err(failed)?;
        // A pipe would keep the step waiting for whoever writes to it.
        if !file.metadata().await.map_err(failed)?.is_file() {
            return Err(self.wrong("is no file"));
        }
        let mut bytes = Vec::new();
        let limit = u64::try_from(self.limit).unwrap_or(u64::MAX);
        file.take(limit.saturating_add(1)).read_to_end(&mut bytes).await.map_err(failed)?;
        if bytes.len() > self.limit { Err(self.too_large()) } else { Ok(bytes) }
    }

    async fn download(&self, web: &Web) -> Result<Vec<u8>, Failure> {
        let url = self.url;
        let mut response = web::ask(web, Method::GET, url).await?;
        let cut = |e: &reqwest::Error| {
            Failure::retryable(
                format!("fetch {url}: {}", web::cause(e)),
                "check that this machine reaches the release server; cozyup tries again",
            )
        };
        let mut bytes = Vec::new();
        while let Some(piece) = response.chunk().await.map_err(|e| cut(&e))? {
            bytes.extend_from_slice(&piece);
            if bytes.len() > self.limit {
                return Err(self.too_large());
            }
        }
        Ok(bytes)
    }

    fn verify(&self, found: &str, wanted: &str) -> Result<(), Failure> {
        if found.eq_ignore_ascii_case(wanted.trim()) {
            return Ok(());
        }
        Err(Failure::refused(
            format!("{} has SHA-256 {found}, the plan wants {wanted}", self.url),
            format!("find out who changed the file; correct {} only when you trust the new one", self.sha256_key),
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(url: &str) -> ReleaseFile<'_> {
        ReleaseFile { what: "manifest", url, url_key: "a.url", sha256: None, sha256_key: "a.sha256", limit: 4 }
    }

    #[test]
    fn another_file_than_the_plans_is_refused() {
        let failure = file("u").verify("aa", "BB").unwrap_err();
        assert!(failure.what.contains("the plan wants BB") && failure.next.contains("a.sha256"), "{failure}");
        assert!(file("u").verify("aa", " AA").is_ok());
    }

    #[tokio::test]
    async fn a_file_of_a_server_that_sends_for_ever_is_read_as_far_as_such_a_file_goes() {
        use tokio::io::AsyncWriteExt as _;
        crate::base::tls::install_provider();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/m", listener.local_addr().unwrap());
        let serving = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            assert!(stream.read(&mut [0; 1024]).await.unwrap() > 0, "no question");
            let mut sent = stream.write_all(b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n").await;
            while sent.is_ok() {
                sent = stream.write_all(&[b'x'; 1 << 16]).await;
            }
        });
        let web = Web::new(reqwest::Client::builder().no_proxy().build().unwrap(), None);
        let endless = ReleaseFile { limit: 1 << 20, ..file(&url) };
        let failure = endless.download(&web).await.unwrap_err();
        assert!(failure.what.contains("has more than 1048576 bytes: that is no manifest"), "{failure}");
        serving.await.unwrap();
    }

    #[tokio::test]
    async fn a_file_of_the_jump_host_is_read_as_far_as_such_a_file_goes() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("m").display().to_string();
        let read = async |text: &str| {
            std::fs::write(&path, text).unwrap();
            file(&path).read().await
        };
        assert_eq!(read("four").await.unwrap(), b"four");
        assert!(read("fives").await.unwrap_err().what.contains("more than 4 bytes"));
        assert!(file("/dev/null").read().await.unwrap_err().what.contains("is no file"));
        assert!(file("/nowhere/at/all").read().await.unwrap_err().next.contains("a.url"));
    }
}
