//! `day4.storage_classes`: `local` (the only default) and `replicated`, the names that CozyStack takes for granted.
use crate::cozystack::addons::{Object, storage_classes};
use crate::engine::failure::Failure;
use crate::engine::step::{Context, Observed, Outline, Step, StepId, Undo};
use crate::engine::wait::Band;
use crate::kubernetes::Kind;
use crate::plan::model::Plan;
use crate::steps::cluster::{self, difference, foreign, is_ours, part, proven, seen, text};
use crate::steps::site::{Changing, Installation, Reading};
use crate::steps::volumes::copies;
use crate::steps::{failures, follow, outlines};
use async_trait::async_trait;
use serde_json::{Value, json};
use std::time::Duration;

pub const KIND: &str = "day4.storage_classes";
const BAND: Band = Band::new(5, 60);
const DEFAULT: &str = "local";
const DEFAULT_MARK: &str = "/metadata/annotations/storageclass.kubernetes.io~1is-default-class";

pub struct StorageClasses {
    outline: Outline,
}

pub fn step(plan: &Plan) -> StorageClasses {
    let title = format!("StorageClasses local (the default) and replicated ({} copies) are there", copies(plan));
    let outline = outlines::change(StepId::new(KIND), 4, title, BAND, "kubectl get storageclasses")
        .after([StepId::new(super::linstor_pools::KIND)]);
    StorageClasses { outline }
}

fn objects(site: &Reading) -> Vec<Object> {
    storage_classes(site.label(), &site.plan.integration.linstor.pool, copies(&site.plan))
}

/// The class's own fields: the part that can't be changed once it is there.
fn fields(object: &Object) -> Value {
    let mut body = object.body.clone();
    if let Some(fields) = body.as_object_mut() {
        fields.remove("metadata");
    }
    body
}

enum Place {
    Fine,
    Absent(String),
    Conflict(Failure),
}

/// `ours` says whether `live` carries this run's label. Somebody else's class of the same make is as good.
fn place(object: &Object, live: Option<&Value>, ours: bool) -> Place {
    let name = &object.name;
    let Some(live) = live else { return Place::Absent(format!("there is no StorageClass {name}")) };
    match (difference(&fields(object), live), ours) {
        (None, false) => Place::Fine,
        (Some(path), false) => {
            let mut failure = foreign(&Kind::STORAGE_CLASS, None, name, live);
            failure.what = format!("{}; it differs at {path}", failure.what);
            Place::Conflict(failure)
        }
        (Some(path), true) => Place::Conflict(Failure::person(
            format!("StorageClass {name} differs from the plan at {path}, which can't be changed in place"),
            format!("kubectl delete storageclass {name} (its volumes stay), and the step makes it anew"),
        )),
        (None, true) => match difference(&object.body, live) {
            Some(path) => Place::Absent(format!("StorageClass {name} differs at {path}")),
            None => Place::Fine,
        },
    }
}

/// The failure when another class than [`DEFAULT`] is the default one, or none is.
fn wrong_default(classes: &[Value]) -> Option<Failure> {
    let defaults: Vec<&str> =
        classes.iter().filter(|c| text(c, DEFAULT_MARK) == "true").map(|c| text(c, "/metadata/name")).collect();
    let set = |name: &str, value: bool| {
        format!("kubectl annotate storageclass {name} --overwrite storageclass.kubernetes.io/is-default-class={value}")
    };
    let others: Vec<&str> = defaults.iter().copied().filter(|d| *d != DEFAULT).collect();
    match (others.as_slice(), defaults.contains(&DEFAULT)) {
        ([], true) => None,
        ([], false) => Some(Failure::person("no StorageClass is the default one", set(DEFAULT, true))),
        (others, _) => {
            let commands: Vec<String> = others.iter().map(|name| set(name, false)).collect();
            Some(Failure::person(
                format!("StorageClass {} is also the default one", others.join(", ")),
                commands.join("; "),
            ))
        }
    }
}

#[async_trait]
impl Step<Installation> for StorageClasses {
    fn outline(&self) -> &Outline {
        &self.outline
    }

    async fn observe(&self, cx: &dyn Context, site: &Reading) -> Result<Observed, Failure> {
        let listed = site.kubernetes()?.list(&Kind::STORAGE_CLASS, None, None).await;
        let listed = listed.map_err(|e| failures::kubernetes(&e, "list the StorageClasses"))?;
        let find = |name: &str| listed.value.iter().find(|c| text(c, "/metadata/name") == name);
        let mut absent = None;
        for object in objects(site) {
            let live = find(&object.name);
            match place(&object, live, live.is_some_and(|l| is_ours(site, l))) {
                Place::Fine => {}
                Place::Absent(why) => absent = absent.or(Some(why)),
                Place::Conflict(failure) => return Ok(Observed::Conflict(failure)),
            }
        }
        if let Some(why) = absent {
            return Ok(Observed::Absent(why));
        }
        if let Some(failure) = wrong_default(&listed.value) {
            return Ok(Observed::Conflict(failure));
        }
        let rows = listed.value.iter().map(|c| {
            json!({"name": c.pointer("/metadata/name"), "default": text(c, DEFAULT_MARK) == "true",
                "provisioner": c.get("provisioner"), "parameters": c.get("parameters")})
        });
        let summary = format!("local is the only default class, replicated keeps {} copies", copies(&site.plan));
        proven(summary, vec![seen(cx, &part(&listed, "name, default, provisioner, parameters", rows))])
    }

    async fn act(&self, _cx: &dyn Context, site: &Reading, change: &Changing) -> Result<(), Failure> {
        let reader = site.kubernetes()?;
        let mut missing = Vec::new();
        for object in objects(site) {
            let live = cluster::get(&reader, &object.kind, None, &object.name).await?;
            // One of the same make that somebody else brought is left as it is.
            if live.is_none_or(|l| is_ours(site, &l.value)) {
                missing.push(object);
            }
        }
        cluster::apply(change, &missing).await
    }

    fn undo(&self) -> Undo<'_, Installation> {
        Undo::With(crate::steps::day1::clone::KIND)
    }

    async fn changed(&self, cx: &dyn Context, site: &Reading) {
        follow::object(cx, site, &Kind::STORAGE_CLASS, None, None, Duration::from_secs(2)).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn local() -> Object {
        storage_classes("r.1", "data", 3).remove(0)
    }

    #[test]
    fn a_class_of_the_same_make_is_left_to_its_owner_and_another_make_is_a_conflict() {
        let object = local();
        let mut theirs = fields(&object);
        assert!(matches!(place(&object, Some(&theirs), false), Place::Fine));
        theirs["parameters"]["linstor.csi.linbit.com/storagePool"] = json!("other");
        let Place::Conflict(failure) = place(&object, Some(&theirs), false) else { panic!() };
        assert!(failure.what.contains("differs at parameters.linstor"), "{failure}");
        assert!(matches!(place(&object, Some(&theirs), true), Place::Conflict(f) if f.next.contains("kubectl delete")));
        assert!(matches!(place(&object, None, false), Place::Absent(_)));
    }

    #[test]
    fn our_class_without_its_default_mark_is_applied_again() {
        let object = local();
        let mut live = object.body.clone();
        assert!(matches!(place(&object, Some(&live), true), Place::Fine));
        live["metadata"]["annotations"] = json!({});
        assert!(matches!(place(&object, Some(&live), true), Place::Absent(_)));
    }

    #[test]
    fn exactly_one_class_may_be_the_default() {
        let class = |name: &str, default: bool| {
            json!({"metadata": {"name": name,
                "annotations": {"storageclass.kubernetes.io/is-default-class": default.to_string()}}})
        };
        assert!(wrong_default(&[class("local", true), class("proxmox", false)]).is_none());
        assert!(wrong_default(&[class("local", true), class("ceph", true)]).unwrap().what.contains("ceph"));
        assert!(wrong_default(&[class("local", false)]).unwrap().what.contains("no StorageClass"));
    }
}
