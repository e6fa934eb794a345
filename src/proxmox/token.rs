//! A token as a person kept it: the secret alone, or one of the forms in which it is copied.
use super::error::Error;
use crate::base::secret::Secret;
use reqwest::header::HeaderValue;
use serde_json::Value;

/// The reason why a text is not a token's secret. Nothing in it repeats the text, except an id that has the form of
/// one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    /// Nothing but white space, quotes or a byte order mark.
    #[error("it is empty")]
    Empty,
    /// So many lines that are not empty.
    #[error("it has {0} lines with something in them, and a token's secret is one")]
    Lines(usize),
    /// A secret beside the id of another token.
    #[error("it holds the secret of the token {found}, and the plan names {wanted}")]
    OtherToken {
        /// The id in the text.
        found: String,
        /// The id in the plan.
        wanted: String,
    },
    /// An id of a token, where the secret belongs.
    #[error("it holds the id of a token and no secret")]
    IdAlone,
    /// JSON or a table of `pveum`, without the secret.
    #[error("it is JSON without `value`, in which `pveum user token add` writes the secret")]
    OtherJson,
    /// The one word is no UUID; the text says what it looks like.
    #[error("it looks like {0}, and a token's secret is a UUID: 36 characters, 8-4-4-4-12 hexadecimal digits")]
    NoUuid(&'static str),
}

impl Unreadable {
    /// The next action for a person.
    pub fn next(&self) -> &'static str {
        match self {
            Unreadable::Empty => "write the token's secret (a UUID) into it",
            Unreadable::OtherToken { .. } => {
                "write that id as site.token_id into the plan, or take the secret of the plan's token"
            }
            Unreadable::Lines(_) | Unreadable::IdAlone | Unreadable::OtherJson | Unreadable::NoUuid(_) => {
                "leave nothing in it but the secret that `pveum user token add` showed under `value`; if that is lost, make a \
                 new token"
            }
        }
    }
}

/// The secret in `text`: a UUID, `USER@REALM!NAME=UUID`, that behind `PVEAPIToken=`, or what `pveum user token add` prints,
/// as a table or with `--output-format json`. A byte order mark, line ends of Windows, quotes and spaces around it are left
/// out. `wanted` is the plan's token id: an id beside the secret must be that one.
///
/// # Errors
/// See [`Unreadable`].
pub fn read(text: &str, wanted: &str) -> Result<Secret<String>, Unreadable> {
    let text = bare(text);
    if text.is_empty() {
        return Err(Unreadable::Empty);
    }
    let (id, secret) = if text.starts_with('{') {
        of_json(text)?
    } else if text.contains('│') {
        of_table(text)?
    } else {
        let lines: Vec<&str> = text.lines().map(bare).filter(|l| !l.is_empty()).collect();
        match lines.as_slice() {
            [line] => of_line(line),
            lines => return Err(Unreadable::Lines(lines.len())),
        }
    };
    if let Some(found) = id.filter(|found| found != wanted) {
        return Err(match is_id(&found) {
            true => Unreadable::OtherToken { found, wanted: wanted.to_string() },
            false => Unreadable::NoUuid("a setting of something else"),
        });
    }
    if is_uuid(&secret) { Ok(Secret::new(secret)) } else { Err(what_it_is(&secret)) }
}

fn bare(text: &str) -> &str {
    let around = |c: char| c.is_whitespace() || "\u{feff}\"'`\0".contains(c);
    text.trim_matches(around)
}

fn of_line(line: &str) -> (Option<String>, String) {
    let line =
        line.strip_prefix("Authorization:").or(line.strip_prefix("authorization:")).map_or(line, str::trim_start);
    let line = line.strip_prefix("PVEAPIToken=").or(line.strip_prefix("PVEAPIToken ")).unwrap_or(line);
    // Proxmox VE itself takes what stands behind the last one.
    match line.rsplit_once('=') {
        Some((id, secret)) => (Some(bare(id).to_string()), bare(secret).to_string()),
        None => (None, line.to_string()),
    }
}

fn of_json(text: &str) -> Result<(Option<String>, String), Unreadable> {
    let json: Value = serde_json::from_str(text).map_err(|_| Unreadable::OtherJson)?;
    let told = json.get("data").unwrap_or(&json);
    let text = |key: &str| told.get(key).and_then(Value::as_str).map(|t| bare(t).to_string());
    Ok((text("full-tokenid"), text("value").ok_or(Unreadable::OtherJson)?))
}

/// `│ value │ 0123… │`
fn of_table(text: &str) -> Result<(Option<String>, String), Unreadable> {
    let cell = |key: &str| {
        text.lines().find_map(|line| {
            let mut cells = line.split('│').map(str::trim).filter(|c| !c.is_empty());
            (cells.next() == Some(key)).then(|| cells.next().unwrap_or_default().to_string())
        })
    };
    // The first line of the table has `value` as a title too.
    let uuid = text.split('│').map(str::trim).find(|cell| is_uuid(cell)).map(str::to_string);
    Ok((cell("full-tokenid"), uuid.ok_or(Unreadable::OtherJson)?))
}

fn is_uuid(text: &str) -> bool {
    let parts: Vec<&str> = text.split('-').collect();
    parts.iter().map(|p| p.len()).eq([8, 4, 4, 4, 12]) && parts.iter().all(|p| p.bytes().all(|b| b.is_ascii_hexdigit()))
}

/// `USER@REALM!NAME`, without anything that could be a secret.
fn is_id(text: &str) -> bool {
    text.split_once('!').is_some_and(|(user, name)| user.contains('@') && !name.is_empty() && !is_uuid(name))
        && text.len() <= 160
        && !text.contains(|c: char| c.is_control() || c.is_whitespace())
        && !text.split(['@', '!']).any(is_uuid)
}

fn what_it_is(secret: &str) -> Unreadable {
    if is_id(secret) {
        return Unreadable::IdAlone;
    }
    Unreadable::NoUuid(if secret.starts_with("-----BEGIN") {
        "a key or certificate"
    } else if secret.starts_with('<') {
        "a web page"
    } else if secret.starts_with("PVE:") {
        "a ticket, which ends after two hours"
    } else if secret.len() == 32 && secret.bytes().all(|b| b.is_ascii_hexdigit()) {
        "a UUID without its dashes"
    } else if secret.contains(char::is_whitespace) {
        "several words"
    } else {
        "a password or a part of something"
    })
}

/// The header that carries a token. The server decodes it as a part of a URL and ends it at a `;`, so whatever has a meaning
/// there is encoded, and letters beyond ASCII are.
///
/// # Errors
/// [`Error::Target`] when the secret holds what no header can carry.
pub(super) fn authorization(id: &str, secret: &Secret<String>) -> Result<HeaderValue, Error> {
    let text = zeroize::Zeroizing::new(format!("PVEAPIToken={}={}", encoded(id), secret.expose()));
    let mut value = HeaderValue::from_str(&text)
        .map_err(|_| Error::Target { what: "the token's secret holds a character that no secret has".to_string() })?;
    value.set_sensitive(true);
    Ok(value)
}

fn encoded(id: &str) -> String {
    let mut out = String::new();
    for byte in id.bytes() {
        if byte.is_ascii_graphic() && !b"%;,\"".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const UUID: &str = "1f2e3d4c-5b6a-4798-8c7d-6e5f4a3b2c1d";
    const ID: &str = "cozyup@pve!installer";

    /// reports.md B24
    #[test]
    fn a_secret_is_taken_in_every_form_in_which_it_is_copied() {
        for text in [
            UUID.to_string(),
            format!("\u{feff}{UUID}\r\n"),
            format!("  \"{UUID}\"\n\n"),
            format!("'{UUID}'"),
            format!("{ID}={UUID}\n"),
            format!("PVEAPIToken={ID}={UUID}"),
            format!("Authorization: PVEAPIToken={ID}={UUID}"),
            format!("{{\"full-tokenid\":\"{ID}\",\"info\":{{\"privsep\":\"0\"}},\"value\":\"{UUID}\"}}\n"),
            format!("{{\"data\":{{\n\"full-tokenid\":\"{ID}\",\n\"value\":\"{UUID}\"}}}}"),
            format!("\u{feff}{{\"value\":\"{UUID}\"}}\r\n"),
            format!(
                "┌──────┬──────┐\n│ key │ value │\n│ full-tokenid │ {ID} │\n│ info │ {{\"privsep\":\"0\"}} │\n│ value │ {UUID} │\n└──┘\n"
            ),
        ] {
            assert_eq!(read(&text, ID).map(|s| s.expose().clone()), Ok(UUID.to_string()), "{text}");
        }
    }

    /// reports.md B24
    #[test]
    fn anything_else_is_told_by_what_it_looks_like_and_never_repeated() {
        let other = "root@pam!backup";
        for (text, said) in [
            (String::new(), "empty"),
            ("\u{feff}\r\n".to_string(), "empty"),
            (format!("{UUID}\n{UUID}\n"), "2 lines"),
            (format!("{other}={UUID}"), "the token root@pam!backup, and the plan names cozyup@pve!installer"),
            (format!("{{\"full-tokenid\":\"{other}\",\"value\":\"{UUID}\"}}"), "the plan names"),
            (format!("{UUID}={ID}"), "a setting of something else"),
            (format!("SECRET={UUID}"), "a setting of something else"),
            (ID.to_string(), "no secret"),
            ("{\"data\":null}".to_string(), "JSON without `value`"),
            (UUID.replace('-', ""), "without its dashes"),
            ("correct horse battery".to_string(), "several words"),
            ("hunter2".to_string(), "a password"),
            ("PVE:root@pam:4EEC61E2::rsKoApxDTLYPn6H3NNT6iP2mv".to_string(), "a ticket"),
        ] {
            let unreadable = read(&text, ID).map(|_| ()).unwrap_err();
            let told = format!("{unreadable} {}", unreadable.next());
            assert!(told.contains(said), "{text:?}: {told}");
            assert!(!told.contains(UUID) && !told.contains("hunter2") && !told.contains("rsKo"), "{told}");
        }
    }

    /// reports.md B22
    #[test]
    fn a_name_beyond_ascii_travels_as_the_server_decodes_it() {
        let secret = Secret::new(UUID.to_string());
        let header = |id: &str| authorization(id, &secret).unwrap().to_str().unwrap().replace(UUID, "S");
        assert_eq!(header(ID), "PVEAPIToken=cozyup@pve!installer=S");
        assert_eq!(header("müller@ad!cozy"), "PVEAPIToken=m%C3%BCller@ad!cozy=S");
        assert_eq!(header("CORP\\svc@ad!cozy"), "PVEAPIToken=CORP\\svc@ad!cozy=S");
        assert_eq!(header("a;b%c@ad!cozy"), "PVEAPIToken=a%3Bb%25c@ad!cozy=S");
    }

    proptest! {
        #[test]
        fn no_text_is_too_strange(text in ".*", id in ".*") {
            if let Err(unreadable) = read(&format!("{text}={id}"), "a@b!c") {
                prop_assert!(!unreadable.to_string().contains(char::is_control));
            }
        }
    }
}
