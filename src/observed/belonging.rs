//! Whether what stands in a namespace is of one release: two of them may share one.
use super::question::Object;
use super::workload::{Event, Pod, Pods, Release, Releases};

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Belonging {
    Own,
    /// It is in a namespace of the release, and nothing tells whose it is.
    Unknown,
    /// It is in another namespace, or another release's.
    No,
}

impl Release {
    /// The namespace into which its chart goes.
    fn place(&self) -> &str {
        self.target.as_deref().unwrap_or(&self.namespace)
    }

    fn is_called(&self, name: &str) -> bool {
        self.name == name || self.helm_name.as_deref() == Some(name)
    }
}

impl Releases {
    fn beside<'a>(&'a self, release: &'a Release) -> impl Iterator<Item = &'a Release> {
        let is_other = |other: &&Release| (&other.namespace, &other.name) != (&release.namespace, &release.name);
        self.rows.iter().filter(is_other).filter(|other| other.place() == release.place())
    }

    /// True when every release of its namespace is known, and it is the only one there.
    fn is_alone(&self, release: &Release) -> bool {
        self.total == self.rows.len() && self.beside(release).next().is_none()
    }

    pub fn of_pod(&self, release: &Release, pod: &Pod) -> Belonging {
        if pod.namespace != release.place() {
            return Belonging::No;
        }
        match &pod.release {
            Some(name) if release.is_called(name) => Belonging::Own,
            Some(name) if self.beside(release).any(|other| other.is_called(name)) => Belonging::No,
            // Charts are free to write something else there.
            Some(_) | None if self.is_alone(release) => Belonging::Own,
            Some(_) | None => Belonging::Unknown,
        }
    }

    /// `pods`: those that are listed.
    pub fn of_event(&self, release: &Release, event: &Event, pods: Option<&Pods>) -> Belonging {
        match &event.of {
            Some(Object::Release { namespace, name }) => match (namespace, name) == (&release.namespace, &release.name)
            {
                true => Belonging::Own,
                false => Belonging::No,
            },
            Some(Object::Pod { namespace, name }) => {
                let is_it = |pod: &&Pod| pod.namespace == *namespace && pod.name == *name;
                let pod = pods.and_then(|pods| pods.rows.iter().find(is_it));
                pod.map_or_else(|| self.of_thing(release, event), |pod| self.of_pod(release, pod))
            }
            Some(Object::Node { .. } | Object::Vm { .. } | Object::Machine { .. } | Object::Task { .. }) => {
                Belonging::No
            }
            None => self.of_thing(release, event),
        }
    }

    /// Of something that has no label which is known here.
    fn of_thing(&self, release: &Release, event: &Event) -> Belonging {
        match event.about.contains(&format!(" {}/", release.place())) {
            false => Belonging::No,
            true if self.is_alone(release) => Belonging::Own,
            true => Belonging::Unknown,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn release(name: &str) -> Release {
        Release::failed("cozy-system", name)
    }

    fn pod(name: &str, release: Option<&str>) -> Pod {
        Pod {
            namespace: "cozy-system".into(),
            name: name.into(),
            phase: "Pending".into(),
            reason: None,
            restarts: 0,
            node: String::new(),
            release: release.map(String::from),
        }
    }

    fn releases(rows: Vec<Release>) -> Releases {
        Releases { total: rows.len(), rows, ..Releases::default() }
    }

    #[test]
    fn of_two_releases_in_a_namespace_each_has_its_own_pods_and_those_of_nobody_are_told_apart() {
        let named = Release { helm_name: Some("b-of-helm".into()), ..release("b") };
        let two = releases(vec![release("a"), named.clone()]);
        let of = |release: &Release, says: Option<&str>| two.of_pod(release, &pod("p", says));
        assert_eq!((of(&release("a"), Some("a")), of(&named, Some("a"))), (Belonging::Own, Belonging::No));
        assert_eq!(
            (of(&release("a"), Some("b-of-helm")), of(&named, Some("b-of-helm"))),
            (Belonging::No, Belonging::Own)
        );
        for nobody in [None, Some("somebodys")] {
            assert_eq!(of(&release("a"), nobody), Belonging::Unknown);
        }
        let elsewhere = Pod { namespace: "cozy-other".into(), ..pod("p", Some("a")) };
        assert_eq!(two.of_pod(&release("a"), &elsewhere), Belonging::No);
        let target = Release { target: Some("cozy-other".into()), ..release("a") };
        assert_eq!(two.of_pod(&target, &elsewhere), Belonging::Own);
    }

    #[test]
    fn what_is_in_the_namespace_of_one_release_alone_is_its_own() {
        let one = releases(vec![release("a"), Release { namespace: "cozy-other".into(), ..release("b") }]);
        assert_eq!(one.of_pod(&release("a"), &pod("p", None)), Belonging::Own);
        let cut = Releases { total: 900, ..one };
        assert_eq!(cut.of_pod(&release("a"), &pod("p", None)), Belonging::Unknown, "others may be there");
    }

    #[test]
    fn a_warning_is_of_the_release_that_its_pod_is_of() {
        let two = releases(vec![release("a"), release("b")]);
        let pods = Pods { rows: vec![pod("of-b", Some("b"))], ..Pods::default() };
        let event = |kind: &str, name: &str, of| Event {
            at: None,
            about: format!("{kind} cozy-system/{name}"),
            of,
            reason: "BackOff".into(),
            message: String::new(),
            count: 1,
        };
        let (namespace, name) = ("cozy-system".to_string(), "of-b".to_string());
        let of_pod = event("Pod", "of-b", Some(Object::Pod { namespace: namespace.clone(), name }));
        let of_release = event("HelmRelease", "a", Some(Object::Release { namespace, name: "a".into() }));
        let of_claim = event("PersistentVolumeClaim", "data", None);
        let of = |event: &Event| ["a", "b"].map(|name| two.of_event(&release(name), event, Some(&pods)));
        assert_eq!(of(&of_pod), [Belonging::No, Belonging::Own]);
        assert_eq!(of(&of_release), [Belonging::Own, Belonging::No]);
        assert_eq!(of(&of_claim), [Belonging::Unknown, Belonging::Unknown]);
    }
}
