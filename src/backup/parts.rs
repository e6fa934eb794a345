//! The files of one kind while they are written: in a folder of their own, which gets its name when the kind is whole.
use super::document::{self, Head};
use super::fault::Fault;
use super::manifest::FileKept;
use super::ready::Ready;
use super::{Hashing, folder};
use crate::base::sealing::{Recipient, Sealed};
use std::collections::BTreeMap;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// The file's name for objects without a namespace; no namespace has it.
const CLUSTER: &str = "_cluster";

/// A kind of file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Class {
    Own,
    Owned,
    Sealed,
}

type Raw = Hashing<BufWriter<File>>;

enum Writer {
    Plain(Raw),
    Sealed(Sealed<Raw>),
}

impl Write for Writer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Writer::Plain(raw) => raw.write(bytes),
            Writer::Sealed(sealed) => sealed.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Writer::Plain(raw) => raw.flush(),
            Writer::Sealed(sealed) => sealed.flush(),
        }
    }
}

/// A file that is open.
struct Open {
    namespace: String,
    path: PathBuf,
    file: String,
    objects: usize,
    writer: Writer,
}

/// The files of one kind. A server sends objects by namespace, so one file of each class is open at a time.
pub struct Parts<'a> {
    dir: &'a Path,
    resource: &'a str,
    recipient: Option<&'a Recipient>,
    open: BTreeMap<Class, Open>,
    /// How often a file's name was used: a server that comes back to a namespace gets a second file for it.
    used: BTreeMap<String, usize>,
    made: Vec<(Class, FileKept)>,
}

impl<'a> Parts<'a> {
    /// What an earlier attempt left of this kind is removed.
    ///
    /// # Errors
    /// The operating system's.
    pub fn begin(dir: &'a Path, resource: &'a str, recipient: Option<&'a Recipient>) -> Result<Parts<'a>, Fault> {
        for top in [folder::OBJECTS, folder::SEALED] {
            for name in [part(resource), resource.to_string()] {
                folder::remove_dir(&dir.join(top).join(name))?;
            }
        }
        Ok(Parts { dir, resource, recipient, open: BTreeMap::new(), used: BTreeMap::new(), made: Vec::new() })
    }

    /// # Errors
    /// The operating system's: most often, a disk that is full.
    pub fn add(&mut self, class: Class, head: &Head, withheld: &[String], of: &Ready) -> Result<(), Fault> {
        if self.open.get(&class).is_none_or(|open| open.namespace != head.namespace) {
            self.close(class)?;
            let opened = self.open(class, &head.namespace)?;
            self.open.insert(class, opened);
        }
        let Some(open) = self.open.get_mut(&class) else { return Ok(()) };
        open.objects += 1;
        document::write(&mut open.writer, head, withheld, of).map_err(Fault::io(&open.path))
    }

    fn open(&mut self, class: Class, namespace: &str) -> Result<Open, Fault> {
        let namespace_or = if namespace.is_empty() { CLUSTER } else { namespace };
        let (top, ending) = match class {
            Class::Own => (folder::OBJECTS, "yaml"),
            Class::Owned => (folder::OBJECTS, "owned.yaml"),
            Class::Sealed => (folder::SEALED, "yaml.age"),
        };
        let times = self.used.entry(format!("{namespace_or}.{ending}")).or_default();
        *times += 1;
        let again = if *times > 1 { format!(".{times}") } else { String::new() };
        let file = format!("{namespace_or}{again}.{ending}");
        let dir = self.dir.join(top).join(part(self.resource));
        let path = dir.join(&file);
        let made = DirBuilder::new().recursive(true).mode(0o700).create(&dir);
        let opened = made.and_then(|()| OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path));
        let raw = Hashing::new(BufWriter::new(opened.map_err(Fault::io(&path))?));
        let writer = match (class, self.recipient) {
            (Class::Sealed, Some(recipient)) => Writer::Sealed(recipient.seal(raw).map_err(Fault::io(&path))?),
            (Class::Sealed, None) => return Err(Fault::Sealed),
            (Class::Own | Class::Owned, _) => Writer::Plain(raw),
        };
        Ok(Open { namespace: namespace.to_string(), path, file, objects: 0, writer })
    }

    fn close(&mut self, class: Class) -> Result<(), Fault> {
        let Some(Open { path, file, objects, writer, .. }) = self.open.remove(&class) else { return Ok(()) };
        let raw = match writer {
            Writer::Plain(raw) => raw,
            Writer::Sealed(sealed) => sealed.finish().map_err(Fault::io(&path))?,
        };
        let (bytes, sha256, buffered) = raw.finish();
        // A disk that fills may say so only here.
        buffered.into_inner().map_err(|e| Fault::io(&path)(e.into_error()))?;
        let top = if class == Class::Sealed { folder::SEALED } else { folder::OBJECTS };
        let kept = FileKept { path: format!("{top}/{}/{file}", self.resource), bytes, sha256, objects };
        self.made.push((class, kept));
        Ok(())
    }

    /// Gives the folders their names.
    ///
    /// # Errors
    /// The operating system's.
    pub fn finish(mut self) -> Result<Vec<FileKept>, Fault> {
        for class in [Class::Own, Class::Owned, Class::Sealed] {
            self.close(class)?;
        }
        for top in [folder::OBJECTS, folder::SEALED] {
            let from = self.dir.join(top).join(part(self.resource));
            if from.exists() {
                let to = self.dir.join(top).join(self.resource);
                fs::rename(&from, &to).map_err(Fault::io(&to))?;
            }
        }
        Ok(self.made.into_iter().map(|(_, file)| file).collect())
    }
}

/// The name of a kind's folder while it is not whole; no kind has it.
fn part(resource: &str) -> String {
    format!(".{resource}.part")
}
