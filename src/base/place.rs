//! The way to a file: who could have a hand in it. Whoever may write to a folder, or owns it, can put another file or folder
//! in the place of any in it, whatever their own modes are. ssh and gpg look in the same way.
//!
//! Each folder from the root on has to belong to this user or to root, and may be written to by nobody else, unless its
//! sticky bit keeps others from what is not theirs (as in `/tmp`) or its group is the user's own. Links are followed and
//! each is judged as well: it belongs to whoever decides where it leads. Access lists are not looked at.
use super::file::Unfit;
use super::group;
use std::collections::VecDeque;
use std::ffi::OsString;
use std::fs::{self, Metadata};
use std::io::{self, ErrorKind};
use std::os::unix::fs::MetadataExt;
use std::path::{Component, Path, PathBuf};

const STICKY: u32 = 0o1000;
const GROUP_WRITES: u32 = 0o020;
const OTHERS_WRITE: u32 = 0o002;
/// As many as the kernel follows.
const MOST_LINKS: usize = 40;

/// Judges every folder on the way to `path`, not what lies there. A folder that does not exist yet passes.
///
/// # Errors
/// See [`Unfit`].
pub fn way_to(path: &Path) -> Result<(), Unfit> {
    Judge::new(path, None).walk(false)
}

/// [`way_to`], and what lies there: it has to be this user's or root's, and nobody else may write to it.
///
/// # Errors
/// See [`Unfit`].
pub fn whole(path: &Path) -> Result<(), Unfit> {
    Judge::new(path, None).walk(true)
}

/// [`whole`] for a file that a person names. Root by way of `sudo` is the person who called it: what that one owns is no
/// stranger's.
///
/// # Errors
/// See [`Unfit`].
pub fn named(path: &Path) -> Result<(), Unfit> {
    let caller = std::env::var("SUDO_UID").ok().and_then(|uid| uid.parse().ok());
    let is_root = rustix::process::geteuid().is_root();
    Judge::new(path, caller.filter(|_| is_root)).walk(true)
}

struct Judge<'a> {
    path: &'a Path,
    us: u32,
    /// Another user who counts as this user.
    also: Option<u32>,
}

impl<'a> Judge<'a> {
    fn new(path: &'a Path, also: Option<u32>) -> Judge<'a> {
        Judge { path, us: rustix::process::geteuid().as_raw(), also }
    }

    fn walk(&self, with_last: bool) -> Result<(), Unfit> {
        let from = std::env::current_dir().map_err(|e| self.unusable(Path::new("."), e));
        let path = if self.path.is_absolute() { self.path.to_path_buf() } else { from?.join(self.path) };
        let mut todo = parts(&path);
        let mut here = PathBuf::from("/");
        let mut links = 0;
        self.folder(&here, &self.seen(&here)?)?;
        while let Some(part) = todo.pop_front() {
            if part == ".." {
                here.pop();
                continue;
            }
            let at = here.join(&part);
            if todo.is_empty() && !with_last {
                return Ok(());
            }
            let found = match fs::symlink_metadata(&at) {
                Ok(found) => found,
                Err(e) if matches!(e.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => return Ok(()),
                Err(e) => return Err(self.unusable(&at, e)),
            };
            if found.is_symlink() {
                if !self.is_ours(found.uid()) {
                    let (link, path) = (shown(&at), shown(self.path));
                    return Err(Unfit::ForeignLink { link, path, owner: found.uid(), us: self.us });
                }
                links += 1;
                if links > MOST_LINKS {
                    return Err(self.unusable(&at, io::Error::other("too many symbolic links")));
                }
                let target = fs::read_link(&at).map_err(|e| self.unusable(&at, e))?;
                if target.is_absolute() {
                    here = PathBuf::from("/");
                }
                let mut rest = parts(&target);
                rest.append(&mut todo);
                todo = rest;
                continue;
            }
            match found.is_dir() {
                true => self.folder(&at, &found)?,
                false => self.file(&at, &found)?,
            }
            here = at;
        }
        Ok(())
    }

    fn folder(&self, at: &Path, found: &Metadata) -> Result<(), Unfit> {
        if !self.is_ours(found.uid()) {
            let (folder, path) = (shown(at), shown(self.path));
            return Err(Unfit::ForeignFolder { folder, path, owner: found.uid(), us: self.us });
        }
        if found.mode() & STICKY != 0 {
            return Ok(());
        }
        match writers(found) {
            None => Ok(()),
            Some(by) => Err(Unfit::OpenFolder {
                folder: shown(at),
                path: shown(self.path),
                by,
                mode: found.mode() & 0o7777,
                own: found.uid() == self.us,
            }),
        }
    }

    fn file(&self, at: &Path, found: &Metadata) -> Result<(), Unfit> {
        if !self.is_ours(found.uid()) {
            return Err(Unfit::Foreign { path: shown(at), owner: found.uid(), us: self.us });
        }
        // The modes of a pipe or a terminal say who may read from it or write to it, not who wrote what is read.
        match writers(found).filter(|_| found.is_file()) {
            None => Ok(()),
            Some(by) => Err(Unfit::OpenFile { path: shown(at), by, mode: found.mode() & 0o7777 }),
        }
    }

    fn is_ours(&self, owner: u32) -> bool {
        owner == self.us || owner == 0 || Some(owner) == self.also
    }

    fn seen(&self, at: &Path) -> Result<Metadata, Unfit> {
        fs::symlink_metadata(at).map_err(|e| self.unusable(at, e))
    }

    fn unusable(&self, at: &Path, source: io::Error) -> Unfit {
        Unfit::Io { path: shown(at), source }
    }
}

/// The users beside the owner who may write to it, if there are any.
fn writers(found: &Metadata) -> Option<String> {
    if found.mode() & OTHERS_WRITE != 0 {
        return Some("everybody".to_string());
    }
    let gid = found.gid();
    (found.mode() & GROUP_WRITES != 0 && !group::is_private(gid)).then(|| match group::name(gid) {
        Some(name) => format!("the group {name}"),
        None => format!("the group {gid}"),
    })
}

/// The names in a path, without the root and without what leads nowhere.
fn parts(path: &Path) -> VecDeque<OsString> {
    let named = path.components().filter_map(|part| match part {
        Component::Normal(name) => Some(name.to_os_string()),
        Component::ParentDir => Some("..".into()),
        Component::RootDir | Component::CurDir | Component::Prefix(_) => None,
    });
    named.collect()
}

fn shown(path: &Path) -> String {
    path.display().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{PermissionsExt, chown, symlink};

    fn set(path: &Path, mode: u32) {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }

    /// harm.md S10
    #[test]
    fn a_folder_on_the_way_that_others_can_write_to_is_refused_with_the_command_that_mends_it() {
        let dir = tempfile::tempdir().unwrap();
        let (outer, inner) = (dir.path().join("outer"), dir.path().join("outer/a/b"));
        fs::create_dir_all(&inner).unwrap();
        way_to(&inner.join("not/there/yet")).unwrap();
        for mode in [0o777, 0o757, 0o702] {
            set(&outer, mode);
            for path in [inner.clone(), inner.join("none"), outer.join("a/../a/b")] {
                let error = way_to(&path).unwrap_err();
                let said = error.to_string();
                assert!(matches!(error, Unfit::OpenFolder { .. }), "{said}");
                assert!(said.contains(&format!("mode {mode:o}")) && said.contains("everybody"), "{said}");
                assert!(error.next().contains(&format!("chmod go-w {}", outer.display())), "{}", error.next());
            }
        }
        // A sticky one is as good as /tmp.
        set(&outer, 0o1777);
        whole(&inner).unwrap();
        set(&outer, 0o755);
        set(&inner, 0o777);
        way_to(&inner).unwrap();
        assert!(matches!(whole(&inner), Err(Unfit::OpenFolder { .. })));
    }

    #[test]
    fn a_link_is_followed_and_what_it_leads_through_is_judged() {
        let dir = tempfile::tempdir().unwrap();
        let (open, fine) = (dir.path().join("open"), dir.path().join("fine"));
        fs::create_dir_all(open.join("inside")).unwrap();
        fs::create_dir(&fine).unwrap();
        set(&open, 0o777);
        symlink(open.join("inside"), fine.join("absolute")).unwrap();
        symlink("../open/inside", fine.join("relative")).unwrap();
        symlink("loop", fine.join("loop")).unwrap();
        for link in ["absolute", "relative"] {
            assert!(matches!(way_to(&fine.join(link).join("x")), Err(Unfit::OpenFolder { .. })), "{link}");
        }
        assert!(matches!(way_to(&fine.join("loop/x")), Err(Unfit::Io { .. })));
        // Pipes and terminals are reached over links that lead to no path.
        whole(Path::new("/dev/stdin")).unwrap();
        whole(Path::new("/dev/null")).unwrap();
    }

    /// harm.md S4
    #[test]
    fn what_another_user_owns_is_refused_folder_file_and_link() {
        // Only root can make a file somebody else's.
        if !rustix::process::geteuid().is_root() {
            return;
        }
        let dir = tempfile::tempdir().unwrap();
        let (folder, file, link) = (dir.path().join("folder"), dir.path().join("file"), dir.path().join("link"));
        fs::create_dir(&folder).unwrap();
        fs::write(&file, "x").unwrap();
        symlink(&file, &link).unwrap();
        whole(&link).unwrap();
        chown(&folder, Some(4711), None).unwrap();
        std::os::unix::fs::lchown(&link, Some(4711), None).unwrap();
        let error = way_to(&folder.join("x")).unwrap_err();
        assert!(matches!(error, Unfit::ForeignFolder { owner: 4711, .. }), "{error}");
        assert!(matches!(whole(&link), Err(Unfit::ForeignLink { owner: 4711, .. })));
        chown(&file, Some(4711), None).unwrap();
        assert!(matches!(whole(&file), Err(Unfit::Foreign { owner: 4711, .. })));
        // A group that is not root's own may not write either.
        let shared = dir.path().join("shared");
        fs::create_dir(&shared).unwrap();
        chown(&shared, None, Some(4711)).unwrap();
        set(&shared, 0o775);
        let error = way_to(&shared.join("x")).unwrap_err();
        assert!(error.to_string().contains("the group 4711"), "{error}");
    }

    #[test]
    fn a_file_that_everybody_can_write_to_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let plan = dir.path().join("plan.yaml");
        fs::write(&plan, "x").unwrap();
        set(&plan, 0o644);
        named(&plan).unwrap();
        set(&plan, 0o666);
        let error = named(&plan).unwrap_err();
        assert!(matches!(error, Unfit::OpenFile { .. }) && error.next().contains("chmod go-w"), "{error}");
    }
}
