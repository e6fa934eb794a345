//! When each piece of work of a plan begins and ends, if each begins as soon as it can: a simulation of its dependency graph
//! under the limits of the site. A lock lets one through at a time, copies share the bandwidth of their disks or line.
use crate::pve::copying::pace;

/// What a piece of work needs beside what comes before it.
#[derive(Debug, Clone, PartialEq)]
pub enum Needs {
    Nothing,
    /// A lock that one holds at a time.
    Lock(String),
    /// A share of what `streams` copies take at full speed.
    Bandwidth {
        of: String,
        streams: f64,
    },
}

#[derive(Debug, Clone)]
pub struct Work {
    pub what: String,
    /// Lab seconds, with the bandwidth for itself.
    pub seconds: f64,
    /// Numbers of works that end before it begins.
    pub after: Vec<usize>,
    pub needs: Needs,
}

/// The works of a graph, in the order in which they take locks and bandwidth.
#[derive(Debug, Clone, Default)]
pub struct Graph {
    works: Vec<Work>,
}

/// The time of one work, in lab seconds from the beginning of all.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Span {
    pub begin: f64,
    pub end: f64,
}

impl Graph {
    /// Adds a work; its number, by which later ones name it.
    pub fn add(&mut self, what: impl Into<String>, seconds: f64, after: &[usize], needs: Needs) -> usize {
        self.works.push(Work { what: what.into(), seconds, after: after.to_vec(), needs });
        self.works.len() - 1
    }

    pub fn then(&mut self, what: impl Into<String>, seconds: f64, after: usize) -> usize {
        self.add(what, seconds, &[after], Needs::Nothing)
    }

    /// When each work begins and ends, with at most so many copies side by side on one disk or line.
    pub fn spans(&self, side_by_side: usize) -> Vec<Span> {
        let mut run = Run { left: self.works.iter().map(|w| w.seconds).collect(), ..Run::default() };
        run.spans = vec![None; self.works.len()];
        run.ended = vec![false; self.works.len()];
        loop {
            let begun = self.begin(&mut run, side_by_side);
            let running: Vec<usize> = (0..self.works.len()).filter(|n| run.is_running(*n)).collect();
            let paces: Vec<f64> = running.iter().map(|n| self.pace(&run, *n)).collect();
            let soonest =
                running.iter().zip(&paces).map(|(n, pace)| run.left_of(*n) / pace).fold(f64::INFINITY, f64::min);
            if !soonest.is_finite() {
                if begun {
                    continue;
                }
                // What waits for itself never begins; every graph here is made without circles.
                return run.spans.into_iter().map(|s| s.unwrap_or(Span { begin: 0.0, end: 0.0 })).collect();
            }
            run.advance(soonest, &running, &paces);
        }
    }

    /// Begins everything that can begin now; whether there was any.
    fn begin(&self, run: &mut Run, side_by_side: usize) -> bool {
        let mut any = false;
        for (number, work) in self.works.iter().enumerate() {
            let is_ready = run.is_open(number) && work.after.iter().all(|n| run.ended.get(*n) == Some(&true));
            let others =
                self.works.iter().enumerate().filter(|(n, w)| run.is_running(*n) && shares(&w.needs, &work.needs));
            let is_free = match &work.needs {
                Needs::Nothing => true,
                Needs::Lock(_) => others.count() == 0,
                Needs::Bandwidth { .. } => others.count() < side_by_side,
            };
            if is_ready && is_free {
                let now = run.now;
                if let Some(span) = run.spans.get_mut(number) {
                    *span = Some(Span { begin: now, end: now });
                }
                any = true;
            }
        }
        any
    }

    fn pace(&self, run: &Run, number: usize) -> f64 {
        let Some(Needs::Bandwidth { streams, .. }) = self.works.get(number).map(|w| &w.needs) else { return 1.0 };
        let mine = self.works.get(number).map(|w| &w.needs);
        let others = self
            .works
            .iter()
            .enumerate()
            .filter(|(n, w)| run.is_running(*n) && mine.is_some_and(|m| shares(m, &w.needs)));
        pace(*streams, others.count())
    }

    /// The longest path to the end of `last`: each work with the one that kept it from beginning sooner. The times of its works
    /// follow each other without a gap.
    pub fn path(&self, spans: &[Span], last: usize) -> Vec<(String, f64)> {
        let mut path = Vec::new();
        let mut at = Some(last);
        while let Some(number) = at {
            let (Some(work), Some(span)) = (self.works.get(number), spans.get(number)) else { break };
            path.push((work.what.clone(), span.end - span.begin));
            let ends_then = |n: &usize| spans.get(*n).is_some_and(|s| (s.end - span.begin).abs() < 1e-9);
            let before = work.after.iter().copied().find(ends_then);
            // It had what came before it, and waited for a lock or for bandwidth.
            let held = || {
                let others =
                    self.works.iter().enumerate().filter(|(n, w)| *n != number && shares(&w.needs, &work.needs));
                others.map(|(n, _)| n).find(ends_then)
            };
            at = before.or_else(held).filter(|_| span.begin > 0.0);
        }
        path.reverse();
        path
    }
}

fn shares(a: &Needs, b: &Needs) -> bool {
    match (a, b) {
        (Needs::Lock(a), Needs::Lock(b)) => a == b,
        (Needs::Bandwidth { of: a, .. }, Needs::Bandwidth { of: b, .. }) => a == b,
        (Needs::Nothing | Needs::Lock(_) | Needs::Bandwidth { .. }, _) => false,
    }
}

#[derive(Default)]
struct Run {
    now: f64,
    spans: Vec<Option<Span>>,
    left: Vec<f64>,
    ended: Vec<bool>,
}

impl Run {
    fn is_open(&self, number: usize) -> bool {
        self.spans.get(number) == Some(&None)
    }

    fn is_running(&self, number: usize) -> bool {
        matches!(self.spans.get(number), Some(Some(_))) && self.ended.get(number) == Some(&false)
    }

    fn left_of(&self, number: usize) -> f64 {
        self.left.get(number).copied().unwrap_or_default()
    }

    fn advance(&mut self, seconds: f64, running: &[usize], paces: &[f64]) {
        self.now += seconds;
        for (number, pace) in running.iter().zip(paces) {
            let (Some(left), Some(Some(span)), Some(ended)) =
                (self.left.get_mut(*number), self.spans.get_mut(*number), self.ended.get_mut(*number))
            else {
                continue;
            };
            *left -= seconds * pace;
            if *left < 1e-9 {
                *ended = true;
                span.end = self.now;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn copies(streams: f64, count: usize) -> (Graph, Vec<usize>) {
        let mut graph = Graph::default();
        let works = (0..count).map(|n| {
            let needs = Needs::Bandwidth { of: "disks".into(), streams };
            graph.add(format!("copy {n}"), 10.0, &[], needs)
        });
        let works = works.collect();
        (graph, works)
    }

    fn ends(graph: &Graph, side_by_side: usize) -> Vec<f64> {
        graph.spans(side_by_side).iter().map(|s| s.end).collect()
    }

    #[test]
    fn copies_share_what_the_disks_give_and_wait_for_a_place() {
        let (graph, _) = copies(1.0, 3);
        assert_eq!(ends(&graph, 3), [30.0, 30.0, 30.0]);
        assert_eq!(ends(&graph, 1), [10.0, 20.0, 30.0]);
        let (graph, _) = copies(2.0, 3);
        assert_eq!(ends(&graph, 3), [15.0, 15.0, 15.0]);
        assert_eq!(ends(&graph, 2), [10.0, 10.0, 20.0]);
    }

    #[test]
    fn a_lock_lets_one_through_at_a_time_in_the_order_of_the_graph() {
        let mut graph = Graph::default();
        let lock = || Needs::Lock("storage".into());
        let works = [1, 2, 3].map(|n| graph.add(format!("allocate {n}"), 2.0, &[], lock()));
        assert_eq!(ends(&graph, 9), [2.0, 4.0, 6.0]);
        let path = graph.path(&graph.spans(9), works[2]);
        assert_eq!(
            path.iter().map(|(what, _)| what.as_str()).collect::<Vec<_>>(),
            ["allocate 1", "allocate 2", "allocate 3"]
        );
    }

    #[test]
    fn the_longest_path_has_no_gap_and_leaves_out_what_nobody_waits_for() {
        let mut graph = Graph::default();
        let first = graph.add("fetch", 5.0, &[], Needs::Nothing);
        let quick = graph.then("quick", 1.0, first);
        let slow = graph.then("slow", 7.0, first);
        let last = graph.add("both", 2.0, &[quick, slow], Needs::Nothing);
        let spans = graph.spans(1);
        assert_eq!(spans[last], Span { begin: 12.0, end: 14.0 });
        let path = graph.path(&spans, last);
        assert_eq!(path, [("fetch".to_string(), 5.0), ("slow".into(), 7.0), ("both".into(), 2.0)]);
    }
}
