//! `day5.ingress`: what a person will use answers: asked at the ingress's address from the jump host with the name that
//! people will type, redirects followed up to the page itself.
//!
//! The name is not resolved here (`day5.names` does that). The certificate is told and not judged: CozyStack gets one from
//! Let's Encrypt only when the name leads to it from the internet, and a plain page is all that is asked for.
use crate::base::glance;
use crate::base::text::{clean, clean_lines, shorten};
use crate::cozystack::addons::TENANT_ROOT;
use crate::engine::failure::Failure;
use crate::engine::proof::{Evidence, Proof};
use crate::engine::step::{Check, Context, Observed, Outline, StepId};
use crate::engine::wait::{Band, Wait};
use crate::kubernetes::Kind;
use crate::plan::model::Plan;
use crate::steps::day4::tenant_services::INGRESS as SERVICE;
use crate::steps::objects;
use crate::steps::site::{Installation, Reading};
use crate::steps::{failures, outlines};
use async_trait::async_trait;
use reqwest::{Client, ClientBuilder, Url};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

pub const KIND: &str = "day5.ingress";
const BAND: Band = Band::new(10, 300);
/// For one answer, on the wall.
const DEADLINE: Duration = Duration::from_secs(10);
const REDIRECTS: usize = 5;
const LARGEST_ANSWER: usize = 1024;

pub struct Ingress {
    outline: Outline,
    host: String,
    /// The plan puts nothing on the ingress: then its own answer for an unknown name is all there is.
    is_bare: bool,
}

pub fn step(plan: &Plan) -> Ingress {
    let exposed = &plan.cozystack.expose;
    let service = exposed.iter().find(|e| *e == "dashboard").or(exposed.first());
    let host = format!("{}.{}", service.map_or("dashboard", String::as_str), plan.cozystack.root_host);
    let by_hand = format!("curl -kisSL --resolve {host}:80:ADDRESS --resolve {host}:443:ADDRESS http://{host}/");
    let outline = outlines::check(StepId::new(KIND), 5, format!("the ingress serves {host}"), BAND, by_hand);
    Ingress { outline, host, is_bare: service.is_none() }
}

/// The address of the root ingress.
pub enum Address {
    /// With the Service as evidence.
    Given(IpAddr, Evidence),
    /// Not yet, and why.
    Lacks(String),
}

/// # Errors
/// When the cluster can't be asked.
pub async fn address(cx: &dyn Context, site: &Reading) -> Result<Address, Failure> {
    let service = site.kubernetes()?.get(&Kind::SERVICE, Some(TENANT_ROOT), SERVICE).await;
    let service = service.map_err(|e| failures::kubernetes(&e, "read the ingress service"))?;
    let Some(service) = service else {
        return Ok(Address::Lacks(format!("there is no service {TENANT_ROOT}/{SERVICE}")));
    };
    let given = objects::text(&service.value, "/status/loadBalancer/ingress/0/ip").parse();
    Ok(match given {
        Ok(address) => Address::Given(address, Evidence::of("Kubernetes", cx.clock().now(), &service)),
        Err(_) => Address::Lacks("the service has no address".to_string()),
    })
}

/// The meaning of one answer for a person who wants to use the platform.
#[derive(Debug, PartialEq)]
enum Verdict {
    /// A page, or the question who asks for it.
    Served,
    Follow(Url),
    /// No person gets anything from this, and why.
    Useless(String),
}

fn verdict(asked: &Url, status: u16, location: Option<&str>, root: &str) -> Verdict {
    let useless = |why: String| Verdict::Useless(format!("{asked} answers {status}: {why}"));
    match status {
        300..=399 => {
            let Some(to) = location.and_then(|l| asked.join(l).ok()) else {
                return useless("a redirect that leads nowhere".into());
            };
            let host = to.host_str().unwrap_or_default();
            let inside = host == root || host.ends_with(&format!(".{root}"));
            match to.scheme() {
                _ if to == *asked => useless("a redirect to itself".into()),
                _ if !inside => useless(format!("a redirect to {host}, which is not below {root}")),
                "http" if asked.scheme() == "https" => useless("a redirect from https to http".into()),
                "http" | "https" => Verdict::Follow(to),
                scheme => useless(format!("a redirect to {scheme}:")),
            }
        }
        _ if asked.scheme() != "https" => {
            // Without a redirect browsers still go to https by themselves, and everything of the platform is there.
            let mut secure = asked.clone();
            match secure.set_scheme("https") {
                Ok(()) => Verdict::Follow(secure),
                Err(()) => useless("not over https".into()),
            }
        }
        200..=299 | 401 | 403 => Verdict::Served,
        404 => useless("no Ingress serves this name or this path".into()),
        500..=599 => useless("the pods behind it do not answer".into()),
        _ => useless("that is no page".into()),
    }
}

/// An answer, the evidence of it, and whose certificate came with it.
struct Answer {
    status: u16,
    location: Option<String>,
    evidence: Evidence,
    certificate: Option<Certificate>,
}

#[derive(Debug, Clone, PartialEq)]
struct Certificate {
    whose: String,
    /// This machine trusts who made it, and it is for this name.
    is_trusted: bool,
}

/// # Errors
/// When nobody answers, in the words of the client.
async fn ask(cx: &dyn Context, url: &Url, address: IpAddr) -> Result<Answer, String> {
    let said = |e: reqwest::Error| clean(&crate::steps::web::cause(&e.without_url()));
    let host = url.host_str().unwrap_or_default();
    let port = url.port_or_known_default().unwrap_or(443);
    let builder = || -> ClientBuilder {
        Client::builder()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .timeout(DEADLINE)
            .resolve(host, SocketAddr::new(address, port))
    };
    let (config, shown) = glance::config().map_err(|e| clean(&e.to_string()))?;
    let looking = builder().tls_backend_preconfigured(config).build().map_err(said)?;
    let response = looking.get(url.clone()).send().await.map_err(said)?;
    let certificate = match shown.whose() {
        Some(whose) => {
            let strict = builder().build().map_err(said)?.head(url.clone()).send().await;
            Some(Certificate { whose, is_trusted: strict.is_ok() })
        }
        None => None,
    };
    let status = response.status().as_u16();
    let location = response.headers().get("location").and_then(|l| l.to_str().ok()).map(clean);
    let body = beginning(response).await;
    let whose = certificate.as_ref().map(|c| format!("certificate: {}\n", c.whose)).unwrap_or_default();
    let evidence = Evidence {
        system: "jump host".into(),
        asked: format!("GET {url} at {address}"),
        answer: clean_lines(&shorten(
            &format!("{status} {}\n{whose}{body}", location.as_deref().unwrap_or_default()),
            LARGEST_ANSWER,
        )),
        at: cx.clock().now(),
        by_hand: format!("curl -kisS --resolve '{host}:{port}:{address}' '{url}'"),
    };
    Ok(Answer { status, location, evidence, certificate })
}

/// The beginning of the body; a page may be large, and one that never ends is none.
async fn beginning(mut response: reqwest::Response) -> String {
    let mut bytes = Vec::new();
    while bytes.len() < LARGEST_ANSWER {
        match response.chunk().await {
            Ok(Some(chunk)) => bytes.extend_from_slice(&chunk),
            Ok(None) | Err(_) => break,
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[async_trait]
impl Check<Installation> for Ingress {
    fn outline(&self) -> &Outline {
        &self.outline
    }

    async fn observe(&self, cx: &dyn Context, site: &Reading) -> Result<Observed, Failure> {
        let wait =
            |seen: &str| Ok(Observed::Underway(Wait::new(format!("the ingress serves {}", self.host), seen, BAND)));
        let (address, service) = match address(cx, site).await? {
            Address::Given(address, service) => (address, service),
            Address::Lacks(seen) => return wait(&seen),
        };
        let root = &site.plan.cozystack.root_host;
        let mut url = Url::parse(&format!("http://{}/", self.host))
            .map_err(|e| Failure::broken(format!("{}: {e}", self.host), "correct cozystack.root_host in the plan"))?;
        let mut readings = vec![service];
        for _ in 0..=REDIRECTS {
            let answer = match ask(cx, &url, address).await {
                Ok(answer) => answer,
                Err(why) => return wait(&format!("{url} at {address}: {why}")),
            };
            let Answer { status, location, evidence, certificate } = answer;
            readings.push(evidence);
            let verdict = match verdict(&url, status, location.as_deref(), root) {
                Verdict::Useless(_) if self.is_bare && status == 404 => Verdict::Served,
                verdict => verdict,
            };
            match verdict {
                Verdict::Follow(to) => url = to,
                Verdict::Useless(why) => return Err(useless(&why, address, &self.host)),
                Verdict::Served => return served(&url, status, address, certificate, readings),
            }
        }
        Err(useless(&format!("{} redirects again and again", self.host), address, &self.host))
    }
}

/// Retryable: right after an install the pods may still start. The engine calls a person when it stays so.
fn useless(why: &str, address: IpAddr, host: &str) -> Failure {
    Failure::retryable(
        format!("nobody can use {host} at {address}: {why}"),
        format!(
            "look at `kubectl get ingress -A` (is one for {host}, with class tenant-root?) and at the pods behind it \
             (`kubectl get pods -n cozy-dashboard`, `kubectl logs -n {TENANT_ROOT} deployments/{SERVICE}`); cozyup asks again"
        ),
    )
}

fn served(
    url: &Url,
    status: u16,
    address: IpAddr,
    certificate: Option<Certificate>,
    readings: Vec<Evidence>,
) -> Result<Observed, Failure> {
    let mut readings = readings.into_iter().rev();
    let last = readings.next().ok_or_else(|| Failure::defect("a step found no reading to show"))?;
    let whose = certificate.as_ref().map(|c| format!(", with the certificate {}", c.whose)).unwrap_or_default();
    let proof = readings.fold(Proof::new(format!("{url} answers {status} at {address}{whose}"), last), Proof::and);
    let untrusted = certificate.filter(|c| !c.is_trusted);
    Ok(Observed::Satisfied(match untrusted {
        Some(certificate) => proof.mind(format!(
            "browsers will warn of the certificate of {} ({}): Let's Encrypt gives one only when the name leads here \
             from the internet (port 80); else make an issuer of yours",
            url.host_str().unwrap_or_default(),
            certificate.whose
        )),
        None => proof,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROOT: &str = "cozy.example.com";

    fn judged(asked: &str, status: u16, location: Option<&str>) -> Verdict {
        verdict(&Url::parse(asked).unwrap(), status, location, ROOT)
    }

    fn why(verdict: Verdict) -> String {
        match verdict {
            Verdict::Useless(why) => why,
            other => panic!("{other:?}"),
        }
    }

    /// reports.md B29: the redirect to https was taken for the dashboard.
    #[test]
    fn a_redirect_to_https_is_followed_and_no_answer_in_itself() {
        let to = judged("http://dashboard.cozy.example.com/", 308, Some("https://dashboard.cozy.example.com/"));
        assert_eq!(to, Verdict::Follow("https://dashboard.cozy.example.com/".parse().unwrap()));
        let plain = judged("http://dashboard.cozy.example.com/", 200, None);
        assert_eq!(plain, Verdict::Follow("https://dashboard.cozy.example.com/".parse().unwrap()));
        let login = judged("https://dashboard.cozy.example.com/", 302, Some("/oauth2/sign_in"));
        assert!(matches!(login, Verdict::Follow(_)));
    }

    #[test]
    fn a_page_or_the_question_who_asks_is_what_a_person_can_use() {
        for status in [200, 204, 401, 403] {
            assert_eq!(judged("https://dashboard.cozy.example.com/", status, None), Verdict::Served);
        }
    }

    #[test]
    fn each_answer_that_helps_nobody_is_told_with_its_reason() {
        let at = |status, location| why(judged("https://dashboard.cozy.example.com/", status, location));
        assert!(at(404, None).contains("no Ingress serves this name"));
        assert!(at(502, None).contains("the pods behind it do not answer"));
        assert!(at(503, None).contains("the pods behind it do not answer"));
        assert!(at(400, None).contains("no page"));
        assert!(at(308, Some("https://dashboard.cozy.example.com/")).contains("to itself"));
        assert!(at(302, Some("https://login.elsewhere.example/")).contains("not below cozy.example.com"));
        assert!(at(302, Some("http://dashboard.cozy.example.com/")).contains("from https to http"));
        assert!(at(302, None).contains("leads nowhere"));
    }
}
