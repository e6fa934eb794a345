//! The words of a report: one page of sections, from which text, Markdown and HTML are laid out.
mod facts;
mod verdict;

pub use facts::told;

use super::assessment::{Assessment, Lack, Need};
use super::finding::Severity;
use super::snapshot::{Limit, Missing, What};
use super::upgrade::Way;
use crate::base::text::size;

/// One report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    pub title: String,
    /// The answer, first.
    pub lead: Vec<String>,
    pub sections: Vec<Section>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Section {
    pub title: &'static str,
    pub blocks: Vec<Block>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Block {
    Line(String),
    Entry { mark: Mark, what: String, details: Vec<String> },
    Table { head: Vec<&'static str>, rows: Vec<Vec<String>> },
}

/// The sign before an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mark {
    Blocks,
    Warns,
    Notes,
}

impl Mark {
    pub fn word(self) -> &'static str {
        match self {
            Mark::Blocks => "BLOCKS",
            Mark::Warns => "warns",
            Mark::Notes => "note",
        }
    }
}

/// The report of an assessment.
pub fn page(of: &Assessment) -> Page {
    let named = of.cluster.cozystack.as_ref().map_or("unknown version".to_string(), ToString::to_string);
    let all = [verdict::section(of), cluster(of), findings(of), way(of), nodes(of), storage(of), etcd(of), lacks(of)];
    Page {
        title: format!("Assessment: CozyStack {named} at {}", of.cluster.server),
        lead: verdict::lead(of),
        sections: all.into_iter().filter(|s| !s.blocks.is_empty()).collect(),
    }
}

fn days(days: Option<u64>) -> String {
    days.map_or("unknown".to_string(), |d| format!("{d} days"))
}

fn cluster(of: &Assessment) -> Section {
    let (cluster, counts) = (&of.cluster, of.counts);
    let or_unknown = |text: &str| if text.is_empty() { "unknown".to_string() } else { text.to_string() };
    let systems: Vec<String> = cluster.systems.iter().map(|(os, n)| format!("{} on {n}", or_unknown(os))).collect();
    let version = cluster.cozystack.as_ref().map(ToString::to_string).unwrap_or_default();
    let rows = [
        ("CozyStack", or_unknown(&version)),
        ("installer image", or_unknown(&cluster.image)),
        ("bundle", or_unknown(&cluster.bundle)),
        ("Kubernetes", or_unknown(&cluster.kubernetes)),
        ("systems", or_unknown(&systems.join(", "))),
        ("age of the cluster", days(cluster.age_days)),
        ("age of the platform", days(cluster.platform_age_days)),
        ("nodes", format!("{} of {} Ready", counts.nodes_ready, counts.nodes)),
        ("pods", format!("{} of {} fail", counts.pods_failing, counts.pods)),
        ("HelmReleases", format!("{} of {} Ready", counts.releases_ready, counts.releases)),
        ("tenants' namespaces", counts.tenants.to_string()),
        ("read as", format!("{}, {} requests, nothing was changed", or_unknown(&cluster.user), of.calls)),
    ];
    let rows = rows.into_iter().map(|(name, value)| vec![name.to_string(), value]).collect();
    Section { title: "The cluster", blocks: vec![Block::Table { head: vec!["what", "found"], rows }] }
}

fn findings(of: &Assessment) -> Section {
    let mark = |severity: Severity| match severity {
        Severity::Blocks => Mark::Blocks,
        Severity::Warns => Mark::Warns,
        Severity::Notes => Mark::Notes,
    };
    let mut blocks: Vec<Block> = Vec::new();
    for finding in &of.findings {
        let (what, mut details) = facts::told(&finding.fact);
        if let Some(cause) = finding.symptom_of {
            details.push(format!("follows from {cause}: it ends when that is repaired"));
        }
        let what = format!("{}: {what}", finding.rule);
        blocks.push(Block::Entry { mark: mark(finding.severity), what, details });
    }
    if blocks.is_empty() {
        blocks.push(Block::Line("Nothing was found in what could be read.".into()));
    }
    Section { title: "Findings", blocks }
}

fn way(of: &Assessment) -> Section {
    let target = of.target;
    let blocks = match &of.way {
        Way::There => vec![Block::Line(format!("The cluster runs {target} already."))],
        Way::Beyond => {
            vec![Block::Line(format!("The cluster runs a later version than {target}; there is no way back."))]
        }
        Way::TooOld => vec![Block::Line("From a version before v0.26 no way is known to cozyup.".into())],
        Way::Unknown => vec![Block::Line("Without the version of CozyStack no way can be told.".into())],
        Way::Ahead { minors, stops } => {
            let rows = stops.iter().enumerate().map(|(n, stop)| {
                let migrations: Vec<String> = stop.migrations.iter().map(|(n, what)| format!("{n} {what}")).collect();
                let migrations = if migrations.is_empty() { "none".to_string() } else { migrations.join("; ") };
                vec![
                    (n + 1).to_string(),
                    stop.version.to_string(),
                    stop.talos.to_string(),
                    "3 to 4.5".into(),
                    migrations,
                ]
            });
            vec![
                Block::Line(format!(
                    "{minors} minor versions in {} steps. After each: every HelmRelease Ready, etcd and LINSTOR well, and only \
                     then the next.",
                    stops.len()
                )),
                Block::Table { head: vec!["step", "CozyStack", "Talos", "hours", "migrations"], rows: rows.collect() },
            ]
        }
    };
    Section { title: "The way", blocks }
}

/// `3.5 of 8.0`
fn cores(asked: u64, of: u64) -> String {
    format!("{}.{} of {}.{}", asked / 1000, asked % 1000 / 100, of / 1000, of % 1000 / 100)
}

fn nodes(of: &Assessment) -> Section {
    let rows = of.nodes.iter().map(|n| {
        let ready = if n.ready { "Ready" } else { "not Ready" };
        vec![
            n.name.clone(),
            ready.to_string(),
            days(n.age_days),
            n.kubelet.clone(),
            n.pods.to_string(),
            cores(n.cpu_asked, n.cpu),
            format!("{} of {}", size(n.memory_asked), size(n.memory)),
        ]
    });
    let rows: Vec<_> = rows.collect();
    let head = vec!["node", "state", "age", "kubelet", "pods", "cores asked for", "memory asked for"];
    let blocks = if rows.is_empty() { vec![] } else { vec![Block::Table { head, rows }] };
    Section { title: "Capacity", blocks }
}

fn storage(of: &Assessment) -> Section {
    let rows = of.volumes.iter().map(|(name, class)| {
        let name = if name.is_empty() { "(none)" } else { name };
        vec![
            name.to_string(),
            class.volumes.to_string(),
            size(class.bytes),
            class.orphaned.to_string(),
            class.unmounted.to_string(),
        ]
    });
    let rows: Vec<_> = rows.collect();
    let head = vec!["class", "volumes", "size", "without a claim", "mounted by no pod"];
    let blocks = if rows.is_empty() { vec![] } else { vec![Block::Table { head, rows }] };
    Section { title: "Storage", blocks }
}

fn etcd(of: &Assessment) -> Section {
    let rows = of.etcd.iter().map(|m| {
        let state = m.fault.clone().unwrap_or_else(|| format!("{} members", m.members));
        vec![m.address.clone(), m.talos.clone(), state, size(m.database)]
    });
    let rows: Vec<_> = rows.collect();
    let head = vec!["address", "Talos", "state", "database"];
    let blocks = if rows.is_empty() { vec![] } else { vec![Block::Table { head, rows }] };
    Section { title: "etcd", blocks }
}

/// What a reading is called.
fn name(what: What) -> &'static str {
    match what {
        What::Nodes => "nodes",
        What::Pods => "pods",
        What::Releases => "helmreleases.helm.toolkit.fluxcd.io",
        What::Installer => "the Deployment cozy-system/cozystack",
        What::Settings => "the ConfigMap cozy-system/cozystack",
        What::Migration => "the ConfigMap cozy-system/cozystack-version",
        What::Sources => "helmrepositories.source.toolkit.fluxcd.io",
        What::SandboxEvents => "events",
        What::Volumes => "persistentvolumes",
        What::Claims => "persistentvolumeclaims",
        What::Satellites => "linstorsatellites.piraeus.io",
        What::Certificates => "certificates.cert-manager.io",
        What::Backups => "backups.velero.io and backups.postgresql.cnpg.io",
        What::Etcd => "etcd",
    }
}

/// What nobody knows without it.
fn loses(what: What) -> &'static str {
    match what {
        What::Nodes => "whether the nodes are Ready and have room",
        What::Pods => "which pods fail and why",
        What::Releases => "whether the platform's components are well, and what is in use",
        What::Installer => "which version runs",
        What::Settings => "which bundle is installed",
        What::Migration => "which migrations have run",
        What::Sources => "whether Flux can fetch charts",
        What::SandboxEvents => "whether pods get their network",
        What::Volumes => "how much data there is, and which volumes nobody uses",
        What::Claims => "which claims wait for a volume",
        What::Satellites => "whether LINSTOR's nodes are well",
        What::Certificates => "which certificates end",
        What::Backups => "whether there is a backup",
        What::Etcd => "whether etcd is well and how large it is",
    }
}

fn limit(limit: Limit) -> String {
    match limit {
        Limit::Objects(n) => format!("{n} objects"),
        Limit::Pages(n) => format!("{n} answers"),
        Limit::Bytes(n) => size(n as u64),
        Limit::Seconds(n) => format!("{n} seconds"),
    }
}

/// The reason why a reading is missing, in a sentence that begins with its name.
pub fn missing(what: &str, why: &Missing) -> String {
    match why {
        Missing::NotServed => format!("{what}: the API server serves no such kind"),
        Missing::Forbidden { text } => format!("{what}: these credentials may not read it ({text})"),
        Missing::Unanswered { text } => format!("{what}: no answer ({text})"),
        Missing::Unusable { text } => format!("{what}: no usable answer ({text})"),
        Missing::Empty => format!("{what}: the list is empty, as it never is in a living cluster"),
        Missing::NoAccess => format!("{what}: --talosconfig gives access to it"),
        Missing::Cut { limit: at } => format!("{what}: the list goes on; reading ended after {}", limit(*at)),
    }
}

fn lack(of: &Lack) -> Block {
    let why = missing(name(of.what), &of.missing);
    let mark = match of.need {
        Need::Always => Mark::Blocks,
        Need::ForGo => Mark::Warns,
        Need::Nice => Mark::Notes,
    };
    Block::Entry { mark, what: why, details: vec![format!("not known: {}", loses(of.what))] }
}

fn lacks(of: &Assessment) -> Section {
    let mut blocks: Vec<Block> = of.lacks.iter().map(lack).collect();
    if of.lacks.iter().all(|l| l.what != What::Satellites) && of.cluster.cozystack.is_some() {
        // DRBD's state is in LINSTOR alone, whose API is not reached from outside.
        blocks.push(Block::Line(
            "Not read: the state of each DRBD volume (`linstor resource list` in cozy-linstor shows it).".into(),
        ));
    }
    Section { title: "Not known", blocks }
}
