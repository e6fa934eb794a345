//! From a URL to what it names.
use super::kinds::Kind;
use super::refusal::Refusal;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    Whole,
    Status,
    Log,
    Finalize,
    Scale,
    /// A way into a running pod, which the lab's pods do not have.
    Inside,
}

/// An object, or the collection when there is no name.
#[derive(Debug, Clone)]
pub struct Target {
    pub kind: &'static Kind,
    /// Empty for cluster-scoped resources and for a list across namespaces.
    pub namespace: String,
    pub name: Option<String>,
    pub part: Part,
}

impl Target {
    pub fn key(&self, name: &str) -> crate::kube::store::Key {
        let (resource, namespace) = (self.kind.resource(), self.namespace.clone());
        crate::kube::store::Key { resource, namespace, name: name.to_string() }
    }
}

/// The segments of `/api/...` and `/apis/...`, decoded.
pub fn segments(path: &str) -> Vec<String> {
    path.split('/').filter(|s| !s.is_empty()).map(decode).collect()
}

/// `rest` is what follows the version. `served` are the resources of that group and version.
pub fn target(served: &[&'static Kind], rest: &[&str]) -> Result<Target, Refusal> {
    let (namespace, rest) = match rest {
        ["namespaces", _, "status" | "finalize"] => ("", rest),
        ["namespaces", namespace, inner @ ..] if !inner.is_empty() => (*namespace, inner),
        _ => ("", rest),
    };
    let (plural, name, part) = match rest {
        [plural] => (*plural, None, Part::Whole),
        [plural, name] => (*plural, Some(*name), Part::Whole),
        [plural, name, "status"] => (*plural, Some(*name), Part::Status),
        [plural, name, "log"] => (*plural, Some(*name), Part::Log),
        [plural, name, "scale"] => (*plural, Some(*name), Part::Scale),
        [plural, name, "finalize"] => (*plural, Some(*name), Part::Finalize),
        [plural, name, "attach" | "exec" | "portforward" | "proxy", ..] => (*plural, Some(*name), Part::Inside),
        _ => return Err(Refusal::NoResource),
    };
    let kind = served.iter().find(|k| k.plural == plural).ok_or(Refusal::NoResource)?;
    let fits = match part {
        Part::Whole => true,
        Part::Status => kind.status,
        Part::Log | Part::Inside => kind.is("", "pods"),
        Part::Finalize => kind.is("", "namespaces"),
        Part::Scale => kind.scales(),
    };
    // A namespaced object has no URL outside of a namespace, and a cluster-scoped one none inside.
    let scoped = if kind.namespaced { !namespace.is_empty() || name.is_none() } else { namespace.is_empty() };
    if !fits || !scoped {
        return Err(Refusal::NoResource);
    }
    Ok(Target { kind, namespace: namespace.into(), name: name.map(Into::into), part })
}

/// The query of a URL; of a repeated key the first counts, as in Go.
#[derive(Debug, Clone, Default)]
pub struct Query(Vec<(String, String)>);

impl Query {
    pub fn parse(raw: &str) -> Self {
        let pairs = raw.split('&').filter(|p| !p.is_empty());
        Query(
            pairs
                .map(|p| p.split_once('=').unwrap_or((p, "")))
                .map(|(k, v)| (decode(&k.replace('+', " ")), decode(&v.replace('+', " "))))
                .collect(),
        )
    }

    /// Empty when absent: the API treats both alike.
    pub fn get(&self, key: &str) -> &str {
        self.0.iter().find(|(k, _)| k == key).map_or("", |(_, v)| v.as_str())
    }

    pub fn flag(&self, key: &str) -> bool {
        matches!(self.get(key), "true" | "1" | "True" | "TRUE" | "t" | "T")
    }

    pub fn number(&self, key: &str) -> Result<Option<u64>, Refusal> {
        match self.get(key) {
            "" => Ok(None),
            text => text
                .parse()
                .map(Some)
                .map_err(|_| Refusal::bad(format!("strconv.ParseInt: parsing \"{text}\": invalid syntax"))),
        }
    }
}

/// Percent-decoding; what is no valid escape stays as it is.
pub fn decode(text: &str) -> String {
    let hex = |b: Option<&u8>| b.and_then(|b| char::from(*b).to_digit(16)).and_then(|d| u8::try_from(d).ok());
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(b) = bytes.get(at) {
        match (*b, hex(bytes.get(at + 1)), hex(bytes.get(at + 2))) {
            (b'%', Some(high), Some(low)) => {
                out.push(high * 16 + low);
                at += 3;
            }
            (b, _, _) => {
                out.push(b);
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

#[cfg(test)]
mod tests {
    use super::super::kinds::KINDS;
    use super::*;

    fn core(rest: &[&str]) -> Result<Target, Refusal> {
        let served: Vec<&'static Kind> = KINDS.iter().filter(|k| k.group.is_empty()).collect();
        target(&served, rest)
    }

    #[test]
    fn a_namespace_is_both_an_object_and_a_part_of_paths() {
        let namespace = core(&["namespaces", "a"]).unwrap();
        assert_eq!((namespace.kind.plural, namespace.name.as_deref()), ("namespaces", Some("a")));
        let status = core(&["namespaces", "a", "status"]).unwrap();
        assert_eq!((status.kind.plural, status.part), ("namespaces", Part::Status));
        let pod = core(&["namespaces", "a", "pods", "p", "log"]).unwrap();
        assert_eq!((pod.kind.plural, pod.namespace.as_str(), pod.part), ("pods", "a", Part::Log));
        let all = core(&["pods"]).unwrap();
        assert!(all.name.is_none() && all.namespace.is_empty());
    }

    #[test]
    fn a_path_with_the_wrong_scope_names_nothing() {
        assert!(core(&["pods", "p"]).is_err());
        assert!(core(&["namespaces", "a", "nodes"]).is_err());
        assert!(core(&["namespaces", "a", "configmaps", "c", "status"]).is_err());
    }

    #[test]
    fn a_query_is_decoded() {
        let query = Query::parse("labelSelector=a%3Db%2Cc&watch=1&x=a+b&limit=ten");
        assert_eq!((query.get("labelSelector"), query.get("x"), query.get("y")), ("a=b,c", "a b", ""));
        assert!(query.flag("watch") && query.number("limit").is_err());
        assert_eq!(decode("100%"), "100%");
    }
}
