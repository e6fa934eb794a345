//! The verdict, and the arithmetic behind it: a pure function of a few figures (`docs/adr/011-a-verdict-is-arithmetic.md`).
//!
//! The figures are judgements, not measurements. They are set so that the one assessment that was made by hand comes out as it
//! did: v0.28 to v0.37 over a broken network, 30 to 44 hours, a chance of 30 to 40 %, against a fresh install of 24 hours at
//! more than 90 %.
//!
//! - hours of an upgrade = stops x (3 to 4.5) + for each broken part its repair + for each change by hand (4 to 8)
//! - chance = product of: 96 to 98 % for each stop; 95 to 98 % once, for a build that nobody released; for each broken part its
//!   factor; for each change by hand 80 to 90 %
//! - cost = middle of the hours / middle of the chance, so that a way that fails half the time costs twice its hours
//! - nothing broken: go. Something broken: repair first, or install anew where that costs less. A broken network hides which
//!   releases and pods would be well with it, so those two do not count beside it.
use super::snapshot::What;
use serde::Serialize;
use std::collections::BTreeSet;

/// A part of the cluster that has to be repaired before an upgrade.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Broken {
    Network,
    Nodes,
    Etcd,
    Storage,
    Certificates,
    Releases,
    Pods,
}

impl Broken {
    /// Hours of its repair in halves, and the chance of it in thousandths; low and high.
    fn weight(self) -> Effort {
        let (hours, chance) = match self {
            Broken::Network => ((12, 16), (450, 480)),
            Broken::Nodes => ((4, 8), (800, 900)),
            Broken::Etcd => ((6, 12), (600, 800)),
            Broken::Storage => ((6, 12), (700, 850)),
            Broken::Certificates => ((2, 4), (950, 990)),
            Broken::Releases => ((4, 8), (800, 900)),
            Broken::Pods => ((2, 6), (900, 950)),
        };
        Effort { half_hours: hours, permille: chance }
    }
}

const STOP: Effort = Effort { half_hours: (6, 9), permille: (960, 980) };
const UNOFFICIAL: Effort = Effort { half_hours: (0, 0), permille: (950, 980) };
const BY_HAND: Effort = Effort { half_hours: (8, 16), permille: (800, 900) };
/// Without moving the workloads, which can be done later, one by one.
const FRESH: Effort = Effort { half_hours: (48, 48), permille: (900, 950) };

/// Work and its prospect, from low to high.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Effort {
    half_hours: (u64, u64),
    permille: (u64, u64),
}

impl Effort {
    const NONE: Effort = Effort { half_hours: (0, 0), permille: (1000, 1000) };

    fn and(self, other: Effort) -> Effort {
        let times = |a: u64, b: u64| (a * b + 500) / 1000;
        Effort {
            half_hours: (self.half_hours.0 + other.half_hours.0, self.half_hours.1 + other.half_hours.1),
            permille: (times(self.permille.0, other.permille.0), times(self.permille.1, other.permille.1)),
        }
    }

    fn times(self, count: usize) -> Effort {
        (0..count).fold(Effort::NONE, |sum, _| sum.and(self))
    }

    /// Hours until it has worked, in some unit: only for comparing.
    fn cost(self) -> u64 {
        (self.half_hours.0 + self.half_hours.1) * 10_000 / (self.permille.0 + self.permille.1).max(1)
    }

    fn shown(self) -> Estimate {
        let percent = |permille: u64| (permille + 5) / 10;
        Estimate {
            hours: (self.half_hours.0 / 2, self.half_hours.1.div_ceil(2)),
            percent: (percent(self.permille.0), percent(self.permille.1)),
        }
    }
}

/// Hours and chance, from low to high.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Estimate {
    pub hours: (u64, u64),
    pub percent: (u64, u64),
}

/// The way's length, as far as the verdict needs it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Distance {
    Stops(usize),
    Beyond,
    TooOld,
    Unknown,
}

/// Everything that the verdict rests on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scales {
    /// Readings without which nothing may be decided.
    pub gaps: Vec<What>,
    /// Readings without which nobody may say that nothing is broken.
    pub unsure: Vec<What>,
    pub distance: Distance,
    /// Nobody released what runs there.
    pub unofficial: bool,
    /// Changes that no migration makes.
    pub by_hand: usize,
    pub broken: BTreeSet<Broken>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Decision {
    /// Nothing stands against the upgrade, or none is needed.
    Go,
    RepairFirst,
    FreshInstall,
    /// Too little could be read, or there is no way to the target.
    Undecided,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    NotRead(What),
    BeyondTarget,
    TooOld,
    VersionUnknown,
    AtTarget,
    Stops(usize),
    Unofficial,
    ByHand(usize),
    Broken(Broken),
    NothingBroken,
    FreshCostsLess,
    RepairCostsLess,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Verdict {
    pub decision: Decision,
    /// Repair and upgrade together; `None` when there is no way to weigh.
    pub upgrade: Option<Estimate>,
    /// The repair alone; `None` when nothing is broken.
    pub repair: Option<Estimate>,
    pub fresh: Estimate,
    pub reasons: Vec<Reason>,
}

/// The verdict on these figures.
pub fn weigh(scales: &Scales) -> Verdict {
    let hidden = |b: &&Broken| scales.broken.contains(&Broken::Network) && matches!(b, Broken::Releases | Broken::Pods);
    let repair = scales.broken.iter().filter(|b| !hidden(b)).fold(Effort::NONE, |sum, b| sum.and(b.weight()));
    let mut reasons: Vec<Reason> =
        scales.gaps.iter().chain(&scales.unsure).map(|what| Reason::NotRead(*what)).collect();
    let (stops, distance) = match scales.distance {
        Distance::Stops(0) => (Some(0), Reason::AtTarget),
        Distance::Stops(stops) => (Some(stops), Reason::Stops(stops)),
        Distance::Beyond => (None, Reason::BeyondTarget),
        Distance::TooOld => (None, Reason::TooOld),
        Distance::Unknown => (None, Reason::VersionUnknown),
    };
    reasons.push(distance);
    let upgrade = stops.map(|stops| {
        let once = if scales.unofficial && stops > 0 { UNOFFICIAL } else { Effort::NONE };
        repair.and(STOP.times(stops)).and(once).and(BY_HAND.times(scales.by_hand))
    });
    reasons.extend(scales.unofficial.then_some(Reason::Unofficial));
    reasons.extend((scales.by_hand > 0).then_some(Reason::ByHand(scales.by_hand)));
    reasons.extend(scales.broken.iter().map(|b| Reason::Broken(*b)));
    let decision = match upgrade {
        _ if !scales.gaps.is_empty() => Decision::Undecided,
        None => Decision::Undecided,
        Some(_) if scales.broken.is_empty() && !scales.unsure.is_empty() => Decision::Undecided,
        Some(_) if scales.broken.is_empty() => Decision::Go,
        Some(upgrade) if upgrade.cost() > FRESH.cost() => Decision::FreshInstall,
        Some(_) => Decision::RepairFirst,
    };
    reasons.extend(match decision {
        Decision::Go => Some(Reason::NothingBroken),
        Decision::RepairFirst => Some(Reason::RepairCostsLess),
        Decision::FreshInstall => Some(Reason::FreshCostsLess),
        Decision::Undecided => None,
    });
    Verdict {
        decision,
        upgrade: upgrade.map(Effort::shown),
        repair: (!scales.broken.is_empty()).then(|| repair.shown()),
        fresh: FRESH.shown(),
        reasons,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn scales(stops: usize, broken: &[Broken]) -> Scales {
        Scales {
            gaps: vec![],
            unsure: vec![],
            distance: Distance::Stops(stops),
            unofficial: false,
            by_hand: 0,
            broken: broken.iter().copied().collect(),
        }
    }

    /// product.md: 30 to 44 hours, 30 to 40 %, against 24 hours at more than 90 %.
    #[test]
    fn the_assessment_that_was_made_by_hand_comes_out_as_it_did() {
        let seed = Scales { unofficial: true, ..scales(8, &[Broken::Network, Broken::Releases, Broken::Pods]) };
        let verdict = weigh(&seed);
        assert_eq!(verdict.decision, Decision::FreshInstall);
        assert_eq!(verdict.upgrade, Some(Estimate { hours: (30, 44), percent: (31, 40) }));
        assert_eq!(verdict.fresh, Estimate { hours: (24, 24), percent: (90, 95) });
        assert_eq!(verdict.repair.map(|r| r.hours), Some((6, 8)));
        assert!(verdict.reasons.contains(&Reason::FreshCostsLess));
    }

    #[test]
    fn a_sound_cluster_goes_whatever_the_distance_and_one_at_the_target_has_nothing_to_do() {
        assert_eq!(weigh(&scales(8, &[])).decision, Decision::Go);
        let there = weigh(&scales(0, &[]));
        assert_eq!((there.decision, there.upgrade.unwrap().hours), (Decision::Go, (0, 0)));
        assert!(there.reasons.contains(&Reason::AtTarget));
    }

    #[test]
    fn what_is_broken_near_the_target_is_repaired_first() {
        assert_eq!(weigh(&scales(1, &[Broken::Pods])).decision, Decision::RepairFirst);
        assert_eq!(weigh(&scales(0, &[Broken::Network])).decision, Decision::RepairFirst);
    }

    #[test]
    fn without_the_essentials_or_a_way_there_is_no_verdict() {
        let blind = Scales { gaps: vec![What::Pods], ..scales(8, &[Broken::Network]) };
        assert_eq!(weigh(&blind).decision, Decision::Undecided);
        let half_blind = Scales { unsure: vec![What::Satellites], ..scales(8, &[]) };
        assert_eq!(weigh(&half_blind).decision, Decision::Undecided);
        for distance in [Distance::Beyond, Distance::TooOld, Distance::Unknown] {
            let verdict = weigh(&Scales { distance, ..scales(0, &[]) });
            assert_eq!((verdict.decision, verdict.upgrade), (Decision::Undecided, None));
        }
    }

    proptest! {
        /// More stops or more that is broken never makes an upgrade easier, and a gap never lets a verdict through.
        #[test]
        fn the_arithmetic_is_monotonous(stops in 0usize..12, by_hand in 0usize..4, unofficial: bool, parts in 0usize..128) {
            let all = [Broken::Network, Broken::Nodes, Broken::Etcd, Broken::Storage, Broken::Certificates, Broken::Releases, Broken::Pods];
            let broken: BTreeSet<Broken> = all.into_iter().enumerate().filter(|(n, _)| parts >> n & 1 == 1).map(|(_, b)| b).collect();
            let some = Scales { gaps: vec![], unsure: vec![], distance: Distance::Stops(stops), unofficial, by_hand, broken };
            let now = weigh(&some).upgrade.unwrap();
            prop_assert!(now.hours.0 <= now.hours.1 && now.percent.0 <= now.percent.1 && now.percent.1 <= 100);
            let further = weigh(&Scales { distance: Distance::Stops(stops + 1), ..some.clone() }).upgrade.unwrap();
            prop_assert!(further.hours.0 > now.hours.0 && further.percent.1 <= now.percent.1);
            let mut worse = some.clone();
            worse.broken.insert(Broken::Nodes);
            prop_assert!(weigh(&worse).upgrade.unwrap().hours.0 >= now.hours.0);
            prop_assert_eq!(weigh(&Scales { gaps: vec![What::Nodes], ..some }).decision, Decision::Undecided);
        }
    }
}
