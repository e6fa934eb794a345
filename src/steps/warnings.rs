//! The cluster's own warnings about an object that is waited for: the driver's words stand nowhere else.
use super::cluster::text;
use super::site::Reading;
use super::{causes, failures, volumes};
use crate::base::text::{clean, shorten};
use crate::engine::failure::{Class, Failure};
use crate::engine::step::Observed;
use crate::engine::wait::Wait;
use crate::kubernetes::Kind;
use crate::proxmox::Cause;
use serde_json::Value;

/// The wait, with the last warning about one of these objects of the namespace.
///
/// # Errors
/// When the events can't be listed.
pub async fn beside(site: &Reading, namespace: &str, names: &[&str], mut wait: Wait) -> Result<Wait, Failure> {
    let events = site.kubernetes()?.list(&Kind::EVENT, Some(namespace), None).await;
    let events = events.map_err(|e| failures::kubernetes(&e, &format!("list the events of {namespace}")))?;
    if let Some(warning) = last(&events.value, names) {
        wait.seen = format!("{}; {warning}", wait.seen);
    }
    Ok(wait)
}

/// As [`beside`], for a volume of this class that is waited for. What Proxmox VE refuses its driver, and no waiting mends, is for a
/// person; the driver goes on trying.
///
/// # Errors
/// Such a refusal; or the events can't be listed.
pub async fn of_volume(
    site: &Reading,
    namespace: &str,
    name: &str,
    class: &str,
    wait: Wait,
) -> Result<Observed, Failure> {
    let wait = beside(site, namespace, &[name], wait).await?;
    match (class == volumes::PROXMOX).then(|| refused(&wait)).flatten() {
        Some(failure) => Err(failure),
        None => Ok(Observed::Underway(wait)),
    }
}

fn refused(wait: &Wait) -> Option<Failure> {
    let cause = Cause::of(&wait.seen);
    let failure = causes::failure(cause, format!("{}: {}", wait.condition, wait.seen));
    let is_known = cause != Cause::Unknown && failure.class != Class::Retryable;
    is_known.then_some(Failure { class: Class::Person, ..failure })
}

/// `VolumeResizeFailed: resize volume …`
fn last(events: &[Value], names: &[&str]) -> Option<String> {
    let about = |e: &&Value| text(e, "/type") == "Warning" && names.contains(&text(e, "/involvedObject/name"));
    let latest = events.iter().filter(about).max_by_key(|e| text(e, "/lastTimestamp").to_string())?;
    let said = format!("{}: {}", text(latest, "/reason"), text(latest, "/message"));
    Some(shorten(&clean(&said), 300))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::wait::Band;
    use serde_json::json;

    #[test]
    fn what_proxmox_refuses_the_driver_for_good_is_for_a_person_and_what_passes_is_waited_for() {
        let wait = |seen: &str| Wait::new("a pod writes", seen, Band::new(1, 2));
        let full = "Pending; ProvisioningFailed: failed to provision volume: rpc error: code = Internal desc = lvcreate \
                    'pve/vm-9999-pvc-1' error: Cannot create new thin volume, free space in thin pool pve/data reached threshold.";
        let failure = refused(&wait(full)).unwrap();
        assert!(failure.class == Class::Person && failure.what.contains("thin pool"), "{failure:?}");
        assert!(failure.next.contains("integration.csi.storage"), "{failure:?}");
        for passing in
            ["Running", "Pending: Unschedulable", "FailedAttachVolume: VM is locked (backup)", "ContainerCreating"]
        {
            assert_eq!(refused(&wait(passing)), None, "{passing}");
        }
    }

    #[test]
    fn the_last_warning_about_the_object_itself_is_told() {
        let event = |kind: &str, name: &str, at: &str, message: &str| {
            json!({"type": kind, "reason": "VolumeResizeFailed", "message": message, "lastTimestamp": at,
                "involvedObject": {"name": name}})
        };
        let all = [
            event("Warning", "volume-a", "2026-01-01T00:00:02Z", "403\u{1b}[2J no"),
            event("Warning", "volume-a", "2026-01-01T00:00:01Z", "older"),
            event("Warning", "volume-b", "2026-01-01T00:00:03Z", "another"),
            event("Normal", "volume-a", "2026-01-01T00:00:04Z", "fine"),
        ];
        let told = last(&all, &["volume-a"]).unwrap();
        assert!(told.starts_with("VolumeResizeFailed: 403") && !told.contains('\u{1b}'), "{told}");
        assert_eq!(last(&all, &["volume-c"]), None);
    }
}
