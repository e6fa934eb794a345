//! `day8.ingress`: the tenant's host answers at the root ingress, asked from the jump host, with the name of the tenant's own pod.
use crate::base::text::shorten;
use crate::engine::failure::Failure;
use crate::engine::step::{Context, Observed, Outline, Step, StepId, Undo};
use crate::engine::wait::{Band, Wait};
use crate::kubernetes::Kind;
use crate::plan::model::Plan;
use crate::steps::cluster::{foreign, get, is_ours, part, proven, seen, text};
use crate::steps::day5::ingress::{Address, address};
use crate::steps::day5::load_balancer::fetch;
use crate::steps::objects;
use crate::steps::site::{Changing, Installation, Reading};
use crate::steps::tenancy::made::annotation;
use crate::steps::tenancy::{FIRST, PORT, WEB};
use crate::steps::{failures, outlines};
use async_trait::async_trait;
use serde_json::{Value, json};
use std::time::Duration;

pub const KIND: &str = "day8.ingress";
const BAND: Band = Band::new(20, 180);

pub struct Ingress {
    outline: Outline,
}

pub fn step(plan: &Plan) -> Ingress {
    let host = format!("{}.{}", FIRST.name, plan.cozystack.root_host);
    let by_hand =
        format!("kubectl get -n {} ingress {WEB}\ncurl -H 'Host: {host}' http://ADDRESS/hostname", FIRST.namespace);
    let title = format!("{host} answers at the ingress with a pod of the tenant");
    let outline = outlines::change(StepId::new(KIND), 8, title, BAND, by_hand)
        .after([StepId::of(super::web::KIND, FIRST.name)])
        .momentary();
    Ingress { outline }
}

/// Class and host that the tenant's namespace names.
async fn place(site: &Reading) -> Result<Option<(String, String)>, Failure> {
    let namespace = get(&site.kubernetes()?, &Kind::NAMESPACE, None, FIRST.namespace).await?;
    Ok(namespace.map(|n| (annotation(&n.value, "ingress").to_string(), annotation(&n.value, "host").to_string())))
}

fn host(ingress: &Value) -> &str {
    text(ingress, "/spec/rules/0/host")
}

#[async_trait]
impl Step<Installation> for Ingress {
    fn outline(&self) -> &Outline {
        &self.outline
    }

    async fn observe(&self, cx: &dyn Context, site: &Reading) -> Result<Observed, Failure> {
        let (reader, namespace) = (site.kubernetes()?, FIRST.namespace);
        let Some(ingress) = get(&reader, &Kind::INGRESS, Some(namespace), WEB).await? else {
            return Ok(Observed::Absent(format!("there is no Ingress {WEB}")));
        };
        if !is_ours(site, &ingress.value) {
            return Ok(Observed::Conflict(foreign(&Kind::INGRESS, Some(namespace), WEB, &ingress.value)));
        }
        let host = host(&ingress.value);
        let wait = |seen: &str| Ok(Observed::Underway(Wait::new(format!("{host} answers"), seen, BAND)));
        let (address, service) = match address(cx, site).await? {
            Address::Given(address, service) => (address, service),
            Address::Lacks(seen) => return wait(&seen),
        };
        let (status, body, answer) = match fetch(cx, site, &format!("http://{address}/hostname"), Some(host)).await {
            Ok(answer) => answer,
            Err(why) => return wait(&why),
        };
        let pods = reader.list(&Kind::POD, Some(namespace), None).await;
        let pods = pods.map_err(|e| failures::kubernetes(&e, &format!("list the pods of {namespace}")))?;
        let of_web = pods.value.iter().filter(|pod| text(pod, "/metadata/labels/app") == WEB);
        let names: Vec<&str> = of_web.map(|pod| text(pod, "/metadata/name")).collect();
        if status != 200 || !names.contains(&body.trim()) {
            return wait(&format!("{address} answers {status} {}", shorten(body.trim(), 80)));
        }
        let shown = part(&pods, "those that serve", names.iter().map(|name| json!(name)));
        proven(
            format!("http://{host}/ answers at {address} with pod {} of {namespace}", body.trim()),
            vec![answer, seen(cx, &ingress), seen(cx, &shown), service],
        )
    }

    async fn act(&self, _cx: &dyn Context, site: &Reading, change: &Changing) -> Result<(), Failure> {
        let Some((class, host)) = place(site).await?.filter(|(class, host)| !class.is_empty() && !host.is_empty())
        else {
            return Err(Failure::retryable(
                format!("namespace {} names no ingress class and no host", FIRST.namespace),
                "cozyup looks again",
            ));
        };
        let backend = json!({"service": {"name": WEB, "port": {"number": PORT}}});
        let body = json!({"metadata": {"labels": objects::labels(site)}, "spec": {"ingressClassName": class,
            "rules": [{"host": host, "http": {"paths": [{"path": "/", "pathType": "Prefix", "backend": backend}]}}]}});
        objects::apply(site, change, &Kind::INGRESS, Some(FIRST.namespace), WEB, body).await
    }

    fn undo(&self) -> Undo<'_, Installation> {
        Undo::With(super::cleanup::KIND)
    }

    async fn changed(&self, cx: &dyn Context, _site: &Reading) {
        cx.clock().sleep(Duration::from_secs(2)).await;
    }
}
