//! The API server's refusal by a quota, which controllers pass on as text: `pods "x" is forbidden: exceeded quota: NAME,
//! requested: …, used: …, limited: …` (kubernetes plugin/pkg/admission/resourcequota/controller.go).

/// The quota that refused, and the amounts that were asked for and are the limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Exceeded<'a> {
    /// Name of the ResourceQuota.
    pub quota: &'a str,
    /// `limits.memory=64Gi`
    pub requested: &'a str,
    /// `limits.memory=4Gi`
    pub limited: &'a str,
}

impl<'a> Exceeded<'a> {
    /// `None` for any other message.
    pub fn read(message: &'a str) -> Option<Exceeded<'a>> {
        let (_, rest) = message.split_once(" is forbidden: exceeded quota: ")?;
        let (quota, rest) = rest.split_once(", requested: ")?;
        let (requested, rest) = rest.split_once(", used: ")?;
        let (_, limited) = rest.split_once(", limited: ")?;
        Some(Exceeded { quota, requested, limited })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_by_a_quota_is_told_from_any_other() {
        let message = "pods \"a-1\" is forbidden: exceeded quota: q, requested: limits.memory=64Gi, used: limits.memory=1Gi, \
                       limited: limits.memory=4Gi";
        let read = Exceeded { quota: "q", requested: "limits.memory=64Gi", limited: "limits.memory=4Gi" };
        assert_eq!(Exceeded::read(message), Some(read));
        assert_eq!(Exceeded::read("pods \"a-1\" is forbidden: error looking up service account a/b"), None);
    }
}
