//! `day0.time`: the clocks of the Proxmox nodes agree with this machine's, and what the plan's time servers say; certificates
//! and etcd depend on it.
use super::{Check, hosts, of_jump_host, of_proxmox, proof};
use crate::base::sntp::{self, Said};
use crate::engine::failure::Failure;
use crate::engine::proof::Proof;
use crate::engine::step::Context;
use crate::plan::model::Plan;
use crate::steps::failures;
use crate::steps::site::Reading;
use futures::future::join_all;
use jiff::Timestamp;
use std::time::Duration;

pub const KIND: &str = "day0.time";
const REMARK_S: i64 = 5;
const REFUSE_S: i64 = 60;
/// On the wall, for a server's answer.
const PATIENCE: Duration = Duration::from_secs(3);

pub fn step(plan: &Plan) -> Check {
    let hosts = hosts(plan).into_iter().collect::<Vec<_>>().join(", ");
    let title = format!("the clocks of {hosts} and of the jump host agree");
    let servers = plan.time_servers();
    let by_hand: Vec<String> = servers.iter().map(|server| by_hand(server)).collect();
    let by_hand = format!("timedatectl\nchronyc tracking\n{}", by_hand.join("\n"));
    Check::new(KIND, title, by_hand, |cx, site| Box::pin(look(cx, site))).of_hosts()
}

fn by_hand(server: &str) -> String {
    format!("sntp {server}")
}

async fn look(cx: &dyn Context, site: &Reading) -> Result<Proof, Failure> {
    let (mut readings, mut remarks, mut problems, mut worst) = (Vec::new(), Vec::new(), Vec::new(), 0);
    for host in hosts(&site.plan) {
        let before = cx.clock().date();
        let time = site.proxmox.node_time(host).await;
        let time = time.map_err(|e| failures::proxmox(&e, &format!("ask {host} for the time")))?;
        let skew = skew(before, time.value, cx.clock().date());
        worst = worst.max(skew.abs());
        let said = format!("the clock of {host} is {} s {}", skew.abs(), way(skew));
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
    let servers = site.plan.time_servers();
    let asked = join_all(servers.iter().map(|server| async move {
        let before = cx.clock().date();
        let answer = sntp::ask(server, site.ntp_port, PATIENCE).await;
        Server {
            name: server,
            found: answer.map(|said| (said, skew(before, said.time.as_second(), cx.clock().date()))),
        }
    }));
    let asked = asked.await;
    for server in &asked {
        let question = format!("ask {} for the time (SNTP)", server.name);
        readings.push(of_jump_host(cx, question, server.told(), by_hand(server.name)));
    }
    // The machines may reach a server that this one does not, so silence proves nothing; an answer does.
    if !asked.is_empty() && asked.iter().all(Server::is_useless) {
        let told: Vec<String> = asked.iter().map(Server::told).collect();
        return Err(Failure::person(
            format!("no time server of the plan gives the machines the time: {}", told.join("; ")),
            "write other servers into network.ntp (without it the gateway is asked), or mend these: `chronyc tracking` there",
        ));
    }
    remarks.extend(asked.iter().filter(|server| !server.is_fine()).map(|server| server.remark()));
    proof(&format!("the clocks agree within {} s", worst + 1), &remarks, readings)
}

fn way(skew: i64) -> &'static str {
    if skew > 0 { "ahead" } else { "behind" }
}

/// A time server of the plan, and what it said with how many seconds it is ahead of this machine.
struct Server<'a> {
    name: &'a str,
    found: Result<(Said, i64), sntp::Error>,
}

impl Server<'_> {
    /// It answers, and the machines can do nothing with it, or would be off by it.
    fn is_useless(&self) -> bool {
        self.found.as_ref().is_ok_and(|(said, skew)| !said.synchronised || skew.abs() > REFUSE_S)
    }

    fn is_fine(&self) -> bool {
        self.found.as_ref().is_ok_and(|(said, skew)| said.synchronised && skew.abs() <= REMARK_S)
    }

    fn told(&self) -> String {
        match &self.found {
            Err(why) => format!("{}: {why}", self.name),
            Ok((said, _)) if !said.synchronised => {
                format!("{} has no time itself (stratum {})", self.name, said.stratum)
            }
            Ok((said, 0)) => format!("{} has the time (stratum {})", self.name, said.stratum),
            Ok((_, skew)) => format!("the clock of time server {} is {} s {}", self.name, skew.abs(), way(*skew)),
        }
    }

    fn remark(&self) -> String {
        match &self.found {
            Err(why) => format!(
                "time server {} can't be asked from here ({why}): if the machines can't either, etcd is never bootstrapped; open \
                 UDP 123 or write network.ntp",
                self.name
            ),
            Ok(_) => self.told(),
        }
    }
}

/// The seconds by which a clock that reads whole seconds is certainly ahead (below 0: behind), when its answer came
/// between `before` and `after`.
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

    /// reports.md B28.
    #[test]
    fn a_server_that_answers_without_the_time_is_useless_and_silence_is_a_remark() {
        let said = |stratum, synchronised| Said { time: Timestamp::UNIX_EPOCH, stratum, synchronised };
        let server = |found| Server { name: "10.0.0.1", found };
        let good = server(Ok((said(2, true), 3)));
        assert!(good.is_fine() && !good.is_useless());
        for bad in [server(Ok((said(0, false), 0))), server(Ok((said(2, true), -61)))] {
            assert!(bad.is_useless() && !bad.is_fine(), "{}", bad.told());
        }
        for why in [sntp::Error::Silent, sntp::Error::Refused, sntp::Error::NoName] {
            let silent = server(Err(why));
            assert!(!silent.is_useless() && !silent.is_fine());
            assert!(silent.remark().contains("open UDP 123 or write network.ntp"), "{}", silent.remark());
        }
    }

    #[test]
    fn without_a_server_in_the_plan_the_gateway_is_asked() {
        let mut plan = crate::steps::day0::tests::plan();
        plan.network.ntp.clear();
        assert_eq!(plan.time_servers(), ["10.0.0.1"]);
        plan.network.ntp = vec!["ntp.example.com".into()];
        assert_eq!(plan.time_servers(), ["ntp.example.com"]);
    }
}
