//! Signs a text with a person's ssh key. `ssh-keygen` does it, so the key and its passphrase never come into this process; the
//! signature is checked again before it is taken.
use crate::base::file::{read_text, write_private};
use crate::base::text::{clean, shorten};
use std::fs::DirBuilder;
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

const PROGRAM: &str = "ssh-keygen";
/// What the signature is for; one of another namespace is none for a report.
pub const NAMESPACE: &str = "cozyup-report";
/// Longest answer of the program that is shown, in bytes.
const SHOWN: usize = 400;

/// A folder of our own, which goes with the value.
struct Folder(PathBuf);

impl Folder {
    fn make() -> io::Result<Folder> {
        let mut n = 0_u32;
        loop {
            let path = std::env::temp_dir().join(format!("cozyup-signing-{}-{n}", std::process::id()));
            match DirBuilder::new().mode(0o700).create(&path) {
                Ok(()) => return Ok(Folder(path)),
                Err(e) if e.kind() == io::ErrorKind::AlreadyExists && n < 100 => n += 1,
                Err(e) => return Err(e),
            }
        }
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // What stays is a text that is no secret, in a folder that nobody else may enter.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// The signature, as `ssh-keygen -Y verify` reads it. `key` is a file with a private key, or with the public one of a key that
/// the user's agent has; a passphrase is asked for at the terminal.
///
/// # Errors
/// With what went wrong and what to do about it.
pub fn signature(text: &[u8], key: &Path) -> Result<String, String> {
    let failed = |e: io::Error| {
        format!("the text can't be laid down for {PROGRAM}: {e}\nnext: make room in {}", std::env::temp_dir().display())
    };
    let folder = Folder::make().map_err(failed)?;
    let (file, signed) = (folder.0.join("report"), folder.0.join("report.sig"));
    write_private(&file, text).map_err(failed)?;
    let mut sign = Command::new(PROGRAM);
    sign.args(["-Y", "sign", "-n", NAMESPACE, "-f"]).arg(key).arg(&file);
    // The terminal, for a passphrase.
    told(sign.stdin(Stdio::inherit()).output(), || format!("{} did not sign it", key.display()))?;
    let signature =
        read_text(&signed).map_err(|e| format!("{PROGRAM} left no signature: {e}\nnext: sign it by hand"))?;
    let text = std::fs::File::open(&file).map_err(failed)?;
    let mut check = Command::new(PROGRAM);
    check.args(["-Y", "check-novalidate", "-n", NAMESPACE, "-s"]).arg(&signed).stdin(text);
    told(check.output(), || "the signature that was made does not fit the text".to_string())?;
    Ok(signature)
}

/// What the program said, when it did not do it.
fn told(done: io::Result<Output>, what: impl Fn() -> String) -> Result<(), String> {
    match done {
        Ok(output) if output.status.success() => Ok(()),
        Ok(output) => {
            let said = String::from_utf8_lossy(&output.stderr);
            let said = shorten(&clean(said.trim()), SHOWN);
            Err(format!(
                "{}: {said}\nnext: give the private key of an ssh key, or its public one where the agent has it",
                what()
            ))
        }
        Err(e) => Err(format!(
            "{PROGRAM} can't be run: {e}\nnext: install OpenSSH's client (8.1 or newer), or sign elsewhere"
        )),
    }
}
