//! The last lines of the containers that keep a failed release from being ready, so that its cause stands under it. They are
//! read only while somebody looks on, of few pods, and seldom.
use super::Around;
use super::answers::log_of_pod;
use super::outlet::Calls;
use crate::base::text::shorten;
use crate::kubernetes::Reader;
use crate::observed::{Belonging, Events, Origin, Pod, Pods, Releases, Tail, Tails, View};
use std::sync::Arc;
use std::time::Duration;

/// Between two looks; of the run's clock.
const EVERY: Duration = Duration::from_secs(15);
/// For one log; of the wall.
const DEADLINE: Duration = Duration::from_secs(10);

pub async fn run(around: Arc<Around>, reader: Reader) {
    let mut shown = Tails::default();
    loop {
        around.rest(EVERY).await;
        if !around.is_watched() {
            continue;
        }
        let wanted = match (around.outlet.releases(), around.outlet.pods()) {
            (Some(releases), Some(pods)) => wanted(&releases, &pods),
            (Some(_) | None, _) => Vec::new(),
        };
        let mut tails = Tails::default();
        for pod in wanted {
            Calls::count(&around.calls.kubernetes, 2);
            let log = tokio::time::timeout(DEADLINE, log_of_pod(&reader, &pod.namespace, &pod.name)).await;
            // A log that can't be read is told to whoever asks for it.
            if let Ok(Ok(told)) = log
                && let Origin::Container { name, earlier } = told.origin
            {
                tails.rows.extend(tail(&pod, name, earlier.is_some(), &told.text));
            }
        }
        if tails != shown {
            around.outlet.show(View::Tails(tails.clone()));
            shown = tails;
        }
    }
}

/// The first pod of each failed release that has run and is not ready, its own before those of nobody: one that has not begun has no
/// log.
fn wanted(releases: &Releases, pods: &Pods) -> Vec<Pod> {
    let has_crashed = |pod: &Pod| pod.reason.as_deref() == Some("CrashLoopBackOff");
    let has_run = |pod: &&Pod| pod.restarts > 0 || pod.phase == "Failed" || has_crashed(pod);
    let mut found: Vec<Pod> = Vec::new();
    for release in releases.rows.iter().filter(|release| release.state.is_trouble()) {
        let those = pods.rows.iter().filter(has_run).map(|pod| (releases.of_pod(release, pod), pod));
        let first = those.filter(|(belonging, _)| *belonging != Belonging::No).min_by_key(|(belonging, _)| *belonging);
        if let Some((_, pod)) = first
            && found.len() < Tails::MOST
            && !found.contains(pod)
        {
            found.push(pod.clone());
        }
    }
    found
}

fn tail(pod: &Pod, container: String, earlier: bool, text: &str) -> Option<Tail> {
    let all: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
    let last = all.get(all.len().saturating_sub(Tail::LINES)..).unwrap_or_default();
    let lines: Vec<String> = last.iter().map(|line| shorten(line, Events::MESSAGE)).collect();
    let (namespace, pod) = (pod.namespace.clone(), pod.name.clone());
    (!lines.is_empty()).then_some(Tail { namespace, pod, container, earlier, lines })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observed::{Release, ReleaseState};

    fn release(namespace: &str, state: ReleaseState) -> Release {
        Release { state, ..Release::failed(namespace, "r") }
    }

    fn pod(namespace: &str, name: &str, restarts: u64) -> Pod {
        let phase = "Running".to_string();
        let (namespace, name) = (namespace.into(), name.into());
        Pod { namespace, name, phase, reason: None, restarts, node: String::new(), release: None }
    }

    #[test]
    fn only_pods_of_failed_releases_that_have_run_are_read_and_one_of_each() {
        let all = (0..9).map(|n| release(&format!("bad-{n}"), ReleaseState::Failed));
        let fine = [release("good", ReleaseState::Ready), release("waits", ReleaseState::Waits)];
        let releases = Releases { rows: all.chain(fine).collect(), ..Releases::default() };
        let mut rows = vec![pod("good", "a", 3), pod("waits", "b", 3), pod("bad-0", "new", 0), pod("bad-0", "c", 2)];
        rows.push(pod("bad-0", "d", 7));
        let names = |rows: Vec<Pod>| {
            let pods = Pods { rows, ..Pods::default() };
            wanted(&releases, &pods).into_iter().map(|pod| pod.name).collect::<Vec<_>>()
        };
        assert_eq!(names(rows), ["c"]);
        let many = (0..9).map(|n| pod(&format!("bad-{n}"), "x", 1)).collect();
        assert_eq!(names(many).len(), Tails::MOST);
    }

    #[test]
    fn of_two_failed_releases_in_one_namespace_each_has_a_pod_of_its_own() {
        let named = |name: &str| Release { name: name.into(), ..release("both", ReleaseState::Failed) };
        let releases = Releases { total: 2, rows: vec![named("a"), named("b")], ..Releases::default() };
        let of = |name: &str, release: &str| Pod { release: Some(release.into()), ..pod("both", name, 1) };
        let pods = Pods { rows: vec![of("b1", "b"), of("b2", "b"), of("a1", "a")], ..Pods::default() };
        let names: Vec<String> = wanted(&releases, &pods).into_iter().map(|pod| pod.name).collect();
        assert_eq!(names, ["a1", "b1"]);
    }

    #[test]
    fn a_tail_is_short_and_a_silent_container_has_none() {
        let text = format!("one\n\n{}\nthree\nfour\n", "x".repeat(5000));
        let tail = tail(&pod("n", "p", 1), "c".into(), true, &text).unwrap();
        assert_eq!(tail.lines.len(), 3);
        assert!(tail.lines[0].len() <= Events::MESSAGE && tail.lines[2] == "four", "{tail:?}");
        assert_eq!(super::tail(&pod("n", "p", 1), "c".into(), false, "\n \n"), None);
    }
}
