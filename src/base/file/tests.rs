use super::*;

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

fn set(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

#[test]
fn a_private_file_is_for_its_owner_only_and_is_replaced_whole() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("a/b");
    private_dir(&folder).unwrap();
    let path = folder.join("token");
    write_private(&path, b"one").unwrap();
    write_private(&path, b"two").unwrap();
    assert_eq!(fs::read(&path).unwrap(), b"two");
    assert_eq!((mode(&path), mode(&folder)), (0o600, 0o700));
    assert_eq!(fs::read_dir(&folder).unwrap().count(), 1, "no temporary file is left");
}

#[test]
fn a_trap_in_the_place_of_the_half_written_file_is_never_written_through() {
    let dir = tempfile::tempdir().unwrap();
    let elsewhere = dir.path().join("elsewhere");
    fs::write(&elsewhere, "untouched").unwrap();
    let path = dir.path().join("token");
    std::os::unix::fs::symlink(&elsewhere, dir.path().join(format!(".token.{}.tmp", std::process::id()))).unwrap();
    write_private(&path, b"secret").unwrap();
    assert_eq!(fs::read(&elsewhere).unwrap(), b"untouched");
    assert_eq!((fs::read(&path).unwrap().as_slice(), mode(&path)), (b"secret".as_slice(), 0o600));
}

#[test]
fn what_others_could_read_is_repaired_with_a_word_and_what_they_could_change_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("run");
    private_dir(&folder).unwrap();
    assert_eq!(own_dir(&folder).unwrap(), None);
    set(&folder, 0o755);
    assert!(own_dir(&folder).unwrap().unwrap().contains("mode 755"));
    assert_eq!(mode(&folder), 0o700);
    set(&folder, 0o777);
    assert!(matches!(own_dir(&folder), Err(Unfit::Writable { mode: 0o777, .. })));
    set(&folder, 0o700);
    let file = folder.join("kubeconfig");
    fs::write(&file, "x").unwrap();
    set(&file, 0o644);
    assert!(own_entries(&folder).unwrap()[0].contains("kubeconfig could be read by others"));
    assert_eq!((mode(&file), own_entries(&folder).unwrap().len()), (0o600, 0));
    std::os::unix::fs::symlink("/etc/passwd", folder.join("link")).unwrap();
    let error = own_entries(&folder).unwrap_err();
    assert!(matches!(error, Unfit::Link { .. }) && error.next().contains("real file"), "{error}");
    let link = dir.path().join("other");
    std::os::unix::fs::symlink(&folder, &link).unwrap();
    assert!(private_dir(&link).unwrap_err().to_string().contains("symbolic link"));
}

#[test]
fn a_secret_is_read_only_from_a_file_of_ones_own_that_nobody_else_can_read() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("token");
    fs::write(&path, " value \n").unwrap();
    set(&path, 0o640);
    let error = read_private(&path).unwrap_err();
    assert!(matches!(error, Unfit::Readable { mode: 0o640, .. }) && error.next().contains("chmod 600"), "{error}");
    set(&path, 0o600);
    assert_eq!(read_private(&path).unwrap().expose(), "value");
    fs::write(&path, [0xff, 0xfe]).unwrap();
    assert!(matches!(read_private(&path), Err(Unfit::NoText { .. })));
    fs::write(&path, vec![b'x'; (1 << 20) + 1]).unwrap();
    assert!(matches!(read_private(&path), Err(Unfit::NoText { .. })));
    assert!(matches!(read_private(&dir.path().join("none")), Err(Unfit::Io { .. })));
    // A command that is pasted must not change the mode of everybody's device or folder.
    let link = dir.path().join("device");
    std::os::unix::fs::symlink("/dev/zero", &link).unwrap();
    for (other, what) in [(link.as_path(), "a device"), (Path::new("/tmp"), "a folder"), (dir.path(), "a folder")] {
        let error = read_private(other).unwrap_err();
        assert!(error.to_string().contains(what) && !error.next().contains("chmod"), "{error}: {}", error.next());
    }
    // Only root can make a file somebody else's.
    if rustix::process::geteuid().is_root() {
        std::os::unix::fs::chown(&path, Some(4711), None).unwrap();
        assert!(matches!(read_private(&path), Err(Unfit::Foreign { owner: 4711, .. })));
        assert!(matches!(own(&path), Err(Unfit::Foreign { .. })));
    }
}

#[test]
fn no_name_of_a_file_becomes_a_command() {
    let (path, owner, us, mode) = ("/a b;reboot".to_string(), 1, 2, 0o644);
    for unfit in [
        Unfit::Strange { path: path.clone() },
        Unfit::Foreign { path: path.clone(), owner, us },
        Unfit::Readable { path: path.clone(), mode },
        Unfit::Writable { path: path.clone(), mode },
        Unfit::OpenFile { path: path.clone(), by: "all".into(), mode },
        Unfit::OpenFolder { folder: path.clone(), path: path.clone(), by: "all".into(), mode, own: true },
        Unfit::ForeignFolder { folder: path.clone(), path: path.clone(), owner, us },
        Unfit::ForeignLink { link: path.clone(), path: path.clone(), owner, us },
    ] {
        assert!(unfit.next().contains("'/a b;reboot'"), "{}", unfit.next());
    }
}

#[test]
fn an_error_names_the_file() {
    let error = write_private(Path::new("/proc/cozyup/none"), b"x").unwrap_err();
    assert!(error.to_string().contains("/proc/cozyup/none"), "{error}");
}

/// harm.md S15
#[test]
fn a_pipe_is_read_once_and_not_waited_for_when_nothing_comes() {
    let dir = tempfile::tempdir().unwrap();
    let pipe = dir.path().join("pipe");
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let began = Instant::now();
    let silent = read_within(&pipe, 100, Duration::from_millis(50)).unwrap_err();
    assert!(matches!(silent, Unfit::Silent { .. }) && began.elapsed().as_secs() < 10, "{silent}");
    assert_eq!(read_regular(&pipe, 100), None);
    let writer = std::thread::spawn({
        let pipe = pipe.clone();
        move || fs::write(pipe, "version: 1\n").unwrap()
    });
    assert_eq!(read_within(&pipe, 100, Duration::from_secs(10)).unwrap(), b"version: 1\n");
    writer.join().unwrap();
    // A device that never ends is read up to the limit.
    assert_eq!(read_patiently(Path::new("/dev/zero"), 100).unwrap().len(), 101);
    assert_eq!(read_regular(Path::new("/dev/zero"), 100), None);
    let link = dir.path().join("link");
    std::os::unix::fs::symlink("/dev/zero", &link).unwrap();
    assert_eq!(read_regular(&link, 100), None);
    fs::write(dir.path().join("file"), "text").unwrap();
    assert_eq!(read_regular(&dir.path().join("file"), 100).as_deref(), Some("text"));
    assert_eq!(read_regular(&dir.path().join("file"), 3), None);
    assert_eq!(read_patiently(&dir.path().join("file"), 100).unwrap(), b"text");
    assert_eq!(read_text(&dir.path().join("file")).unwrap(), "text");
    assert!(matches!(read_text(Path::new("/dev/zero")), Err(Unfit::NoText { .. })));
}

/// harm.md S10
#[test]
fn a_folder_below_one_that_others_can_write_to_is_neither_made_nor_used() {
    let dir = tempfile::tempdir().unwrap();
    let open = dir.path().join("open");
    fs::create_dir(&open).unwrap();
    set(&open, 0o777);
    assert!(matches!(own_dir(&open.join("run")), Err(Unfit::OpenFolder { .. })));
    assert!(!open.join("run").exists());
    fs::write(open.join("token"), "secret").unwrap();
    set(&open.join("token"), 0o600);
    assert!(matches!(read_private(&open.join("token")), Err(Unfit::OpenFolder { .. })));
    assert!(private_dir(&open.join("run")).unwrap_err().to_string().contains("may be written to by everybody"));
}

#[test]
fn what_a_killed_write_left_is_removed() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join(".kubeconfig.17.tmp"), "half").unwrap();
    fs::write(dir.path().join("kubeconfig"), "whole").unwrap();
    remove_half_written(dir.path()).unwrap();
    let left: Vec<_> = fs::read_dir(dir.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert_eq!(left, ["kubeconfig"]);
}
