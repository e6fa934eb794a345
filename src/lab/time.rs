//! The time server of the lab, at its gateway: tells the site's time over SNTP.
use super::scenario::{FaultKind, TimeServer};
use super::world::{Lab, World};
use cozyup_base::clock::add;
use cozyup_base::sntp::{self, Said};
use std::time::Duration;
use tokio::net::UdpSocket;

/// Answers until the lab ends.
pub async fn serve(socket: UdpSocket, lab: Lab) {
    let mut question = [0_u8; 512];
    loop {
        let Ok((length, from)) = socket.recv_from(&mut question).await else { continue };
        let (state, now, off) = lab.with(|w| (w.scenario.proxmox.time, w.now, w.clock_off()));
        let ahead = Duration::from_secs(off.unsigned_abs());
        let time = if off < 0 { now.checked_sub(ahead).unwrap_or(now) } else { add(now, ahead) };
        let said = match state {
            TimeServer::Silent => continue,
            TimeServer::Answers => Said { time, stratum: 2, synchronised: true },
            TimeServer::Unsynchronised => Said { time, stratum: 0, synchronised: false },
        };
        if let Some(answer) = question.get(..length).and_then(|question| sntp::answer(question, &said)) {
            // Whoever asked may be gone already.
            let _ = socket.send_to(&answer, from).await;
        }
    }
}

impl World {
    /// By how many seconds the site's clocks are ahead of the lab's.
    pub fn clock_off(&mut self) -> i64 {
        let bites = self.bites(|kind| matches!(kind, FaultKind::ClockOff { .. }));
        if let Some(FaultKind::ClockOff { seconds }) = bites { seconds } else { 0 }
    }
}
