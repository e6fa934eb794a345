//! `day5.load_balancer`: a service gets an address of the plan's pool, and the pod behind it answers from the jump host.
use crate::engine::failure::Failure;
use crate::engine::proof::{Evidence, Proof};
use crate::engine::step::{Context, Observed, Outline, Step, StepId, Undo};
use crate::engine::wait::Wait;
use crate::kubernetes::Kind;
use crate::plan::model::Plan;
use crate::steps::objects::{self, BAND, CONTAINER, IMAGE, NAMESPACE};
use crate::steps::site::{Changing, Installation, Reading};
use crate::steps::{failures, follow, outlines};
use async_trait::async_trait;
use serde_json::json;
use std::net::Ipv4Addr;
use std::time::Duration;

pub const KIND: &str = "day5.load_balancer";
const NAME: &str = "web";
const PORT: u16 = 8080;

pub struct LoadBalancer {
    outline: Outline,
}

pub fn step(_plan: &Plan) -> LoadBalancer {
    let by_hand = format!("kubectl -n {NAMESPACE} get service {NAME}; curl http://ADDRESS:{PORT}/hostname");
    let title = "a LoadBalancer address answers from the jump host";
    let outline = outlines::change(StepId::new(KIND), 5, title, BAND, by_hand)
        .after([StepId::new(super::namespace::KIND)])
        .momentary();
    LoadBalancer { outline }
}

/// Fetches `url`, as evidence, with status and at most 1 KiB of the body.
///
/// # Errors
/// With the reason when nobody answers.
pub async fn fetch(
    cx: &dyn Context,
    site: &Reading,
    url: &str,
    host: Option<&str>,
) -> Result<(u16, String, Evidence), String> {
    let mut request = site.http.get(url).timeout(Duration::from_secs(5));
    if let Some(host) = host {
        request = request.header("Host", host);
    }
    let response = request.send().await.map_err(|e| crate::base::text::clean(&e.without_url().to_string()))?;
    let status = response.status().as_u16();
    let location = response.headers().get("location").and_then(|l| l.to_str().ok()).unwrap_or_default().to_string();
    let body = response.text().await.unwrap_or_default();
    let header = host.map(|h| format!(" -H 'Host: {h}'")).unwrap_or_default();
    let evidence = Evidence {
        system: "jump host".into(),
        asked: format!("GET {url}{}", host.map(|h| format!(" (Host: {h})")).unwrap_or_default()),
        answer: crate::base::text::clean_lines(&crate::base::text::shorten(
            &format!("{status} {location}\n{body}"),
            1024,
        )),
        at: cx.clock().now(),
        by_hand: format!("curl -i{header} {url}"),
    };
    Ok((status, body, evidence))
}

#[async_trait]
impl Step<Installation> for LoadBalancer {
    fn outline(&self) -> &Outline {
        &self.outline
    }

    async fn observe(&self, cx: &dyn Context, site: &Reading) -> Result<Observed, Failure> {
        let reader = site.kubernetes()?;
        let failed = |e| failures::kubernetes(&e, "read the test service");
        let Some(service) = reader.get(&Kind::SERVICE, Some(NAMESPACE), NAME).await.map_err(failed)? else {
            return Ok(Observed::Absent(format!("there is no service {NAME}")));
        };
        if reader.get(&Kind::POD, Some(NAMESPACE), NAME).await.map_err(failed)?.is_none() {
            return Ok(Observed::Absent(format!("there is no pod {NAME}")));
        }
        let wait = |condition: &str, seen: &str| Ok(Observed::Underway(Wait::new(condition, seen, BAND)));
        let address = objects::text(&service.value, "/status/loadBalancer/ingress/0/ip");
        let Ok(ip) = address.parse::<Ipv4Addr>() else {
            return wait("the service has an address", "none yet");
        };
        if !site.plan.network.address_pool.iter().any(|r| r.contains(ip)) {
            return Err(Failure::person(
                format!("the service got {ip}, which is outside the plan's address pool"),
                "another IPAddressPool gives addresses too: kubectl get ipaddresspools -A",
            ));
        }
        match fetch(cx, site, &format!("http://{ip}:{PORT}/hostname"), None).await {
            Ok((200, body, evidence)) if body.trim() == NAME => {
                let service = Evidence::of("Kubernetes", cx.clock().now(), &service);
                let summary = format!("{ip} is from the pool and answers from the pod behind it");
                Ok(Observed::Satisfied(Proof::new(summary, evidence).and(service)))
            }
            Ok((status, body, _)) => wait(
                &format!("the pod answers at {ip}"),
                &format!("{status} {}", crate::base::text::shorten(body.trim(), 80)),
            ),
            Err(why) => wait(&format!("the pod answers at {ip}"), &why),
        }
    }

    async fn act(&self, _cx: &dyn Context, site: &Reading, change: &Changing) -> Result<(), Failure> {
        let mut labels = objects::labels(site);
        if let Some(map) = labels.as_object_mut() {
            map.insert("app".into(), NAME.into());
        }
        let pod = json!({
            "metadata": {"labels": labels},
            "spec": {"containers": [{
                "name": CONTAINER,
                "image": IMAGE,
                "args": ["netexec", format!("--http-port={PORT}")],
                "ports": [{"containerPort": PORT}],
                "readinessProbe": {"httpGet": {"path": "/", "port": PORT}},
                "resources": {"requests": {"cpu": "10m", "memory": "16Mi"}},
            }]},
        });
        objects::apply(site, change, &Kind::POD, Some(NAMESPACE), NAME, pod).await?;
        let service = json!({
            "metadata": {"labels": objects::labels(site)},
            "spec": {
                "type": "LoadBalancer",
                "selector": {"app": NAME},
                "ports": [{"name": "http", "port": PORT, "targetPort": PORT, "protocol": "TCP"}],
            },
        });
        objects::apply(site, change, &Kind::SERVICE, Some(NAMESPACE), NAME, service).await
    }

    fn undo(&self) -> Undo<'_, Installation> {
        Undo::With(super::cleanup::KIND)
    }

    async fn changed(&self, cx: &dyn Context, site: &Reading) {
        follow::object(cx, site, &Kind::SERVICE, Some(NAMESPACE), Some(NAME), Duration::from_secs(1)).await;
    }
}
