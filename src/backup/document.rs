//! One object in a file of many: a line that names it, a line with what was taken away, then the object as YAML.
//!
//! ```text
//! ---
//! # object {"kind":"ConfigMap","name":"app","namespace":"tenant-root"}
//! # withheld ["data.password"]
//! # was {"creationTimestamp":"...","uid":"..."}
//! apiVersion: v1
//! ```
use super::ready::Ready;
use super::yaml;
use serde::{Deserialize, Serialize};
use std::io::{self, BufRead, Write};

const BEGINS: &str = "---";
const OBJECT: &str = "# object ";
const WITHHELD: &str = "# withheld ";
const WAS: &str = "# was ";

/// The name of an object.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Head {
    pub name: String,
    /// Empty for an object of the whole cluster.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub namespace: String,
}

/// An object that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Document {
    pub head: Head,
    /// Places of values that are not in it.
    pub withheld: Vec<String>,
    /// YAML, ready to be applied when nothing is withheld.
    pub body: String,
}

/// # Errors
/// Those of `out`.
pub fn write(out: &mut dyn Write, head: &Head, withheld: &[String], of: &Ready) -> io::Result<()> {
    let line =
        |value: serde_json::Result<serde_json::Value>| value.map(|v| yaml::comment(&v)).map_err(io::Error::other);
    writeln!(out, "{BEGINS}\n{OBJECT}{}", line(serde_json::to_value(head))?)?;
    if !withheld.is_empty() {
        writeln!(out, "{WITHHELD}{}", line(serde_json::to_value(withheld))?)?;
    }
    writeln!(out, "{WAS}{}", line(serde_json::to_value(&of.was))?)?;
    yaml::write(out, &of.object)
}

/// Every object for which `wanted` is true.
///
/// # Errors
/// Those of `from`.
pub fn find(from: impl BufRead, wanted: impl Fn(&Head) -> bool) -> io::Result<Vec<Document>> {
    let mut found: Vec<Document> = Vec::new();
    let mut is_wanted = false;
    for line in from.lines() {
        let line = line?;
        if line == BEGINS {
            is_wanted = false;
        } else if let Some(head) = line.strip_prefix(OBJECT) {
            let head: Head = serde_json::from_str(head).map_err(io::Error::other)?;
            is_wanted = wanted(&head);
            if is_wanted {
                found.push(Document { head, withheld: Vec::new(), body: String::new() });
            }
        } else if let Some(document) = found.last_mut().filter(|_| is_wanted) {
            if let Some(places) = line.strip_prefix(WITHHELD) {
                document.withheld = serde_json::from_str(places).map_err(io::Error::other)?;
            } else if !line.starts_with(WAS) {
                document.body.push_str(&line);
                document.body.push('\n');
            }
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn an_object_is_found_among_others_and_no_text_of_theirs_passes_for_it() {
        let trap = "---\n# object {\"name\":\"b\"}\nkind: Trap\n";
        let mut file = Vec::new();
        for (name, data) in [("a", trap), ("b", "one\ntwo\n"), ("c\u{2028}# object", trap)] {
            let object = json!({"kind": "ConfigMap", "metadata": {"name": name}, "data": {"file": data}});
            let was = json!({"uid": format!("{trap}\u{85}{trap}")}).as_object().unwrap().clone();
            let head = Head { name: name.into(), namespace: "n".into() };
            write(&mut file, &head, &["data.x".to_string()], &Ready { object, was }).unwrap();
        }
        let found = find(file.as_slice(), |head| head.name == "b" && head.namespace == "n").unwrap();
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].withheld, ["data.x"]);
        assert_eq!(found[0].body, "data:\n  file: |\n    one\n    two\nkind: ConfigMap\nmetadata:\n  name: b\n");
        assert_eq!(find(file.as_slice(), |_| true).unwrap().len(), 3);
    }
}
