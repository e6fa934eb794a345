//! Files of any length, encrypted with age while they are written and decrypted while they are read. `age -d -i KEY FILE`
//! opens them without cozyup.
use super::secret::Secret;
use age::stream::StreamWriter;
use age::x25519::{self, Identity};
use std::fmt;
use std::io::{self, Read, Write};
use std::str::FromStr;

/// The public key for which something is encrypted: `age1...`. It is no secret.
#[derive(Clone, PartialEq, Eq)]
pub struct Recipient(x25519::Recipient);

impl fmt::Display for Recipient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for Recipient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Recipient {
    type Err = String;

    fn from_str(text: &str) -> Result<Recipient, String> {
        let parsed = text.trim().parse().map(Recipient);
        parsed.map_err(|_| "it is no public key of age, which begins with age1".to_string())
    }
}

impl Recipient {
    /// The public key of a private one (`AGE-SECRET-KEY-1...`); `None` when it is none.
    pub fn of_identity(identity: &Secret<String>) -> Option<Recipient> {
        let identity: Identity = identity.expose().trim().parse().ok()?;
        Some(Recipient(identity.to_public()))
    }

    /// Everything that is written goes to `output` encrypted. Without [`Sealed::finish`] the file can't be opened to its end.
    ///
    /// # Errors
    /// Those of `output`.
    pub fn seal<W: Write>(&self, output: W) -> io::Result<Sealed<W>> {
        let to = std::iter::once(&self.0 as &dyn age::Recipient);
        let encryptor = age::Encryptor::with_recipients(to).map_err(io::Error::other)?;
        Ok(Sealed(encryptor.wrap_output(output)?))
    }
}

/// A file that is being encrypted.
pub struct Sealed<W: Write>(StreamWriter<W>);

impl<W: Write> Write for Sealed<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

impl<W: Write> Sealed<W> {
    /// Writes the end, by which a reader knows that nothing was cut off.
    ///
    /// # Errors
    /// Those of the output.
    pub fn finish(self) -> io::Result<W> {
        self.0.finish()
    }
}

/// What [`Recipient::seal`] has written, decrypted while it is read.
///
/// # Errors
/// When `identity` does not open it, or it is no such file; while reading, when it was changed or cut off.
pub fn open<R: Read>(input: R, identity: &Secret<String>) -> io::Result<impl Read> {
    let no_key = || io::Error::other("the key is no private key of age");
    let identity: Identity = identity.expose().trim().parse().map_err(|_| no_key())?;
    let decryptor = age::Decryptor::new(input).map_err(io::Error::other)?;
    decryptor.decrypt(std::iter::once(&identity as &dyn age::Identity)).map_err(io::Error::other)
}

#[cfg(test)]
mod tests {
    use super::*;
    use age::secrecy::ExposeSecret;

    fn key() -> Secret<String> {
        Secret::new(Identity::generate().to_string().expose_secret().to_string())
    }

    fn sealed(key: &Secret<String>, text: &[u8]) -> Vec<u8> {
        let recipient: Recipient = Recipient::of_identity(key).unwrap().to_string().parse().unwrap();
        let mut writer = recipient.seal(Vec::new()).unwrap();
        writer.write_all(text).unwrap();
        writer.finish().unwrap()
    }

    #[test]
    fn what_was_sealed_piece_by_piece_is_opened_by_its_key_alone() {
        let (own, other) = (key(), key());
        let text = b"words ".repeat(100_000);
        let closed = sealed(&own, &text);
        let mut back = Vec::new();
        open(closed.as_slice(), &own).unwrap().read_to_end(&mut back).unwrap();
        assert_eq!(back, text);
        assert!(open(closed.as_slice(), &other).is_err());
        assert!("age1nonsense".parse::<Recipient>().is_err());
    }

    #[test]
    fn a_sealed_file_that_was_cut_off_or_changed_is_not_read_as_a_whole_one() {
        let own = key();
        let closed = sealed(&own, &b"words ".repeat(100_000));
        let mut changed = closed.clone();
        *changed.last_mut().unwrap() ^= 1;
        for damaged in [&closed[..closed.len() - 1], &closed[..70_000], &changed] {
            let mut back = Vec::new();
            assert!(open(damaged, &own).and_then(|mut r| r.read_to_end(&mut back)).is_err());
        }
    }
}
