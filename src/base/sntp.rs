//! Asks a time server for the time, as RFC 4330 (SNTP) describes: one datagram there, one back.
use jiff::Timestamp;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::net::{UdpSocket, lookup_host};

/// The port that time servers listen on.
pub const PORT: u16 = 123;
/// Bytes of a message without extensions.
pub const LENGTH: usize = 48;
/// Seconds from 1900, where NTP counts from, to 1970.
const EPOCH: i64 = 2_208_988_800;
/// Client, version 4.
const QUESTION: u8 = 0x23;
const SERVER: u8 = 4;
/// Highest stratum of a server that has the time from somewhere.
const STRATA: u8 = 15;
/// Value of the leap indicator of a server that has no time.
const ALARM: u8 = 3;
/// Addresses of one name that are asked.
const ADDRESSES: usize = 2;

/// The answer of a time server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Said {
    pub time: Timestamp,
    /// The server's distance from a reference clock (NTP stratum); 1 to 15 for a server that has the time.
    pub stratum: u8,
    /// It has the time. Clients, Talos among them, take no time from one that has not.
    pub synchronised: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    #[error("the name leads nowhere")]
    NoName,
    #[error("nothing listens there")]
    Refused,
    #[error("no answer")]
    Silent,
    #[error("an answer that is none of a time server")]
    Nonsense,
}

/// Asks each address of `server` once more after half of `patience`.
///
/// # Errors
/// That of the last address that was asked.
pub async fn ask(server: &str, port: u16, patience: Duration) -> Result<Said, Error> {
    let addresses = tokio::time::timeout(patience, lookup_host((server, port))).await;
    let addresses: Vec<SocketAddr> = match addresses {
        Ok(Ok(found)) => found.take(ADDRESSES).collect(),
        Ok(Err(_)) | Err(_) => return Err(Error::NoName),
    };
    let mut last = Error::NoName;
    for address in addresses {
        for _ in 0..2 {
            match tokio::time::timeout(patience / 2, once(address)).await {
                Ok(Ok(said)) => return Ok(said),
                Ok(Err(why)) => {
                    last = why;
                    break;
                }
                Err(_) => last = Error::Silent,
            }
        }
    }
    Err(last)
}

async fn once(to: SocketAddr) -> Result<Said, Error> {
    let any = if to.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
    let failed = |e: std::io::Error| match e.kind() {
        std::io::ErrorKind::ConnectionRefused => Error::Refused,
        _ => Error::Silent,
    };
    let socket = UdpSocket::bind(any).await.map_err(failed)?;
    // Connected, so that datagrams of others are not taken, and a closed port is told.
    socket.connect(to).await.map_err(failed)?;
    let mut cookie = [0_u8; 8];
    // Any value will do as long as a stranger can't guess it.
    let _ = aws_lc_rs::rand::fill(&mut cookie);
    socket.send(&question(cookie)).await.map_err(failed)?;
    let mut answer = [0_u8; 512];
    let length = socket.recv(&mut answer).await.map_err(failed)?;
    read(answer.get(..length).unwrap_or_default(), cookie).ok_or(Error::Nonsense)
}

/// `cookie` stands where a client writes its time; the server sends it back.
fn question(cookie: [u8; 8]) -> [u8; LENGTH] {
    let mut message = [0_u8; LENGTH];
    let [first, .., a, b, c, d, e, f, g, h] = &mut message;
    *first = QUESTION;
    for (to, from) in [a, b, c, d, e, f, g, h].into_iter().zip(cookie) {
        *to = from;
    }
    message
}

fn read(message: &[u8], cookie: [u8; 8]) -> Option<Said> {
    let (first, stratum) = (*message.first()?, *message.get(1)?);
    if message.get(24..32)? != cookie || first & 7 != SERVER {
        return None;
    }
    let whole = u32::from_be_bytes(message.get(40..44)?.try_into().ok()?);
    // The counter starts anew in 2036.
    let era = if whole < 1 << 31 { 1_i64 << 32 } else { 0 };
    let synchronised = (1..=STRATA).contains(&stratum) && first >> 6 != ALARM && whole != 0;
    let time = Timestamp::from_second(i64::from(whole) + era - EPOCH).ok()?;
    Some(Said { time, stratum, synchronised })
}

/// The answer of a server to a question, with whole seconds; `None` when it is no question. For servers that are simulated.
pub fn answer(question: &[u8], said: &Said) -> Option<[u8; LENGTH]> {
    if question.len() < LENGTH || question.first()? & 7 != 3 {
        return None;
    }
    let mut message = [0_u8; LENGTH];
    let leap = if said.synchronised { 0 } else { ALARM };
    let seconds = u32::try_from((said.time.as_second() + EPOCH).rem_euclid(1 << 32)).ok()?;
    let head = [leap << 6 | 4 << 3 | SERVER, said.stratum];
    message.get_mut(..2)?.copy_from_slice(&head);
    message.get_mut(24..32)?.copy_from_slice(question.get(40..48)?);
    for at in [16, 32, 40] {
        message.get_mut(at..at + 4)?.copy_from_slice(&seconds.to_be_bytes());
    }
    Some(message)
}

#[cfg(test)]
mod tests {
    use super::*;

    const COOKIE: [u8; 8] = [1, 2, 3, 4, 5, 6, 7, 8];

    fn said(seconds: i64, stratum: u8, synchronised: bool) -> Said {
        Said { time: Timestamp::from_second(seconds).unwrap(), stratum, synchronised }
    }

    #[test]
    fn an_answer_is_read_as_it_was_meant_also_after_2036() {
        for said in [said(1_780_000_000, 2, true), said(2_200_000_000, 1, true), said(1_780_000_000, 0, false)] {
            let message = answer(&question(COOKIE), &said).unwrap();
            assert_eq!(read(&message, COOKIE), Some(said));
        }
    }

    #[test]
    fn what_is_no_answer_to_this_question_is_not_read() {
        let message = answer(&question(COOKIE), &said(1_780_000_000, 2, true)).unwrap();
        assert_eq!(read(&message, [9; 8]), None, "somebody else's question");
        assert_eq!(read(&message[..40], COOKIE), None);
        assert_eq!(read(&question(COOKIE), COOKIE), None);
        assert_eq!(answer(&message, &said(0, 1, true)), None, "an answer is no question");
    }

    #[tokio::test]
    async fn a_server_is_asked_and_a_closed_port_is_told() {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let port = socket.local_addr().unwrap().port();
        let serve = tokio::spawn(async move {
            let mut question = [0; 64];
            let (length, from) = socket.recv_from(&mut question).await.unwrap();
            let message = answer(&question[..length], &said(1_780_000_000, 3, true)).unwrap();
            socket.send_to(&message, from).await.unwrap();
        });
        let patience = Duration::from_secs(5);
        assert_eq!(ask("127.0.0.1", port, patience).await, Ok(said(1_780_000_000, 3, true)));
        serve.await.unwrap();
        assert_eq!(ask("127.0.0.1", port, patience).await, Err(Error::Refused));
    }
}
