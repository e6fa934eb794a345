//! The words about an inventory and about two of them.
use super::compare::{Change, Clusters, Comparison, Fate, Row};
use super::item::{Blocker, Engine, Gap, Inventory, Item, Readiness, SCHEMA, Sort, Way};
use crate::assess::render::{markdown_of, text_of};
use crate::assess::{Block, Mark, Page, Section, missing};
use crate::base::text::size;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

fn sort(sort: Sort) -> &'static str {
    match sort {
        Sort::Tenant => "tenant",
        Sort::Database => "database",
        Sort::Disk => "disk of a VM",
        Sort::Machine => "VM",
        Sort::Cluster => "cluster of a tenant",
        Sort::Volume => "volume",
        Sort::Workload => "workload",
        Sort::Address => "address",
        Sort::Ingress => "ingress",
    }
}

fn title(sort: Sort) -> &'static str {
    match sort {
        Sort::Tenant => "1 Tenants",
        Sort::Database => "2 Databases",
        Sort::Disk => "3 Disks of VMs",
        Sort::Machine => "4 VMs",
        Sort::Cluster => "5 Clusters of tenants",
        Sort::Volume => "6 Volumes",
        Sort::Workload => "7 Workloads",
        Sort::Address => "8 Addresses",
        Sort::Ingress => "9 Ingresses",
    }
}

fn engine(engine: Engine) -> &'static str {
    match engine {
        Engine::Postgres => "pg_dumpall, then psql",
        Engine::MariaDb => "mariadb-dump, then mariadb",
        Engine::Redis => "the RDB file (redis-cli --rdb), or filled anew where it is a cache",
        Engine::RabbitMq => "definitions exported and imported; queues drained first",
        Engine::Kafka => "MirrorMaker 2, then clients switched",
        Engine::ClickHouse => "BACKUP and RESTORE to object storage",
        Engine::FerretDb => "mongodump, then mongorestore",
        Engine::MongoDb => "mongodump, then mongorestore",
        Engine::Nats => "nats stream backup and restore",
        Engine::Etcd => "etcdctl snapshot save and restore",
        Engine::ObjectStore => "rclone sync of each bucket",
        Engine::OpenSearch => "a snapshot repository",
    }
}

fn way(way: Way) -> String {
    match way {
        Way::Apply => "apply its object there".into(),
        Way::Dump { engine: of } => format!("make it there, fill it by {}", engine(of)),
        Way::CopyDisk => "stop it, export its disk, import it there".into(),
        Way::CopyFiles => "copy its files by a pod at each end, while nobody writes".into(),
        Way::WithOwner => "with what it belongs to".into(),
        Way::Rebuild => "make it there anew, then move its contents like these".into(),
        Way::MoveAddress => "take it off here before it is given there".into(),
        Way::SwitchName => "make it there, then lead its names there (DNS)".into(),
    }
}

/// The same in two or three words, for a column.
fn short(of: Way) -> &'static str {
    match of {
        Way::Apply => "applied",
        Way::Dump { .. } => "dumped",
        Way::CopyDisk => "disk copied",
        Way::CopyFiles => "files copied",
        Way::WithOwner => "with its owner",
        Way::Rebuild => "made anew",
        Way::MoveAddress => "address moved",
        Way::SwitchName => "name led there",
    }
}

fn blocker(of: &Blocker) -> String {
    match of {
        Blocker::NotRunning { pods: 0 } => "it does not run, so nothing can be read out of it: it has no pods".into(),
        Blocker::NotRunning { pods } => {
            format!("it does not run, so nothing can be read out of it: none of {pods} pods is ready")
        }
        Blocker::ReleaseNotReady { reason } => format!("its HelmRelease is not Ready ({reason})"),
        Blocker::NotBound => "its claim has no volume".into(),
        Blocker::Orphaned => "nobody claims it; find out whose it is before it is left behind".into(),
        Blocker::NoMigration => "FerretDB v1: no migration does it, dump and restore by hand".into(),
        Blocker::OnOneNode => "it lies on one node, and is read there alone".into(),
        Blocker::ImageNotPulled { image } => format!("its image {image} can't be pulled"),
        Blocker::SameHost { host } => format!("another ingress has the name {host} too"),
    }
}

fn readiness(of: Readiness) -> String {
    match of {
        Readiness::Serves { items: 1 } => "NOT READY to be taken down: 1 thing still serves".into(),
        Readiness::Serves { items } => format!("NOT READY to be taken down: {items} things still serve"),
        Readiness::Unknown { gaps } => {
            format!(
                "UNKNOWN whether it can be taken down: nothing was seen that serves, and {gaps} parts could not be read"
            )
        }
        Readiness::Nothing { volumes: 0, idle: 0 } => "nothing is left that serves, and no volume of anybody".into(),
        Readiness::Nothing { volumes, idle } => format!(
            "nothing is left that serves; {volumes} volumes are left, which may hold data, and {idle} things that do not run"
        ),
    }
}

fn named(namespace: &str, name: &str) -> String {
    if namespace.is_empty() { name.to_string() } else { format!("{namespace}/{name}") }
}

fn traits(of: &Item) -> String {
    let t = &of.traits;
    let number = |name: &str, n: Option<u64>| n.map(|n| format!("{n} {name}{}", if n == 1 { "" } else { "s" }));
    let list = |list: &[String]| (!list.is_empty()).then(|| list.join(" "));
    let parts = [
        t.size.map(size),
        t.class.clone().filter(|c| !c.is_empty()),
        number("replica", t.replicas),
        number("core", t.cores),
        t.memory.map(size),
        t.version.clone(),
        list(&t.addresses),
        list(&t.hosts),
    ];
    parts.into_iter().flatten().collect::<Vec<_>>().join(", ")
}

/// The line that explains a word of the column.
fn told_way(of: &Item) -> String {
    let which = if matches!(of.way, Way::Dump { .. }) { format!(" ({})", of.resource) } else { String::new() };
    format!("{}{which}: {}", short(of.way), way(of.way))
}

fn table(of: &Inventory, which: Sort) -> Option<Section> {
    let items: Vec<&Item> = of.items.iter().filter(|i| i.sort == which).collect();
    items.first()?;
    let row = |item: &&Item| {
        let blocks = item.blockers.iter().map(blocker).collect::<Vec<_>>().join("; ");
        let serves = if item.serves { "serves" } else { "-" };
        let copy = if item.copy == 0 { "-".to_string() } else { size(item.copy) };
        let mut row =
            vec![named(&item.namespace, &item.name), item.resource.clone(), serves.into(), traits(item), copy];
        row.extend([item.owner.clone(), short(item.way).to_string()]);
        row.push(if blocks.is_empty() { "-".into() } else { blocks });
        row
    };
    let head = vec!["name", "kind", "state", "what", "to copy", "belongs to", "moves", "what stands against it"];
    let mut blocks = vec![Block::Table { head, rows: items.iter().map(row).collect() }];
    let ways: BTreeSet<String> = items.iter().map(|i| told_way(i)).collect();
    blocks.extend(ways.into_iter().map(Block::Line));
    Some(Section { title: title(which), blocks })
}

fn classes(of: &Inventory) -> Section {
    let mut classes: BTreeMap<&str, (usize, u64)> = BTreeMap::new();
    for item in of.items.iter().filter(|i| i.sort == Sort::Volume) {
        let class = item.traits.class.as_deref().filter(|c| !c.is_empty()).unwrap_or("(none)");
        let sum = classes.entry(class).or_default();
        sum.0 += 1;
        sum.1 = sum.1.saturating_add(item.traits.size.unwrap_or_default());
    }
    let rows = classes.into_iter().map(|(class, (n, bytes))| vec![class.to_string(), n.to_string(), size(bytes)]);
    let rows: Vec<_> = rows.collect();
    let blocks =
        if rows.is_empty() { vec![] } else { vec![Block::Table { head: vec!["class", "volumes", "size"], rows }] };
    Section { title: "Volumes by class", blocks }
}

fn gaps(title: &'static str, of: &[Gap]) -> Section {
    let entry = |gap: &Gap| Block::Entry {
        mark: Mark::Blocks,
        what: missing(&gap.what, &gap.missing),
        details: vec!["nobody knows what of it is there".into()],
    };
    Section { title, blocks: of.iter().map(entry).collect() }
}

fn left_out(of: &Inventory) -> Section {
    let rows: Vec<_> = of.left_out.iter().map(|n| vec![n.namespace.clone(), n.pods.to_string()]).collect();
    let table = (!rows.is_empty()).then(|| Block::Table { head: vec!["namespace of the platform", "pods"], rows });
    Section { title: "Not counted, since it goes with the cluster", blocks: table.into_iter().collect() }
}

fn page(of: &Inventory) -> Page {
    let copy = of.items.iter().fold(0_u64, |sum, i| sum.saturating_add(i.copy));
    let blocked = of.items.iter().filter(|i| !i.blockers.is_empty()).count();
    let counts: Vec<String> = Sort::ALL
        .iter()
        .map(|s| (of.items.iter().filter(|i| i.sort == *s).count(), *s))
        .filter(|(n, _)| *n > 0)
        .map(|(n, s)| format!("{n} x {}", sort(s)))
        .collect();
    let mut sections: Vec<Section> = Sort::ALL.iter().filter_map(|s| table(of, *s)).collect();
    sections.push(classes(of));
    sections.push(left_out(of));
    sections.push(gaps("Not known", &of.gaps));
    sections.retain(|s| !s.blocks.is_empty());
    Page {
        title: format!(
            "Inventory of {} (Kubernetes {}), {} requests, nothing was changed",
            of.server, of.kubernetes, of.calls
        ),
        lead: vec![
            readiness(of.readiness),
            if counts.is_empty() { "nothing of anybody was found".into() } else { counts.join(", ") },
            format!("at most {} to copy; something stands against {blocked} of {} things", size(copy), of.items.len()),
        ],
        sections,
    }
}

pub fn text(of: &Inventory) -> String {
    text_of(page(of))
}

pub fn markdown(of: &Inventory) -> String {
    markdown_of(page(of))
}

/// One object, of values alone; `inventory compare` reads it.
pub fn json(of: &Inventory) -> String {
    serde_json::to_string_pretty(of).unwrap_or_default()
}

/// A cell that no spreadsheet takes for a formula or for two cells.
fn cell(text: &str) -> String {
    let text = crate::base::text::clean(text);
    let formula = text.trim_start().starts_with(['=', '+', '-', '@', '＝', '＋', '－', '＠']);
    format!("\"{}{}\"", if formula { "'" } else { "" }, text.replace('"', "\"\""))
}

/// One line an item, in the order of a move; then one for each thing that could not be read.
pub fn csv(of: &Inventory) -> String {
    let head =
        "order,sort,kind,namespace,name,belongs to,serves,way,bytes to copy,stands against it,class,hosts,addresses";
    let line = |item: &Item| {
        let blocks = item.blockers.iter().map(blocker).collect::<Vec<_>>().join("; ");
        let class = item.traits.class.clone().unwrap_or_default();
        [
            item.sort.order().to_string(),
            cell(sort(item.sort)),
            cell(&item.resource),
            cell(&item.namespace),
            cell(&item.name),
            cell(&item.owner),
            item.serves.to_string(),
            cell(&way(item.way)),
            item.copy.to_string(),
            cell(&blocks),
            cell(&class),
            cell(&item.traits.hosts.join(" ")),
            cell(&item.traits.addresses.join(" ")),
        ]
        .join(",")
    };
    let gap = |gap: &Gap| {
        let why = cell(&missing(&gap.what, &gap.missing));
        format!(",\"not known\",{},,,,,,,{why},,,", cell(&gap.what))
    };
    let head = std::iter::once(head.to_string());
    head.chain(of.items.iter().map(line)).chain(of.gaps.iter().map(gap)).collect::<Vec<_>>().join("\n")
}

fn change(of: &Change) -> String {
    match of {
        Change::NoLongerServes => "it does not serve there".into(),
        Change::Smaller { old, new } => format!("SMALLER: {}, and it was {}", size(*new), size(*old)),
        Change::Larger { old, new } => format!("larger: {}, and it was {}", size(*new), size(*old)),
        Change::Class { old, new } => format!("class {new}, and it was {old}"),
        Change::Replicas { old, new } => format!("{new} replicas, and it were {old}"),
        Change::Cores { old, new } => format!("{new} cores, and it were {old}"),
        Change::Memory { old, new } => format!("memory {}, and it was {}", size(*new), size(*old)),
        Change::Version { old, new } => format!("version {new}, and it was {old}"),
        Change::Images { missing } => format!("not with the image {}", missing.join(", ")),
        Change::Hosts { missing } => format!("without the name {}", missing.join(", ")),
        Change::Addresses { missing } => format!("without the address {}", missing.join(", ")),
        Change::Ports { missing } => format!("without the port {}", missing.join(", ")),
    }
}

fn row(of: &Row) -> Option<Block> {
    let name = format!("{} {} ({})", sort(of.sort), named(&of.namespace, &of.name), of.resource);
    let (mark, what, details) = match &of.fate {
        Fate::Arrived => return None,
        Fate::Missing => (Mark::Blocks, format!("MISSING {name}"), vec![]),
        Fate::Unknown => (Mark::Warns, format!("UNKNOWN {name}: the new inventory could not read it"), vec![]),
        Fate::Changed { changes } => (Mark::Warns, format!("CHANGED {name}"), changes.iter().map(change).collect()),
    };
    Some(Block::Entry { mark, what, details })
}

fn compared_page(of: &Comparison) -> Page {
    let arrived = of.count(|f| *f == Fate::Arrived);
    let lead = format!(
        "{arrived} of {} have arrived, {} are other than they were, {} are missing, {} can't be told",
        of.rows.len(),
        of.count(|f| matches!(f, Fate::Changed { .. })),
        of.count(|f| *f == Fate::Missing),
        of.count(|f| *f == Fate::Unknown),
    );
    let mut notes = vec![format!("{} things are only in the new one", of.added)];
    notes.extend((of.orphans > 0).then(|| format!("{} volumes that nobody claims are not compared", of.orphans)));
    notes.push("what is in volumes and databases is not compared".to_string());
    let clusters = match of.clusters {
        Clusters::Two => None,
        Clusters::Same => {
            Some("BOTH ARE OF ONE CLUSTER: nothing has arrived elsewhere; this is what has changed in it")
        }
        Clusters::Unknown => {
            Some("NOT KNOWN whether these are two clusters: the namespace kube-system could not be read")
        }
    };
    let differences = Section { title: "Differences", blocks: of.rows.iter().filter_map(row).collect() };
    let notes = Section { title: "Beside it", blocks: notes.into_iter().map(Block::Line).collect() };
    let mut sections = vec![differences, notes];
    sections.push(gaps("Not read of the old one: what is in it may be missing, and nobody can tell", &of.old_gaps));
    sections.push(gaps("Not read of the new one", &of.new_gaps));
    sections.retain(|s| !s.blocks.is_empty());
    Page {
        title: "What has arrived".into(),
        lead: clusters.map(str::to_string).into_iter().chain([lead]).collect(),
        sections,
    }
}

pub fn compared_text(of: &Comparison) -> String {
    text_of(compared_page(of))
}

pub fn compared_markdown(of: &Comparison) -> String {
    markdown_of(compared_page(of))
}

/// A comparison, as JSON has it.
#[derive(Serialize)]
struct Report<'a> {
    schema: u32,
    kind: &'static str,
    has_all_arrived: bool,
    #[serde(flatten)]
    of: &'a Comparison,
}

pub fn compared_json(of: &Comparison) -> String {
    let all = Report { schema: SCHEMA, kind: "comparison", has_all_arrived: of.has_all_arrived(), of };
    serde_json::to_string_pretty(&all).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_no_formula_no_second_cell_and_no_second_line_of_a_table() {
        for hostile in ["=HYPERLINK(1)", "+1", "-1", "@x", "\t=1", "＝1"] {
            assert!(cell(hostile).starts_with("\"'"), "{}", cell(hostile));
        }
        assert_eq!(cell("a\",\"b\r\nc\u{1b}[2J").matches('\n').count(), 0);
        assert!(cell("a\",\"b").starts_with("\"a\"\",\"\"b") && !cell("\u{1b}[2J").contains('\u{1b}'));
        assert_eq!(cell("tenant-a"), "\"tenant-a\"");
    }
}
