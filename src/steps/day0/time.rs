//! `day0.time`: the clocks of the Proxmox nodes agree with this machine's; certificates and etcd depend on it.
use super::{Check, hosts, of_proxmox, proof};
use crate::engine::failure::Failure;
use crate::engine::proof::Proof;
use crate::engine::step::Context;
use crate::plan::model::Plan;
use crate::steps::failures;
use crate::steps::site::Reading;
use jiff::Timestamp;

pub const KIND: &str = "day0.time";
const REMARK_S: i64 = 5;
const REFUSE_S: i64 = 60;

pub fn step(plan: &Plan) -> Check {
    let hosts = hosts(plan).into_iter().collect::<Vec<_>>().join(", ");
    let title = format!("the clocks of {hosts} and of the jump host agree");
    Check::new(KIND, title, "timedatectl\nchronyc tracking", |cx, site| Box::pin(look(cx, site))).of_hosts()
}

async fn look(cx: &dyn Context, site: &Reading) -> Result<Proof, Failure> {
    let (mut readings, mut remarks, mut problems, mut worst) = (Vec::new(), Vec::new(), Vec::new(), 0);
    for host in hosts(&site.plan) {
        let before = cx.clock().now();
        let time = site.proxmox.node_time(host).await;
        let time = time.map_err(|e| failures::proxmox(&e, &format!("ask {host} for the time")))?;
        let skew = skew(before, time.value, cx.clock().now());
        worst = worst.max(skew.abs());
        let said = format!("the clock of {host} is {} s {}", skew.abs(), if skew > 0 { "ahead" } else { "behind" });
        match skew.abs() {
            s if s > REFUSE_S => problems.push(said),
            s if s > REMARK_S => remarks.push(said),
            _ => {}
        }
        readings.push(of_proxmox(cx, &time));
    }
    if !problems.is_empty() {
        return Err(Failure::person(
            problems.join("; "),
            "set the clocks: `chronyc tracking` on the node and `timedatectl` here say which is wrong; then \
             `systemctl restart chrony` there",
        ));
    }
    proof(&format!("the clocks agree within {} s", worst + 1), &remarks, readings)
}

/// How far a clock that reads whole seconds is certainly ahead (or, below 0, behind), when its answer came between
/// `before` and `after`.
fn skew(before: Timestamp, seconds: i64, after: Timestamp) -> i64 {
    if seconds > after.as_second() {
        seconds - after.as_second()
    } else if seconds < before.as_second() {
        seconds - before.as_second()
    } else {
        0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_that_the_question_takes_is_no_skew() {
        let at = |s| Timestamp::from_second(s).unwrap();
        assert_eq!(skew(at(100), 100, at(104)), 0);
        assert_eq!(skew(at(100), 104, at(104)), 0);
        assert_eq!(skew(at(100), 170, at(104)), 66);
        assert_eq!(skew(at(100), 39, at(104)), -61);
    }
}
