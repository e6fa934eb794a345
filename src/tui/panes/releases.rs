//! HelmReleases as a tree: those with trouble first, under each the ones that it holds back, folded with how many wait behind
//! them; then those on their way; the ready ones in one line.
use super::worst::often;
use super::{Column, Grade, Item, Moment, Table, column, gap, pods, time_of_day};
use crate::base::clock::between;
use crate::base::text::quoted;
use crate::observed::{Backend, Belonging, Event, Object, Pod, Release, ReleaseState};
use crate::tui::model::observed::Observed;
use crate::tui::view::coarse;
use std::collections::{BTreeMap, BTreeSet};

static COLUMNS: [Column; 4] =
    [column("RELEASE", 24).grows(), column("STATE", 9), column("FOR", 6).right().rank(1), column("SAYS", 20).grows()];

/// Pods and warnings that are shown as the cause of one release.
const CAUSES: usize = 3;
/// Releases that hold others back or fail, of which the cause is shown.
const EXPLAINED: usize = 3;

/// `none_yet`: said before something was read.
pub fn table(observed: &Observed, moment: Moment, none_yet: &str) -> Table {
    let reading = observed.reading(&Backend::Kubernetes, moment.now, moment.wall);
    if let Some(it) = observed.gaps().and_then(|gaps| gaps.releases) {
        return Table::without(reading, &COLUMNS, gap(it, "HelmReleases"));
    }
    let Some(all) = observed.releases().filter(|all| all.total > 0) else {
        return Table::without(reading, &COLUMNS, none_yet);
    };
    let tree = Tree::of(&all.rows);
    let mut items = Vec::new();
    for (n, root) in tree.roots.iter().enumerate() {
        let pod = troubled(observed, root).first().map(|(_, pod)| pods::object(pod));
        items.push(tree.row(root, "", moment).logs(pod));
        if n < EXPLAINED && root.state.is_trouble() {
            items.extend(why(observed, root));
        }
        let children = tree.children(root);
        for (m, child) in children.iter().enumerate() {
            items.push(tree.row(child, if m + 1 == children.len() { "`- " } else { "|- " }, moment));
        }
    }
    if all.ready > 0 {
        let names: Vec<&str> =
            all.rows.iter().filter(|r| r.state == ReleaseState::Ready).map(|r| r.name.as_str()).collect();
        let text = format!("{} ready: {}", all.ready, names.join(" "));
        items.push(Item::line("ready", Grade::Good, 0, text.clone()).about(vec![("ready", text)]));
    }
    let unlisted = all.total.saturating_sub(all.rows.len());
    if unlisted > 0 {
        items.push(Item::line("unlisted", Grade::Quiet, 0, format!("and {unlisted} more")));
    }
    let troubled = if all.troubled > 0 { format!(", {} in trouble", all.troubled) } else { String::new() };
    Table::of(reading, &COLUMNS, format!("{}/{} ready{troubled}", all.ready, all.total), items)
}

fn full_name(release: &Release) -> String {
    format!("{}/{}", release.namespace, release.name)
}

struct Tree<'a> {
    /// Not ready, and held back by none that is listed: those that hold back most among their like first.
    roots: Vec<&'a Release>,
    /// By the name of who holds them back.
    held: BTreeMap<&'a str, Vec<&'a Release>>,
    /// Names that more than one namespace has.
    twice: BTreeSet<&'a str>,
}

impl<'a> Tree<'a> {
    fn of(rows: &'a [Release]) -> Tree<'a> {
        let open: Vec<&Release> = rows.iter().filter(|r| r.state != ReleaseState::Ready).collect();
        let there: BTreeSet<String> = open.iter().map(|r| full_name(r)).collect();
        let mut tree = Tree { roots: Vec::new(), held: BTreeMap::new(), twice: BTreeSet::new() };
        let mut names = BTreeSet::new();
        tree.twice.extend(rows.iter().map(|r| r.name.as_str()).filter(|name| !names.insert(*name)));
        for release in &open {
            match release.after.as_deref().filter(|after| there.contains(*after)) {
                Some(after) => tree.held.entry(after).or_default().push(release),
                None => tree.roots.push(release),
            }
        }
        tree.add_circles(&open);
        let mut roots = std::mem::take(&mut tree.roots);
        roots.sort_by_key(|r| (!r.state.is_trouble(), std::cmp::Reverse(tree.behind(r)), r.state));
        tree.roots = roots;
        tree
    }

    /// Releases that wait for each other in a circle hang under no root, and are shown all the same.
    fn add_circles(&mut self, open: &[&'a Release]) {
        for release in open {
            let mut at = *release;
            let mut seen = BTreeSet::new();
            while let Some(above) = at.after.as_deref().and_then(|after| open.iter().find(|r| full_name(r) == after)) {
                if !seen.insert(full_name(at)) {
                    let shown = self.roots.iter().any(|root| seen.contains(&full_name(root)));
                    if !shown {
                        self.roots.push(at);
                    }
                    break;
                }
                at = above;
            }
        }
    }

    fn children(&self, release: &Release) -> Vec<&'a Release> {
        let name = full_name(release);
        let mut children = self.held.get(name.as_str()).cloned().unwrap_or_default();
        children.sort_by_key(|r| (std::cmp::Reverse(self.behind(r)), r.name.as_str()));
        children
    }

    /// Releases that wait for this one, also through others.
    fn behind(&self, release: &Release) -> usize {
        let mut seen = BTreeSet::from([full_name(release)]);
        let mut open = vec![full_name(release)];
        while let Some(name) = open.pop() {
            for held in self.held.get(name.as_str()).into_iter().flatten() {
                if seen.insert(full_name(held)) {
                    open.push(full_name(held));
                }
            }
        }
        seen.len() - 1
    }

    fn row(&self, release: &Release, lead: &str, moment: Moment) -> Item {
        let full = full_name(release);
        let name = if self.twice.contains(release.name.as_str()) { &full } else { &release.name };
        let behind = self.behind(release);
        let folded = if lead.is_empty() || behind == 0 { String::new() } else { format!(" (+{behind})") };
        let age = release.since.map(|since| coarse(between(since, moment.now))).unwrap_or_default();
        let cells = vec![format!("{lead}{name}{folded}"), release.state.as_str().to_string(), age, self.says(release)];
        let item = Item::row(format!("release/{full}"), grade(release.state), cells);
        let object = Object::Release { namespace: release.namespace.clone(), name: release.name.clone() };
        item.shows(object).about(vec![
            ("release", full.clone()),
            ("state", release.state.as_str().to_string()),
            ("reason", release.reason.clone()),
            ("message", release.message.clone()),
            (
                "failed",
                match release.failures {
                    0 => String::new(),
                    1 => "once".to_string(),
                    n => format!("{n} times in a row"),
                },
            ),
            ("since", release.since.map(time_of_day).unwrap_or_default()),
            ("waits for", release.after.clone().unwrap_or_default()),
            ("holds back", if behind > 0 { format!("{behind} releases") } else { String::new() }),
            ("chart", release.revision.clone()),
            (
                "by hand",
                format!(
                    "kubectl -n {} describe helmreleases.helm.toolkit.fluxcd.io {}",
                    quoted(&release.namespace),
                    quoted(&release.name)
                ),
            ),
        ])
    }

    fn says(&self, release: &Release) -> String {
        let said = match release.state {
            ReleaseState::Failed => match release.failures {
                0 => release.reason.clone(),
                times => format!("{},{}", release.reason, often(times)),
            },
            ReleaseState::Stalled => format!("{}: Flux has given up", release.reason),
            ReleaseState::Suspended => "somebody suspended it".to_string(),
            ReleaseState::Hindered => release.reason.clone(),
            ReleaseState::Runs => "an attempt is under way".to_string(),
            ReleaseState::Waits | ReleaseState::New | ReleaseState::Unknown => match &release.after {
                Some(after) => return format!("waits for {}", after.rsplit('/').next().unwrap_or(after)),
                None if release.state == ReleaseState::Waits => release.reason.clone(),
                None => "not begun".to_string(),
            },
            ReleaseState::Ready => return String::new(),
        };
        // How much hangs on it comes first: the rest is also told elsewhere.
        match self.behind(release) {
            0 => said,
            behind => format!("holds back {behind}; {said}"),
        }
    }
}

fn grade(state: ReleaseState) -> Grade {
    match state {
        ReleaseState::Failed | ReleaseState::Stalled | ReleaseState::Suspended | ReleaseState::Hindered => Grade::Bad,
        ReleaseState::Runs => Grade::Moves,
        ReleaseState::Waits | ReleaseState::New | ReleaseState::Unknown => Grade::Quiet,
        ReleaseState::Ready => Grade::Good,
    }
}

/// Its pods that are not ready, and those of its namespace of which nothing tells whose they are. Of each those that have run first: they
/// tell more.
fn troubled<'a>(observed: &'a Observed, release: &Release) -> Vec<(Belonging, &'a Pod)> {
    let Some(all) = observed.releases() else { return Vec::new() };
    let pods = observed.pods().into_iter().flat_map(|pods| &pods.rows);
    let mut those: Vec<(Belonging, &Pod)> = pods.map(|pod| (all.of_pod(release, pod), pod)).collect();
    those.retain(|(belonging, _)| *belonging != Belonging::No);
    those.sort_by_key(|(belonging, pod)| (*belonging, pod.restarts == 0));
    those
}

/// Warnings of it and its pods, and those of its namespace of which nothing tells whose they are, the newest of each first.
fn warnings<'a>(observed: &'a Observed, release: &Release) -> Vec<(Belonging, &'a Event)> {
    let Some(all) = observed.releases() else { return Vec::new() };
    let events = observed.events().into_iter().flat_map(|events| &events.rows);
    let mut those: Vec<(Belonging, &Event)> =
        events.map(|event| (all.of_event(release, event, observed.pods()), event)).collect();
    those.retain(|(belonging, _)| *belonging != Belonging::No);
    those.sort_by_key(|(belonging, _)| *belonging);
    those
}

/// Said before what may be another release's.
fn whose(belonging: Belonging) -> &'static str {
    match belonging {
        Belonging::Own | Belonging::No => "",
        Belonging::Unknown => "in this namespace: ",
    }
}

/// The cause as far as it was observed: Flux's message, its pods that are not ready, its last warnings.
fn why(observed: &Observed, release: &Release) -> Vec<Item> {
    let key = full_name(release);
    let mut lines: Vec<(Grade, String, Option<Object>)> = Vec::new();
    if !release.message.is_empty() {
        lines.push((Grade::Bad, release.message.clone(), None));
    }
    for (belonging, pod) in troubled(observed, release).into_iter().take(CAUSES) {
        let restarts = if pod.restarts > 0 { format!(", {} restarts", pod.restarts) } else { String::new() };
        let node = if pod.node.is_empty() { String::new() } else { format!(" on {}", pod.node) };
        let text = format!("{}pod {} {}{node}{restarts}", whose(belonging), pod.name, pods::state(pod));
        lines.push((pods::grade(pod), text, Some(pods::object(pod))));
        let tails = observed.tails().into_iter().flat_map(|tails| &tails.rows);
        for tail in tails.filter(|tail| tail.namespace == pod.namespace && tail.pod == pod.name) {
            let said = tail.lines.iter().map(|line| format!("  {}: {line}", tail.container));
            lines.extend(said.map(|said| (Grade::Quiet, said, Some(pods::object(pod)))));
        }
    }
    for (belonging, event) in warnings(observed, release).into_iter().take(CAUSES) {
        let at = event.at.map(|at| format!("{} ", time_of_day(at))).unwrap_or_default();
        let times = if event.count > 1 { format!(" (x{})", event.count) } else { String::new() };
        let text = format!("{at}{}{}: {}{times}", whose(belonging), event.reason, event.message);
        lines.push((Grade::Warn, text, event.of.clone()));
    }
    let said = lines.into_iter().enumerate().map(|(n, (grade, text, about))| {
        let item = Item::line(format!("why/{key}/{n}"), grade, 4, text);
        match about {
            Some(object) => item.shows(object),
            None => item,
        }
    });
    said.collect()
}
