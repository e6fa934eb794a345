//! The sentences about a backup.
use super::choice::Why;
use super::manifest::Manifest;
use super::show::Shown;
use super::take::{Progress, Taken};
use super::verify::{Difference, Verdict};
use crate::assess::missing;
use crate::base::text::{quoted, size};
use std::collections::BTreeMap;
use std::path::Path;

/// Differences and places that are told one by one.
const MOST: usize = 50;

/// `37 of 143 kinds, 12400 objects, 48.0 MiB; reading pods (2500)`
pub fn progress(of: &Progress) -> String {
    let reading = match of.of_it {
        0 => String::new(),
        n => format!("; reading {} ({n})", of.reading),
    };
    format!("{} of {} kinds, {} objects, {}{reading}", of.done, of.kinds, of.objects, size(of.bytes))
}

fn why(why: Why) -> &'static str {
    match why {
        Why::Events => "what happened; the server keeps it for an hour",
        Why::Leases => "who leads now",
        Why::Measured => "figures of a moment, which nobody stores",
        Why::StateOfNodes => "what nodes, drivers and the network write again of themselves",
        Why::Secrets => "--secrets takes them, encrypted",
    }
}

fn contents(of: &Manifest) -> Vec<String> {
    let kinds = of.kinds.iter().filter(|k| k.objects > 0).count();
    let owned: usize = of.kinds.iter().map(|k| k.owned).sum();
    let mut lines = vec![
        format!("cluster   {} (Kubernetes {}), read as {}", of.cluster.server, of.cluster.kubernetes, of.user),
        format!("read      from {} to {}", whole_seconds(of.began), whole_seconds(of.ended)),
        format!(
            "objects   {} of {kinds} kinds, {owned} of them made by a controller (*.owned.yaml); {} in {} files",
            of.objects(),
            size(of.bytes()),
            of.files().count()
        ),
    ];
    lines.push(match (&of.sealed_for, of.withheld()) {
        (None, n) => format!("secrets   none: Secrets were not asked for, and {n} values in other kinds that look like secrets are withheld"),
        (Some(key), n) => format!("secrets   encrypted for {key}; {n} values in other kinds that look like secrets are in the sealed copies alone"),
    });
    lines.push(match &of.etcd_of {
        Some(address) => format!("etcd      a snapshot of {address}, whole by its own digest, encrypted"),
        None => "etcd      none (--talosconfig with --secrets takes a snapshot)".to_string(),
    });
    let mut left: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for kind in &of.left_out {
        left.entry(why(kind.why)).or_default().push(&kind.resource);
    }
    lines.extend(left.into_iter().map(|(why, kinds)| format!("left out  {}: {why}", kinds.join(", "))));
    lines.extend(of.gaps.iter().map(|gap| format!("GAP       {}", missing(&gap.what, &gap.missing))));
    lines
}

fn whole_seconds(at: jiff::Timestamp) -> String {
    jiff::fmt::temporal::DateTimePrinter::new().precision(Some(0)).timestamp_to_string(&at)
}

/// What was made, in lines.
pub fn taken(of: &Taken, dir: &Path) -> String {
    let manifest = &of.manifest;
    let state = match manifest.gaps.len() {
        0 => "the backup is whole".to_string(),
        1 => "the backup is PARTIAL: 1 part is missing".to_string(),
        n => format!("the backup is PARTIAL: {n} parts are missing"),
    };
    let dir = quoted(&dir.display().to_string());
    let mut lines = vec![format!("{state}: {dir}")];
    lines.extend(contents(manifest));
    if of.from_before > 0 {
        lines.push(format!("resumed   {} kinds were whole from an earlier attempt", of.from_before));
    }
    lines.push(format!("requests  {}, nothing was changed in the cluster", of.calls));
    lines.push(
        "moment    each kind is as it was when it was read; only a snapshot of etcd shows one moment of all".into(),
    );
    lines.push(format!("check it  cozyup backup verify {dir} --digest {}", manifest.digest()));
    lines.push("          (keep this line elsewhere: with it any change can be told)".into());
    if !manifest.gaps.is_empty() {
        lines.push(
            "next      mend what the gaps name; the same command then reads these parts again and keeps the others"
                .into(),
        );
    }
    lines.join("\n")
}

fn difference(of: &Difference) -> String {
    match of {
        Difference::OtherDigest { wanted } => format!("CHANGED    the whole: its digest is not {wanted}"),
        Difference::Missing { path } => format!("MISSING    {path}"),
        Difference::Truncated { path, bytes, of } => format!("TRUNCATED  {path}: {bytes} of {of} bytes"),
        Difference::Changed { path } => format!("CHANGED    {path}"),
        Difference::Added { path } => format!("ADDED      {path}"),
        Difference::NoFile { path } => format!("NO FILE    {path}: a link, a folder or a device"),
        Difference::Unreadable { path, why } => format!("UNREADABLE {path}: {why}"),
    }
}

/// What a look at a backup found, in lines.
pub fn verified(of: &Verdict, with_digest: bool) -> String {
    let n = of.differences.len();
    let mut lines = match n {
        0 => vec![format!("every one of {} files is as it was written", of.manifest.files().count())],
        _ => vec![format!("NOT AS IT WAS WRITTEN: {n} differences")],
    };
    lines.extend(of.differences.iter().take(MOST).map(difference));
    if n > MOST {
        lines.push(format!("... and {} more", n - MOST));
    }
    lines.extend(contents(&of.manifest));
    if n > 0 {
        lines.push("next      do not restore from it: take another copy, or look who has changed it".into());
    } else if !with_digest {
        lines.push(format!("digest    {}", of.manifest.digest()));
        lines.push(
            "          (whoever changed files and manifest together is found by the digest that you kept: --digest)"
                .into(),
        );
    }
    lines.join("\n")
}

/// What a person has to know before the object is applied; `None` when nothing.
pub fn shown_note(of: &Shown) -> Option<String> {
    let mut notes = Vec::new();
    if !of.withheld.is_empty() {
        let places: Vec<&str> = of.withheld.iter().take(MOST).map(String::as_str).collect();
        let way = if of.is_sealed_too {
            "--secrets-key FILE shows the whole object"
        } else {
            "only a backup with --secrets has them"
        };
        notes.push(format!("NOT ready to be applied: these values are withheld ({way}): {}", places.join(", ")));
    }
    if of.is_owned {
        notes.push("a controller has made this object of another one, and makes it again: apply that one".to_string());
    }
    (!notes.is_empty()).then(|| notes.join("; "))
}
