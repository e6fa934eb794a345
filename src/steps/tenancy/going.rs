//! A tenant of the tests on its way out: what somebody else put into it, and what carries its name outside of its namespace.
use super::TestTenant;
use crate::base::text::shorten;
use crate::engine::failure::Failure;
use crate::engine::proof::Evidence;
use crate::engine::step::Context;
use crate::kubernetes::{Error, Kind};
use crate::steps::cluster::{is_ours, part, seen, text};
use crate::steps::failures;
use crate::steps::site::Reading;
use serde_json::{Value, json};

/// Kinds that people put into a tenant, and that would go with it.
const INHABITANTS: [Kind; 7] = [
    Kind::HELM_RELEASE,
    Kind::DEPLOYMENT,
    Kind::STATEFUL_SET,
    Kind::POD,
    Kind::PERSISTENT_VOLUME_CLAIM,
    Kind::SERVICE,
    Kind::INGRESS,
];

/// The refusal when somebody put something of theirs into the tenant; `is_of_the_tests` knows what the platform made for what the
/// run asked for.
///
/// # Errors
/// When the cluster can't be asked.
pub async fn inhabited(
    site: &Reading,
    tenant: &TestTenant,
    is_of_the_tests: impl Fn(&Value) -> bool,
) -> Result<Option<Failure>, Failure> {
    let namespace = tenant.namespace;
    let is_info = |o: &Value| text(o, "/metadata/labels/internal.cozystack.io~1tenantmodule") == "true";
    let mut others = Vec::new();
    for kind in INHABITANTS {
        let all = site.kubernetes()?.list(&kind, Some(namespace), None).await;
        let all = all.map_err(|e| failures::kubernetes(&e, &format!("look what is in {namespace}")))?;
        let theirs = all.value.iter().filter(|o| !is_ours(site, o) && !is_info(o) && !is_of_the_tests(o));
        others.extend(theirs.map(|o| format!("{} {}", kind.kind, text(o, "/metadata/name"))));
    }
    Ok((!others.is_empty()).then(|| {
        Failure::person(
            format!("tenant {} holds what this run did not make: {}", tenant.name, shorten(&others.join(", "), 400)),
            format!(
                "move it elsewhere, or delete it (kubectl -n {namespace} delete ...); the step then goes on by itself"
            ),
        )
    }))
}

/// What carries the tenants' names outside of their namespaces, and the readings that there is no more of it.
///
/// # Errors
/// When the cluster can't be asked.
pub async fn traces(
    cx: &dyn Context,
    site: &Reading,
    tenants: &[&TestTenant],
) -> Result<(Vec<String>, Vec<Evidence>), Failure> {
    let reader = site.kubernetes()?;
    let of_tenant = |o: &Value, pointer: &str| tenants.iter().any(|t| text(o, pointer).starts_with(t.namespace));
    let (mut left, mut readings) = (Vec::new(), Vec::new());
    for (kind, namespace, pointer) in [
        (Kind::NAMESPACE, None, "/metadata/name"),
        (Kind::CILIUM_WIDE_POLICY, None, "/metadata/name"),
        (Kind::HELM_RELEASE, Some("tenant-root"), "/metadata/name"),
        (Kind::INGRESS, None, "/metadata/namespace"),
    ] {
        let all = match reader.list(&kind, namespace, None).await {
            Ok(all) => all,
            // Nothing can be left of a kind that is not there.
            Err(Error::NotFound) => continue,
            Err(e) => return Err(failures::kubernetes(&e, &format!("list {}", kind.resource()))),
        };
        let rows: Vec<&Value> = all.value.iter().filter(|o| of_tenant(o, pointer)).collect();
        left.extend(rows.iter().map(|o| format!("{} {}", kind.kind, text(o, "/metadata/name"))));
        let shown = all.value.iter().map(|o| json!(text(o, "/metadata/name")));
        readings.push(seen(cx, &part(&all, "their names", shown)));
    }
    Ok((left, readings))
}
