//! The kinds that both sides serve: their definitions, and a watch of each in the real server.
use super::mirror::{DEFINITIONS, Mirror, text};
use super::real::No;
use cozyup::lab::kube::api::Kind;
use cozyup::lab::kube::store::Key;
use futures::StreamExt;
use kube::api::{ApiResource, DynamicObject};
use kube::runtime::watcher::{self, Event};
use kube::{Api, ResourceExt};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// How long a new definition may take until its kind is served.
const SERVED: Duration = Duration::from_secs(20);

impl Mirror {
    /// The lab's aggregated API has no server behind it that a real one could ask: definitions stand in for it, and the
    /// real server registers the API service by itself.
    pub(super) async fn api_service(&mut self, object: Option<&Value>) -> Result<(), (&'static str, No)> {
        let Some(object) = object.filter(|o| o["spec"]["service"].is_object()) else { return Ok(()) };
        let available = object["status"]["conditions"].as_array().into_iter().flatten();
        if available.into_iter().any(|c| c["type"] == "Available" && c["status"] == "True")
            && object["spec"]["group"] == "core.cozystack.io"
        {
            return self.define("core.cozystack.io", "v1alpha1", "TenantNamespace", "tenantnamespaces", false).await;
        }
        Ok(())
    }

    /// A kind of an aggregated API has no definition in the store; the real server gets one.
    pub(super) async fn stand_in(&mut self, kind: &'static Kind) {
        let name = format!("{}.{}", kind.plural, kind.group);
        let definition = Key::new(DEFINITIONS.0, DEFINITIONS.1, "", &name);
        let defined = self.lab.look(|w| w.cluster.as_ref().is_some_and(|c| c.store.get(&definition).is_some()));
        if !kind.custom || defined || self.watched.contains(&(kind.group.into(), kind.plural.into())) {
            return;
        }
        if let Err((doing, no)) = self.define(kind.group, kind.version, kind.kind, kind.plural, kind.namespaced).await {
            self.refused(kind, &definition, doing, &no);
        }
    }

    /// From now on what happens to this kind in the real server arrives here.
    pub(super) fn watch(&mut self, kind: &'static Kind) {
        // The same events as the core group's.
        if kind.group == "events.k8s.io" || !self.watched.insert((kind.group.into(), kind.plural.into())) {
            return;
        }
        let resource = ApiResource {
            group: kind.group.into(),
            version: kind.version.into(),
            api_version: kind.api_version(),
            kind: kind.kind.into(),
            plural: kind.plural.into(),
        };
        let api: Api<DynamicObject> = Api::all_with(self.real.client.clone(), &resource);
        let seen = self.seen.clone();
        self.watches.spawn(async move {
            let mut events = watcher::watcher(api, watcher::Config::default()).boxed();
            while let Some(event) = events.next().await {
                let (object, gone) = match event {
                    Ok(Event::Apply(o) | Event::InitApply(o)) => (o, false),
                    Ok(Event::Delete(o)) => (o, true),
                    Ok(Event::Init | Event::InitDone) => continue,
                    // The watcher asks again by itself.
                    Err(_) => {
                        tokio::time::sleep(Duration::from_millis(50)).await;
                        continue;
                    }
                };
                let key =
                    Key::new(kind.group, kind.plural, &object.namespace().unwrap_or_default(), &object.name_any());
                let value = serde_json::to_value(&object).unwrap();
                if seen.send((key, (!gone).then_some(value))).is_err() {
                    return;
                }
            }
        });
    }

    pub(super) async fn define(
        &mut self,
        group: &str,
        version: &str,
        kind: &str,
        plural: &str,
        namespaced: bool,
    ) -> Result<(), (&'static str, No)> {
        let schema = json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true});
        let definition = json!({
            "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
            "metadata": {"name": format!("{plural}.{group}")},
            "spec": {"group": group, "scope": if namespaced { "Namespaced" } else { "Cluster" },
                "names": {"kind": kind, "plural": plural, "singular": kind.to_lowercase()},
                "versions": [{"name": version, "served": true, "storage": true,
                    "schema": {"openAPIV3Schema": schema}, "subresources": {"status": {}}}]},
        });
        let at = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
        match self.real.post(at, &definition).await {
            Ok(_) => self.until_served(&definition).await,
            Err(no) if no.reason == "AlreadyExists" => Ok(()),
            Err(no) => Err(("define", no)),
        }
    }

    pub(super) async fn until_served(&self, definition: &Value) -> Result<(), (&'static str, No)> {
        let (group, plural) = (text(definition, "/spec/group"), text(definition, "/spec/names/plural"));
        let at = format!("/apis/{group}/{}/{plural}?limit=1", text(definition, "/spec/versions/0/name"));
        let began = Instant::now();
        loop {
            match self.real.get(&at).await {
                Ok(_) => return Ok(()),
                Err(no) if began.elapsed() > SERVED => return Err(("serve", no)),
                Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
            }
        }
    }
}
