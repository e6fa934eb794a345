//! The folder of a run's secrets: plain files for their owner only, or sealed, each file encrypted with age.
//!
//! ```text
//! plain    kubeconfig        secrets.yaml ...
//! sealed   kubeconfig.age    secrets.yaml.age ...    recipient (the public key that seals them)
//!                                                    identity.age (its private key, under a passphrase; not there when
//!                                                    the key is a file of the user's own)
//! ```
//! Nothing in it is of our own making: `age -d -i identity.age kubeconfig.age` opens it without cozyup. The passphrase is
//! asked once a start; the key that it opens lives in the worker's memory only.
use super::file::{self, Unfit};
use super::secret::Secret;
use age::secrecy::{ExposeSecret, SecretString};
use age::x25519::{Identity, Recipient};
use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

const RECIPIENT: &str = "recipient";
const IDENTITY: &str = "identity.age";
/// Files of the vault itself: without them new secrets would be written plain.
pub const OWN: [&str; 2] = [RECIPIENT, IDENTITY];
const ENDING: &str = "age";
/// `AGE-SECRET-KEY-1...`, as `age-keygen` writes it.
const KEY_BEGINS: &str = "AGE-SECRET-KEY-1";
/// Binary logarithm of the work for one guess of a passphrase: about a second on a small machine, as age itself has it.
pub const WORK: u8 = 18;
/// More than this is an attack on patience.
const MOST_WORK: u8 = 22;

#[derive(Debug, thiserror::Error)]
pub enum VaultError {
    #[error("the secrets in {dir} are sealed")]
    Sealed { dir: String },
    #[error("this key or passphrase does not open the secrets in {dir}")]
    WrongKey { dir: String },
    #[error("the secrets in {dir} are not sealed")]
    NotSealed { dir: String },
    #[error("the secrets in {dir} are sealed already")]
    SealedAlready { dir: String },
    #[error("{path} can't be opened: {why}")]
    Damaged { path: String, why: String },
    #[error("can't encrypt: {why}")]
    Encrypt { why: String },
    #[error(transparent)]
    Unfit(#[from] Unfit),
    #[error(transparent)]
    Io(#[from] io::Error),
}

impl VaultError {
    /// The next action for a person.
    pub fn next(&self) -> String {
        match self {
            VaultError::Sealed { .. } => {
                "start it on a terminal and type the passphrase, or give --secrets-key FILE with the key or the passphrase"
                    .to_string()
            }
            VaultError::WrongKey { .. } => "try again with the key or passphrase that sealed them".to_string(),
            VaultError::NotSealed { .. } => "`cozyup secrets seal` seals them".to_string(),
            VaultError::SealedAlready { .. } => "to change the key: `cozyup secrets unseal`, then seal anew".to_string(),
            VaultError::Damaged { path, .. } => {
                format!("restore {path} from a backup, or let the step that writes it run again")
            }
            VaultError::Encrypt { .. } => "report this with the text above".to_string(),
            VaultError::Unfit(unfit) => unfit.next(),
            VaultError::Io(_) => "make room, or mend the permissions of the state folder".to_string(),
        }
    }
}

/// The key of a sealed folder, as it came from a person.
#[derive(Debug, Clone)]
pub enum Key {
    /// An age key of the user's own.
    Identity(Secret<String>),
    Passphrase(Secret<String>),
}

impl Key {
    /// A key file as `age-keygen` writes it, or a passphrase.
    pub fn of_text(text: &Secret<String>) -> Key {
        let key = text.expose().lines().map(str::trim).find(|line| line.starts_with(KEY_BEGINS));
        match key {
            Some(key) => Key::Identity(Secret::new(key.to_string())),
            None => Key::Passphrase(Secret::new(text.expose().trim().to_string())),
        }
    }
}

/// The folder with what it takes to use it.
#[derive(Clone)]
pub struct Vault {
    dir: PathBuf,
    seal: Seal,
}

#[derive(Clone)]
enum Seal {
    None,
    /// Sealed, and nobody has given the key.
    Closed,
    Open(Box<(Identity, Recipient)>),
}

impl Vault {
    /// The folder as it is; `identity` is what [`unlock`] gave. A sealing that was cut off is brought to its end.
    ///
    /// # Errors
    /// When the folder is sealed with another key.
    pub fn open(dir: &Path, identity: Option<&Secret<String>>) -> Result<Vault, VaultError> {
        let seal = match (recipient(dir)?, identity) {
            (None, _) => Seal::None,
            (Some(_), None) => Seal::Closed,
            (Some(recipient), Some(identity)) => {
                let identity = parsed(identity).filter(|i| i.to_public() == recipient);
                let identity = identity.ok_or_else(|| VaultError::WrongKey { dir: shown(dir) })?;
                seal_plain(dir, &recipient)?;
                Seal::Open(Box::new((identity, recipient)))
            }
        };
        Ok(Vault { dir: dir.to_path_buf(), seal })
    }

    /// The path of the secret `name`, which need not exist.
    pub fn path(&self, name: &str) -> PathBuf {
        match self.seal {
            Seal::None => self.dir.join(name),
            Seal::Closed | Seal::Open(_) => sealed_path(&self.dir, name),
        }
    }

    pub fn holds(&self, name: &str) -> bool {
        self.path(name).exists()
    }

    /// # Errors
    /// When it is not there, not for its owner only, or can't be decrypted.
    pub fn read(&self, name: &str) -> Result<Secret<String>, VaultError> {
        let path = self.path(name);
        // Others can't have put it there, or the run would not have begun; but a copy may have come back with other modes.
        file::own(&path)?;
        match &self.seal {
            Seal::None => {
                let text = fs::read_to_string(&path)
                    .map_err(|e| VaultError::Damaged { path: shown(&path), why: e.to_string() })?;
                Ok(Secret::new(text))
            }
            Seal::Closed => Err(VaultError::Sealed { dir: shown(&self.dir) }),
            Seal::Open(keys) => Ok(opened(&path, &keys.0)?),
        }
    }

    /// Writes it whole or not at all (mode 0600); into a sealed folder nothing goes in the clear.
    ///
    /// # Errors
    /// When the disk refuses, or the folder is sealed and its key was not given.
    pub fn keep(&self, name: &str, secret: &Secret<String>) -> Result<(), VaultError> {
        let path = self.path(name);
        match &self.seal {
            Seal::None => file::write_private(&path, secret.expose().as_bytes())?,
            Seal::Closed => return Err(VaultError::Sealed { dir: shown(&self.dir) }),
            Seal::Open(keys) => file::write_private(&path, &sealed(secret.expose().as_bytes(), &keys.1)?)?,
        }
        Ok(())
    }
}

/// True when a key is needed for `dir`.
///
/// # Errors
/// When what says so can't be read.
pub fn is_sealed(dir: &Path) -> Result<bool, VaultError> {
    Ok(recipient(dir)?.is_some())
}

/// True when a passphrase opens it, and not a key file of the user's own.
pub fn wants_passphrase(dir: &Path) -> bool {
    dir.join(IDENTITY).exists()
}

/// The key of a sealed folder, proven to be the right one.
///
/// # Errors
/// [`VaultError::WrongKey`] when `key` does not open it.
pub fn unlock(dir: &Path, key: &Key) -> Result<Secret<String>, VaultError> {
    let recipient = recipient(dir)?.ok_or_else(|| VaultError::NotSealed { dir: shown(dir) })?;
    let wrong = || VaultError::WrongKey { dir: shown(dir) };
    let identity = match key {
        Key::Identity(identity) => identity.clone(),
        Key::Passphrase(passphrase) => {
            let path = dir.join(IDENTITY);
            if !path.exists() {
                return Err(wrong());
            }
            file::own(&path)?;
            let mut guess = age::scrypt::Identity::new(SecretString::from(passphrase.expose().as_str()));
            guess.set_max_work_factor(MOST_WORK);
            let text = age::decrypt(&guess, &fs::read(&path)?).map_err(|_| wrong())?;
            Secret::new(String::from_utf8(text).map_err(|_| wrong())?)
        }
    };
    let fits = parsed(&identity).is_some_and(|i| i.to_public() == recipient);
    if fits { Ok(identity) } else { Err(wrong()) }
}

/// Seals the folder and everything in it. With a passphrase a new key is made and kept under it; `work` is [`WORK`] but in
/// tests. A crash in between leaves a folder that the next [`Vault::open`] seals to its end.
///
/// # Errors
/// When it is sealed already, or the disk refuses.
pub fn seal(dir: &Path, key: &Key, work: u8) -> Result<(), VaultError> {
    if is_sealed(dir)? {
        return Err(VaultError::SealedAlready { dir: shown(dir) });
    }
    remove_leftovers(dir)?;
    let identity = match key {
        Key::Identity(identity) => parsed(identity).ok_or_else(|| VaultError::WrongKey { dir: shown(dir) })?,
        Key::Passphrase(passphrase) => {
            let identity = Identity::generate();
            let mut lock = age::scrypt::Recipient::new(SecretString::from(passphrase.expose().as_str()));
            lock.set_work_factor(work);
            let text = identity.to_string();
            let kept = age::encrypt(&lock, text.expose_secret().as_bytes()).map_err(|e| unable(&e))?;
            file::write_private(&dir.join(IDENTITY), &kept)?;
            identity
        }
    };
    let recipient = identity.to_public();
    file::write_private(&dir.join(RECIPIENT), format!("{recipient}\n").as_bytes())?;
    seal_plain(dir, &recipient)
}

/// Brings the plain files back.
///
/// # Errors
/// When `identity` is not the folder's, or the disk refuses.
pub fn unseal(dir: &Path, identity: &Secret<String>) -> Result<(), VaultError> {
    let vault = Vault::open(dir, Some(identity))?;
    let Seal::Open(keys) = &vault.seal else { return Err(VaultError::NotSealed { dir: shown(dir) }) };
    let names = names(dir)?;
    let all = names.iter().filter(|n| *n != IDENTITY).filter_map(|n| n.strip_suffix(".age"));
    // First all of them, then the seal: cut off in between, the folder is still sealed and nothing is lost.
    for name in all.clone() {
        let text = opened(&sealed_path(dir, name), &keys.0)?;
        file::write_private(&dir.join(name), text.expose().as_bytes())?;
    }
    remove(&dir.join(RECIPIENT))?;
    remove(&dir.join(IDENTITY))?;
    for name in all {
        remove(&sealed_path(dir, name))?;
    }
    Ok(())
}

/// Names of the secrets in the folder, sealed or not.
///
/// # Errors
/// When it can't be listed.
pub fn list(dir: &Path) -> Result<Vec<String>, VaultError> {
    let mut all: Vec<String> = names(dir)?
        .into_iter()
        .filter(|n| n != RECIPIENT && n != IDENTITY && !n.starts_with('.'))
        .map(|n| n.strip_suffix(".age").map_or(n.clone(), str::to_string))
        .collect();
    all.sort();
    all.dedup();
    Ok(all)
}

/// Without a recipient the plain files are the ones that count; an unsealing that was cut off leaves sealed copies of them.
fn remove_leftovers(dir: &Path) -> Result<(), VaultError> {
    for name in names(dir)? {
        let Some(plain) = name.strip_suffix(".age").filter(|_| name != IDENTITY) else { continue };
        if !dir.join(plain).exists() {
            let why = format!("it is gone, and {name} was sealed for it");
            return Err(VaultError::Damaged { path: shown(&dir.join(RECIPIENT)), why });
        }
        remove(&dir.join(name))?;
    }
    Ok(())
}

fn seal_plain(dir: &Path, recipient: &Recipient) -> Result<(), VaultError> {
    for name in names(dir)? {
        if name == RECIPIENT || name.starts_with('.') || name.ends_with(".age") {
            continue;
        }
        let (plain, closed) = (dir.join(&name), sealed_path(dir, &name));
        // When both exist, the sealed one is whole: it gets its name only when it is complete.
        if !closed.exists() {
            let bytes = Zeroizing::new(fs::read(&plain)?);
            file::write_private(&closed, &sealed(&bytes, recipient)?)?;
        }
        remove(&plain)?;
    }
    Ok(())
}

fn names(dir: &Path) -> io::Result<Vec<String>> {
    fs::read_dir(dir)?.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned())).collect()
}

fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(e) if e.kind() != ErrorKind::NotFound => Err(e),
        Ok(()) | Err(_) => Ok(()),
    }
}

fn recipient(dir: &Path) -> Result<Option<Recipient>, VaultError> {
    let path = dir.join(RECIPIENT);
    let text = match fs::read_to_string(&path) {
        Err(e) if e.kind() == ErrorKind::NotFound => return Ok(None),
        text => text?,
    };
    let damaged = |why: &'static str| VaultError::Damaged { path: shown(&path), why: why.to_string() };
    text.trim().parse().map(Some).map_err(damaged)
}

fn parsed(identity: &Secret<String>) -> Option<Identity> {
    identity.expose().trim().parse().ok()
}

fn sealed(bytes: &[u8], recipient: &Recipient) -> Result<Vec<u8>, VaultError> {
    age::encrypt(recipient, bytes).map_err(|e| unable(&e))
}

fn opened(path: &Path, identity: &Identity) -> Result<Secret<String>, VaultError> {
    let damaged = |why: String| VaultError::Damaged { path: shown(path), why };
    let bytes = fs::read(path).map_err(|e| damaged(e.to_string()))?;
    let text = age::decrypt(identity, &bytes).map_err(|e| damaged(e.to_string()))?;
    String::from_utf8(text).map(Secret::new).map_err(|_| damaged("it holds no text".to_string()))
}

fn unable(e: &age::EncryptError) -> VaultError {
    VaultError::Encrypt { why: e.to_string() }
}

fn sealed_path(dir: &Path, name: &str) -> PathBuf {
    dir.join(format!("{name}.{ENDING}"))
}

fn shown(path: &Path) -> String {
    path.display().to_string()
}

#[cfg(test)]
mod tests;
