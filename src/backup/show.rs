//! One object of a backup, ready to be applied.
use super::digest_of;
use super::document::{self, Document};
use super::fault::{Fault, within};
use super::folder::SEALED;
use super::manifest::{FileKept, KindKept, Manifest};
use crate::base::sealing;
use crate::base::secret::Secret;
use crate::base::text::clean;
use std::fs::{self, File};
use std::io::{BufReader, Seek, SeekFrom};
use std::path::{Path, PathBuf};

/// The object that a person names.
pub struct Wanted<'a> {
    /// `deployment`, `deployments`, `deployments.apps`
    pub kind: &'a str,
    pub name: &'a str,
    pub namespace: Option<&'a str>,
}

pub struct Shown {
    /// YAML, in which nothing is left that a terminal obeys.
    pub body: Secret<String>,
    /// Places of values that are not in it.
    pub withheld: Vec<String>,
    /// A controller has made it of another object, and makes it again.
    pub is_owned: bool,
    /// The whole object lies in the backup, encrypted, and no key was given.
    pub is_sealed_too: bool,
}

struct Found {
    document: Document,
    is_owned: bool,
}

/// Gives the key for the folder with what is sealed; `None` when nobody gives one.
pub type Unlock<'a> = dyn FnMut(&Path) -> Result<Option<Secret<String>>, String> + 'a;

/// `unlock` is asked only when the object can't be shown whole without it.
///
/// # Errors
/// When there is no such object, several have this name, its file was changed, or it is sealed and no key is given.
pub fn show(dir: &Path, wanted: &Wanted<'_>, unlock: &mut Unlock<'_>) -> Result<Shown, Fault> {
    let manifest = Manifest::read(dir)?;
    let kind = kind_of(&manifest, wanted.kind)?;
    let (sealed, plain): (Vec<&FileKept>, Vec<&FileKept>) = kind.files.iter().partition(|f| f.path.starts_with(SEALED));
    let mut found = Vec::new();
    for file in plain {
        let is_owned = file.path.ends_with(".owned.yaml");
        let documents = documents(dir, file, wanted, None)?;
        found.extend(documents.into_iter().map(|document| Found { document, is_owned }));
    }
    let is_whole = !found.is_empty() && found.iter().all(|f| f.document.withheld.is_empty());
    let mut is_sealed_too = false;
    if !is_whole && !sealed.is_empty() {
        match unlock(&dir.join(SEALED)).map_err(|why| Fault::Key { why })? {
            Some(identity) => {
                for file in sealed {
                    documents(dir, file, wanted, Some(&identity))?.into_iter().for_each(|d| replace(&mut found, d));
                }
            }
            None if found.is_empty() => return Err(Fault::Sealed),
            None => is_sealed_too = true,
        }
    }
    let Found { document, is_owned } = chosen(kind, wanted, found)?;
    Ok(Shown { body: Secret::new(document.body), withheld: document.withheld, is_owned, is_sealed_too })
}

/// The whole object takes the place of the one of which a part was withheld.
fn replace(found: &mut Vec<Found>, document: Document) {
    match found.iter_mut().find(|f| f.document.head == document.head) {
        Some(there) => there.document = document,
        None => found.push(Found { document, is_owned: false }),
    }
}

fn chosen(kind: &KindKept, wanted: &Wanted<'_>, mut found: Vec<Found>) -> Result<Found, Fault> {
    let (resource, name) = (kind.resource.clone(), clean(wanted.name));
    let Some(last) = found.pop() else { return Err(Fault::NoObject { resource, name }) };
    if found.is_empty() {
        return Ok(last);
    }
    let all = found.iter().chain([&last]).map(|f| clean(&f.document.head.namespace));
    let all = all.collect::<Vec<_>>().join(", ");
    Err(Fault::ManyNamespaces { resource, name, all })
}

/// By its kind, its plural, or its plural with the group.
fn kind_of<'a>(manifest: &'a Manifest, wanted: &str) -> Result<&'a KindKept, Fault> {
    let lower = wanted.to_ascii_lowercase();
    let plural = |k: &KindKept| k.resource.split('.').next().unwrap_or_default() == lower;
    let all: Vec<&KindKept> = manifest
        .kinds
        .iter()
        .filter(|k| k.resource == lower || plural(k) || k.kind.to_ascii_lowercase() == lower)
        .collect();
    let exact = all.iter().copied().find(|k| k.resource == lower);
    let with_objects: Vec<&KindKept> = all.iter().copied().filter(|k| k.objects > 0).collect();
    match (exact, with_objects.as_slice(), all.as_slice()) {
        (Some(kind), ..) => Ok(kind),
        (None, [kind], _) | (None, [], [kind, ..]) => Ok(kind),
        (None, [], []) => Err(Fault::NoKind { kind: clean(wanted) }),
        (None, many, _) => {
            let names: Vec<&str> = many.iter().map(|k| k.resource.as_str()).collect();
            Err(Fault::ManyKinds { kind: clean(wanted), all: names.join(", ") })
        }
    }
}

/// The objects with this name in one file, after a look whether the file is as it was written.
fn documents(
    dir: &Path,
    file: &FileKept,
    wanted: &Wanted<'_>,
    identity: Option<&Secret<String>>,
) -> Result<Vec<Document>, Fault> {
    if let Some(namespace) = wanted.namespace
        && !may_hold(&file.path, namespace)
    {
        return Ok(Vec::new());
    }
    let changed = |what| Fault::Changed { path: clean(&file.path), what };
    let path = within(dir, &file.path).ok_or_else(|| changed("its path leads elsewhere"))?;
    let mut opened = regular(&path).ok_or_else(|| changed("it is gone, or no file"))?;
    let io = Fault::io(&path);
    let (bytes, sum) = digest_of(&mut opened).map_err(&io)?;
    if bytes != file.bytes || sum != file.sha256 {
        return Err(changed("its SHA-256 is another one"));
    }
    opened.seek(SeekFrom::Start(0)).map_err(&io)?;
    let is_it =
        |head: &document::Head| head.name == wanted.name && wanted.namespace.is_none_or(|n| n == head.namespace);
    let from = BufReader::new(opened);
    match identity {
        None => document::find(from, is_it).map_err(&io),
        Some(identity) => {
            let open = sealing::open(from, identity).map_err(&io)?;
            document::find(BufReader::new(open), is_it).map_err(&io)
        }
    }
}

/// `tenant-a.yaml`, `tenant-a.2.owned.yaml`
fn may_hold(path: &str, namespace: &str) -> bool {
    let file = path.rsplit('/').next().unwrap_or_default();
    file.split('.').next() == Some(namespace)
}

fn regular(path: &PathBuf) -> Option<File> {
    let is_file = fs::symlink_metadata(path).is_ok_and(|found| found.is_file());
    is_file.then(|| File::open(path).ok()).flatten()
}
