//! Answers to what a screen asks about one thing: its whole, or the end of its log. Nothing is changed and nothing is kept.
mod log;
mod raw;

pub use log::of_pod as log_of_pod;

use super::{AdminOf, ClusterOf, Observer, Parts};
use crate::base::text;
use crate::observed::{Answer, Asker, Matter, Object, Origin, Question, Told, Untold};
use crate::plan::Plan;
use crate::talos::Secure;
use crate::{kubernetes, proxmox, talos};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

/// All calls of one answer; of the wall.
const DEADLINE: Duration = Duration::from_secs(20);
/// Longest text of an answer, in bytes.
const LONGEST: usize = 64 << 10;
/// Lines of a log.
pub const LINES: u32 = 300;

/// The clients of what can be asked.
#[derive(Clone)]
struct Sources {
    cluster: ClusterOf,
    /// The rest of a run's site; a cluster that no run speaks of has none.
    site: Option<SiteOf>,
}

#[derive(Clone)]
struct SiteOf {
    plan: Arc<Plan>,
    proxmox: proxmox::Reader,
    admin: AdminOf,
}

impl Observer {
    /// Asks the site of the run about one thing.
    pub fn asker(&self) -> Asker {
        let Parts { plan, proxmox, admin, cluster, .. } = &self.parts;
        let site = SiteOf { plan: plan.clone(), proxmox: proxmox.clone(), admin: admin.clone() };
        asker(Sources { cluster: cluster.clone(), site: Some(site) })
    }
}

/// Asks a cluster that no run speaks of about one thing.
pub fn asker_of(reader: kubernetes::Reader) -> Asker {
    asker(Sources { cluster: Arc::new(move || Some(reader.clone())), site: None })
}

fn asker(sources: Sources) -> Asker {
    Asker(Arc::new(move |question| {
        let sources = sources.clone();
        Box::pin(async move {
            let answer = tokio::time::timeout(DEADLINE, answer(&sources, question)).await;
            answer.unwrap_or(Err(Untold::Silent))
        })
    }))
}

async fn answer(sources: &Sources, Question { matter, about }: Question) -> Answer {
    match (matter, about) {
        (Matter::Raw, Object::Node { name }) => {
            raw::object(&sources.cluster()?, &kubernetes::Kind::NODE, None, &name).await
        }
        (Matter::Raw, Object::Release { namespace, name }) => {
            raw::object(&sources.cluster()?, &kubernetes::Kind::HELM_RELEASE, Some(&namespace), &name).await
        }
        (Matter::Raw, Object::Pod { namespace, name }) => {
            raw::object(&sources.cluster()?, &kubernetes::Kind::POD, Some(&namespace), &name).await
        }
        (Matter::Log, Object::Pod { namespace, name }) => log::of_pod(&sources.cluster()?, &namespace, &name).await,
        (Matter::Raw, Object::Vm { vmid }) => raw::vm(&sources.site()?.proxmox, vmid).await,
        (Matter::Raw, Object::Machine { name }) => raw::machine(&sources.site()?.machine(&name).await?).await,
        (Matter::Log, Object::Machine { name }) => log::of_machine(&sources.site()?.machine(&name).await?).await,
        (Matter::Log, Object::Task { upid }) => log::of_task(&sources.site()?.proxmox, &upid).await,
        (Matter::Raw, Object::Task { .. })
        | (Matter::Log, Object::Node { .. } | Object::Release { .. } | Object::Vm { .. }) => Err(Untold::Nothing),
    }
}

impl Sources {
    fn cluster(&self) -> Result<kubernetes::Reader, Untold> {
        (self.cluster)().ok_or(Untold::NoAccess)
    }

    fn site(&self) -> Result<&SiteOf, Untold> {
        self.site.as_ref().ok_or(Untold::NoAccess)
    }
}

impl SiteOf {
    async fn machine(&self, name: &str) -> Result<Secure, Untold> {
        let node = self.plan.nodes.iter().find(|node| node.name == name).ok_or(Untold::Gone)?;
        let admin = (self.admin)().ok_or(Untold::NoAccess)?;
        Secure::connect(IpAddr::V4(node.address), &admin).await.map_err(|e| of_talos(&e))
    }
}

/// The beginning of a text of an object, cleaned.
fn beginning(origin: Origin, text: &str, by_hand: String) -> Told {
    let cut = text.len() > LONGEST;
    Told { origin, text: text::lines(text, LONGEST), cut, by_hand }
}

/// The end of a log, cleaned.
fn end(origin: Origin, text: &str, by_hand: String) -> Told {
    let clean = text::lines(text, usize::MAX);
    let lines = clean.lines().count();
    let skipped = lines.saturating_sub(LINES as usize);
    let mut kept = clean.lines().skip(skipped).collect::<Vec<_>>().join("\n");
    if kept.len() > LONGEST {
        let from = kept.ceil_char_boundary(kept.len() - LONGEST);
        // Half a line tells less than none, unless it is all there is.
        let whole = kept.get(from..).and_then(|rest| rest.split_once('\n').map(|(_, rest)| rest.to_string()));
        kept = whole.filter(|rest| !rest.is_empty()).unwrap_or_else(|| kept.split_off(from));
    }
    Told { origin, cut: kept.len() < clean.len() || lines >= LINES as usize, text: kept, by_hand }
}

fn of_kubernetes(error: &kubernetes::Error) -> Untold {
    match error {
        kubernetes::Error::NotFound => Untold::Gone,
        kubernetes::Error::Forbidden { text } => Untold::Forbidden { says: text::line(text) },
        kubernetes::Error::Kubeconfig { .. }
        | kubernetes::Error::Unreachable { .. }
        | kubernetes::Error::Untrusted { .. }
        | kubernetes::Error::Unauthorized
        | kubernetes::Error::Conflict { .. }
        | kubernetes::Error::Invalid { .. }
        | kubernetes::Error::Denied { .. }
        | kubernetes::Error::Webhook { .. }
        | kubernetes::Error::Gone
        | kubernetes::Error::Server { .. }
        | kubernetes::Error::Answer { .. } => Untold::Failed { says: text::line(&error.to_string()) },
    }
}

fn of_proxmox(error: &proxmox::Error) -> Untold {
    match error {
        proxmox::Error::NotFound { .. } | proxmox::Error::NoSuchTask => Untold::Gone,
        proxmox::Error::Forbidden { .. } => Untold::Forbidden { says: text::line(&error.to_string()) },
        proxmox::Error::Target { .. }
        | proxmox::Error::Unreachable { .. }
        | proxmox::Error::Certificate { .. }
        | proxmox::Error::NodeCertificate { .. }
        | proxmox::Error::Unauthorized { .. }
        | proxmox::Error::Busy { .. }
        | proxmox::Error::Locked { .. }
        | proxmox::Error::Server { .. }
        | proxmox::Error::InFront { .. }
        | proxmox::Error::Answer { .. }
        | proxmox::Error::Parameters { .. }
        | proxmox::Error::Exists { .. }
        | proxmox::Error::NoSuchNode { .. }
        | proxmox::Error::File { .. } => Untold::Failed { says: text::line(&error.to_string()) },
    }
}

fn of_talos(error: &talos::Error) -> Untold {
    Untold::Failed { says: text::line(&error.to_string()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_long_log_the_end_is_told_in_whole_lines_and_without_control_characters() {
        let all: String = (1..=400).map(|n| format!("\u{1b}[31mline {n}\n")).collect();
        let told = end(Origin::Kernel, &all, String::new());
        assert!(told.cut && !told.text.contains('\u{1b}'), "{}", told.text);
        assert_eq!(told.text.lines().count(), 300);
        assert!(told.text.ends_with("line 400"), "{}", told.text);
        let wide: String = (1..=20).map(|n| format!("{n} {}\n", "é".repeat(4000))).collect();
        let told = end(Origin::Kernel, &wide, String::new());
        assert!(told.cut && told.text.len() <= LONGEST, "{}", told.text.len());
        assert!(told.text.lines().all(|line| line.len() > 8000), "half a line is left");
        let one = end(Origin::Kernel, &"é".repeat(100_000), String::new());
        assert!(one.cut && !one.text.is_empty() && one.text.len() <= LONGEST);
        assert!(!end(Origin::Kernel, "short\n", String::new()).cut);
    }

    #[test]
    fn of_a_long_object_the_beginning_is_told() {
        let told = beginning(Origin::Api, &format!("kind: Pod\n{}", "x: y\n".repeat(100_000)), String::new());
        assert!(told.cut && told.text.len() <= LONGEST && told.text.starts_with("kind: Pod\n"));
    }
}
