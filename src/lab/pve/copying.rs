//! Copies that share a disk or a line. Each goes at its own speed as long as the lane bears all of them, and the lane's
//! bandwidth is divided equally when it does not: twice as many take twice as long.
use super::task;
use crate::world::World;
use cozyup_base::clock::{add, between};
use jiff::Timestamp;
use std::time::Duration;

/// What copies share.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Lane {
    /// The disks behind a storage, on the node where it is local.
    Disks { storage: String, place: String },
    /// The line of a node, over which uploads come in and go on to where they are kept.
    Line { node: String },
}

type Then = Box<dyn FnOnce(&mut World) + Send>;

/// One copy under way, of one task.
pub struct Copy {
    upid: String,
    lane: Lane,
    /// The bytes of the progress lines; `None` where the task tells no progress.
    bytes: Option<u64>,
    /// Lab seconds that it takes when it is alone.
    alone: f64,
    /// The share that was done at `since`.
    done: f64,
    since: Timestamp,
    /// Which of its timers counts: each change of pace sets another one.
    turn: u64,
    then: Option<Then>,
}

/// Begins a copy that would take `alone` lab seconds by itself; `then` happens at its end, unless its task ends before.
pub fn begin(
    world: &mut World,
    upid: &str,
    lane: Lane,
    bytes: Option<u64>,
    alone: f64,
    then: impl FnOnce(&mut World) + Send + 'static,
) {
    settle(world, &lane);
    let copy = Copy {
        upid: upid.into(),
        lane: lane.clone(),
        bytes,
        alone: alone.max(0.0),
        done: 0.0,
        since: world.now,
        turn: 0,
        then: Some(Box::new(then)),
    };
    world.pve.copies.push(copy);
    arrange(world, &lane);
}

/// The copy of a task that has ended ends with it, and leaves its bandwidth to the others.
pub fn end(world: &mut World, upid: &str) {
    let Some(lane) = world.pve.copies.iter().find(|c| c.upid == upid).map(|c| c.lane.clone()) else { return };
    settle(world, &lane);
    world.pve.copies.retain(|c| c.upid != upid);
    arrange(world, &lane);
}

/// The share of its own speed at which each of `count` copies goes where `streams` go at full speed.
pub fn pace(streams: f64, count: usize) -> f64 {
    (streams / count.max(1) as f64).min(1.0)
}

fn pace_on(world: &World, lane: &Lane) -> f64 {
    let streams = match lane {
        Lane::Disks { storage, .. } => world.pve.storages.get(storage).map_or(1.0, |s| s.streams),
        Lane::Line { .. } => 1.0,
    };
    pace(streams, world.pve.copies.iter().filter(|c| c.lane == *lane).count())
}

/// Notes how far each copy of the lane has come at the pace so far.
fn settle(world: &mut World, lane: &Lane) {
    let (pace, now) = (pace_on(world, lane), world.now);
    for copy in world.pve.copies.iter_mut().filter(|c| c.lane == *lane) {
        let worked = between(copy.since, now).as_secs_f64() * pace;
        copy.done = if copy.alone > 0.0 { (copy.done + worked / copy.alone).min(1.0) } else { 1.0 };
        copy.since = now;
    }
}

/// Sets the end of each copy of the lane, and tells its progress, at the pace from now on.
fn arrange(world: &mut World, lane: &Lane) {
    let (pace, now) = (pace_on(world, lane), world.now);
    let mut timers = Vec::new();
    for copy in world.pve.copies.iter_mut().filter(|c| c.lane == *lane) {
        copy.turn += 1;
        let left = (1.0 - copy.done) * copy.alone / pace;
        timers.push((copy.upid.clone(), copy.turn, left, copy.done, copy.bytes));
    }
    for (upid, turn, left, done, bytes) in timers {
        if let Some(bytes) = bytes {
            task::transfer(world, &upid, done, add(now, Duration::from_secs_f64(left)), bytes);
        }
        world.after(left, move |world| finish(world, &upid, turn));
    }
}

fn finish(world: &mut World, upid: &str, turn: u64) {
    let Some(copy) = world.pve.copies.iter_mut().find(|c| c.upid == upid && c.turn == turn) else { return };
    let then = copy.then.take();
    end(world, upid);
    if let Some(then) = then {
        then(world);
    }
}
