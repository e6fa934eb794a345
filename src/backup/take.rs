//! Reads every kind, page by page, and writes it as it comes: of the cluster one page is in memory at a time.
use super::choice::{self, Standing};
use super::document::Head;
use super::etcd;
use super::fault::Fault;
use super::folder::{Folder, SEALED, Sealing};
use super::manifest::{self, Cluster, FileKept, Gap, KindKept, LeftOut, Manifest};
use super::parts::{Class, Parts};
use super::ready::ready;
use super::withhold::withhold;
use crate::assess::snapshot::Missing;
use crate::base::file::write_private;
use crate::base::text::clean;
use crate::base::vault;
use crate::kubernetes::{Bounds, Credentials, Error, Kind, Pages, Reader, Served};
use crate::talos::secrets::Access;
use jiff::Timestamp;
use serde_json::Value;
use std::collections::BTreeSet;
use std::fs::File;
use std::net::IpAddr;
use std::path::Path;
use std::time::Duration;

/// Attempts to get one page, and the pause before the second.
const TRIES: u32 = 3;
const PAUSE: Duration = Duration::from_millis(500);

/// A backup that is wanted.
pub struct Order<'a> {
    pub reader: &'a Reader,
    pub who: &'a Credentials,
    pub dir: &'a Path,
    pub sealing: Sealing,
    /// The way to the machines, for etcd's snapshot.
    pub etcd: Option<&'a Access>,
    pub bounds: Bounds,
}

/// How far it is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Progress {
    pub done: usize,
    pub kinds: usize,
    pub objects: usize,
    pub bytes: u64,
    /// The kind that is being read, with the objects of it so far.
    pub reading: String,
    pub of_it: usize,
}

/// A backup that was made.
#[derive(Debug)]
pub struct Taken {
    pub manifest: Manifest,
    /// Kinds that an earlier attempt had read.
    pub from_before: usize,
    pub words: Vec<String>,
    pub calls: usize,
}

/// The bounds of one kind: far beyond any cluster, and an end for a server that has none.
pub fn bounds() -> Bounds {
    Bounds { objects: 180_000, pages: 1_500, bytes: 16 << 30, time: Duration::from_secs(3600) }
}

/// Makes the backup. `told` hears of each page.
///
/// # Errors
/// When it can't be begun, or not brought to its end: then what is whole stays, and the same order goes on with it. A kind
/// that can't be read is no error but a gap of the manifest.
pub async fn take(order: &Order<'_>, told: &mut impl FnMut(&Progress)) -> Result<Taken, Fault> {
    let cluster = identity(order).await?;
    let discovered = order.reader.discover().await?;
    let began = Timestamp::now();
    let folder = Folder::open(order.dir, &cluster, &order.sealing, began)?;
    let mut taking =
        Taking { order, from_before: folder.whole.len(), folder, progress: Progress::default(), gaps: Vec::new() };
    let silent = discovered.silent.into_iter().map(|(what, e)| Gap { what, missing: e.into() });
    taking.gaps.extend(silent);
    let (mut wanted, mut left_out) = (Vec::new(), Vec::new());
    for kind in discovered.kinds {
        match choice::left_out(&kind, taking.folder.recipient.is_some()) {
            Some(why) => left_out.push(LeftOut { resource: kind.resource(), why }),
            None => wanted.push(kind),
        }
    }
    taking.progress.kinds = wanted.len();
    for kind in &wanted {
        taking.kind(kind, told).await?;
    }
    let (etcd_of, mut others) = taking.etcd().await?;
    others.extend(taking.keys()?);
    taking.finish(cluster, left_out, etcd_of, others)
}

async fn identity(order: &Order<'_>) -> Result<Cluster, Fault> {
    let version = order.reader.version().await?.value;
    // Whoever may not read it has the address alone.
    let uid = match order.reader.get(&Kind::NAMESPACE, None, "kube-system").await {
        Ok(found) => found.and_then(|n| Some(clean(n.value.pointer("/metadata/uid")?.as_str()?))),
        Err(Error::Forbidden { .. }) => None,
        Err(e) => return Err(e.into()),
    };
    Ok(Cluster { server: order.who.server.clone(), uid, kubernetes: clean(&version.git_version) })
}

struct Taking<'a> {
    order: &'a Order<'a>,
    folder: Folder,
    progress: Progress,
    gaps: Vec<Gap>,
    from_before: usize,
}

impl Taking<'_> {
    /// One kind, unless it is whole already.
    async fn kind(&mut self, kind: &Served, told: &mut impl FnMut(&Progress)) -> Result<(), Fault> {
        let resource = kind.resource();
        if let Some(kept) = self.folder.whole.iter().find(|k| k.resource == resource) {
            self.progress.objects += kept.objects;
            self.progress.bytes += kept.files.iter().map(|f| f.bytes).sum::<u64>();
        } else {
            self.progress.reading.clone_from(&resource);
            let read = match self.read(kind, &resource, told).await {
                // The list was changed so much that its page is gone: from its beginning, once.
                Err(Fault::Api(Error::Gone)) => self.read(kind, &resource, told).await,
                read => read,
            };
            match read {
                Ok((kept, cut)) => {
                    self.progress.bytes += kept.files.iter().map(|f| f.bytes).sum::<u64>();
                    let missing = cut.map(|limit| Missing::Cut { limit: limit.into() });
                    self.gaps.extend(missing.map(|missing| Gap { what: resource, missing }));
                    self.folder.keep(kept)?;
                }
                // Nobody answers at all, or does not know us any more: the rest would be one gap.
                Err(Fault::Api(e @ (Error::Unreachable { .. } | Error::Unauthorized))) => return Err(e.into()),
                Err(Fault::Api(e)) => self.gaps.push(Gap { what: resource, missing: e.into() }),
                Err(e) => return Err(e),
            }
        }
        self.progress.done += 1;
        self.progress.of_it = 0;
        told(&self.progress);
        Ok(())
    }

    async fn read(
        &mut self,
        kind: &Served,
        resource: &str,
        told: &mut impl FnMut(&Progress),
    ) -> Result<(KindKept, Option<crate::kubernetes::Cut>), Fault> {
        let (dir, before) = (self.folder.dir.clone(), self.progress.objects);
        let recipient = self.folder.recipient.clone();
        let mut parts = Parts::begin(&dir, resource, recipient.as_ref())?;
        let mut kept = KindKept {
            resource: resource.to_string(),
            api_version: kind.api_version(),
            kind: kind.kind.clone(),
            namespaced: kind.namespaced,
            objects: 0,
            owned: 0,
            made_again: 0,
            withheld: 0,
            files: Vec::new(),
        };
        let mut pages = self.order.reader.pages(kind, None, &self.order.bounds).await;
        while let Some(page) = patiently(&mut pages).await? {
            for object in page {
                one(kind, object, recipient.is_some(), &mut kept, &mut parts)?;
            }
            self.progress.objects = before + kept.objects;
            self.progress.of_it = kept.objects;
            told(&self.progress);
        }
        kept.files = parts.finish()?;
        Ok((kept, pages.cut()))
    }

    /// etcd's snapshot, where there is access to it.
    async fn etcd(&mut self) -> Result<(Option<String>, Vec<FileKept>), Fault> {
        let (Some(access), Some(recipient)) = (self.order.etcd, self.folder.recipient.clone()) else {
            return Ok((None, Vec::new()));
        };
        let nodes = match addresses(self.order).await {
            Ok(nodes) => nodes,
            Err(e) => {
                self.gaps.push(Gap { what: "etcd".into(), missing: e.into() });
                return Ok((None, Vec::new()));
            }
        };
        match etcd::snapshot(&self.folder.dir, access, &recipient, &nodes).await {
            Ok((file, of)) => Ok((Some(of), vec![file])),
            Err(e @ (Fault::Talos(_) | Fault::Snapshot { .. })) => {
                let text = crate::base::text::line(&e.to_string());
                self.gaps.push(Gap { what: "etcd".into(), missing: Missing::Unanswered { text } });
                Ok((None, Vec::new()))
            }
            Err(e) => Err(e),
        }
    }

    /// The files that say for whom it is sealed.
    fn keys(&self) -> Result<Vec<FileKept>, Fault> {
        let names = vault::OWN.iter().map(|name| format!("{SEALED}/{name}"));
        names.filter(|path| self.folder.dir.join(path).exists()).map(|path| kept(&self.folder.dir, &path)).collect()
    }

    fn finish(
        self,
        cluster: Cluster,
        left_out: Vec<LeftOut>,
        etcd_of: Option<String>,
        others: Vec<FileKept>,
    ) -> Result<Taken, Fault> {
        let Taking { order, folder, gaps, from_before, .. } = self;
        let mut manifest = Manifest {
            schema: manifest::SCHEMA,
            made_by: env!("CARGO_PKG_VERSION").to_string(),
            cluster,
            user: order.who.user.clone(),
            began: folder.began,
            ended: Timestamp::now(),
            sealed_for: folder.recipient.as_ref().map(ToString::to_string),
            kinds: folder.whole.clone(),
            left_out,
            gaps,
            etcd_of,
            others,
        };
        manifest.kinds.sort_by(|a, b| a.resource.cmp(&b.resource));
        let sums: String = manifest.files().map(|f| format!("{}  {}\n", f.sha256, f.path)).collect();
        let path = folder.dir.join(manifest::SUMS);
        write_private(&path, sums.as_bytes()).map_err(Fault::io(&path))?;
        manifest.others.push(kept(&folder.dir, manifest::SUMS)?);
        let words = folder.words.clone();
        folder.finish(&manifest)?;
        Ok(Taken { manifest, from_before, words, calls: order.reader.calls() })
    }
}

fn kept(dir: &Path, path: &str) -> Result<FileKept, Fault> {
    let at = dir.join(path);
    let (bytes, sha256) = File::open(&at).and_then(super::digest_of).map_err(Fault::io(&at))?;
    Ok(FileKept { path: path.to_string(), bytes, sha256, objects: 0 })
}

async fn patiently(pages: &mut Pages<'_>) -> Result<Option<Vec<Value>>, Error> {
    let mut tried = 0;
    loop {
        tried += 1;
        match pages.next().await {
            Err(e) if e.is_transient() && e != Error::Gone && tried < TRIES => tokio::time::sleep(PAUSE * tried).await,
            read => return read,
        }
    }
}

/// Writes one object to where it belongs.
fn one(kind: &Served, mut object: Value, seals: bool, kept: &mut KindKept, parts: &mut Parts<'_>) -> Result<(), Fault> {
    let class = match choice::standing(kind, &object) {
        Standing::MadeAgain => {
            kept.made_again += 1;
            return Ok(());
        }
        Standing::Owned => Class::Owned,
        Standing::Own => Class::Own,
    };
    let text = |at: &str| object.pointer(at).and_then(Value::as_str).unwrap_or_default().to_string();
    let head = Head { name: text("/metadata/name"), namespace: namespace(&text("/metadata/namespace"))? };
    let Some(fields) = object.as_object_mut().filter(|_| !head.name.is_empty()) else {
        let text = format!("{}: an object without a name", kind.resource());
        return Err(Error::Answer { text }.into());
    };
    // Items of a list do not say what they are.
    fields.insert("apiVersion".into(), kind.api_version().into());
    fields.insert("kind".into(), kind.kind.clone().into());
    kept.objects += 1;
    kept.owned += usize::from(class == Class::Owned);
    if (kind.group.as_str(), kind.plural.as_str()) == ("", "secrets") {
        return parts.add(Class::Sealed, &head, &[], &ready(&kind.group, &kind.plural, object));
    }
    let whole = seals.then(|| object.clone());
    let places = if choice::describes_kinds(kind) { Vec::new() } else { withhold(&mut object) };
    kept.withheld += places.len();
    if let Some(whole) = whole.filter(|_| !places.is_empty()) {
        parts.add(Class::Sealed, &head, &[], &ready(&kind.group, &kind.plural, whole))?;
    }
    parts.add(class, &head, &places, &ready(&kind.group, &kind.plural, object))
}

/// A namespace names a file, so it has to be one.
fn namespace(text: &str) -> Result<String, Fault> {
    let is_one = text.len() <= 63 && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
    if is_one {
        return Ok(text.to_string());
    }
    Err(Error::Answer { text: format!("`{}` is not a namespace", clean(text)) }.into())
}

/// Addresses of the cluster's nodes.
async fn addresses(order: &Order<'_>) -> Result<BTreeSet<IpAddr>, Error> {
    let of = |node: Value| -> Option<Vec<IpAddr>> {
        let all = node.pointer("/status/addresses")?.as_array()?.iter();
        Some(all.filter_map(|a| a.get("address")?.as_str()?.parse().ok()).collect())
    };
    let walked = order.reader.walk(&Kind::NODE, None, &Bounds::default(), of).await?;
    Ok(walked.items.into_iter().flatten().collect())
}
