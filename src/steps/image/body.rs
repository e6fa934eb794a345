//! The body of an image on its way from a release server: how long it may be, how slow, and that it comes whole.
use super::unpack::{SPARE, Sum};
use crate::base::text::size;
use crate::engine::failure::Failure;
use crate::steps::web;
use bytes::Bytes;
use reqwest::Response;
use std::time::Duration;
use tokio::time::Instant;

/// On the wall, from one piece of the download to the next.
const PIECE: Duration = Duration::from_secs(60);
/// Bytes that have to come in that time; slower than that, an image would take most of a day.
const LEAST: u64 = 256 << 10;
/// Longest file that is fetched, in bytes. The packed images of Talos have about 0.2 GiB, unpacked ones about 1.3 GiB.
pub const LONGEST: u64 = 2 << 30;

/// The reason why a file of this length is not fetched to a place where `free` bytes are left. Lengths are in bytes.
pub fn too_much(length: u64, free: u64) -> Option<Failure> {
    if length > LONGEST {
        return Some(Failure::person(
            format!("the image has {} to fetch, and no Talos image has more than {}", size(length), size(LONGEST)),
            "correct image.url in the plan, or name a mirror",
        ));
    }
    (length > free.saturating_sub(SPARE)).then(|| {
        Failure::person(
            format!("the image has {} to fetch, and only {} are free", size(length), size(free)),
            format!(
                "make room in the state folder ({} stay free for the journal), or give another one with --state-dir DIR; \
                 the step goes on by itself",
                size(SPARE)
            ),
        )
    })
}

/// An answer whose body is read piece by piece.
pub struct Body<'a> {
    response: Response,
    url: &'a str,
    /// Bytes that the server announced.
    pub total: Option<u64>,
    /// Bytes that have come.
    pub done: u64,
    free: u64,
    sum: Sum,
    pace: Pace,
}

impl<'a> Body<'a> {
    /// `free` is the room for it, in bytes.
    ///
    /// # Errors
    /// When it announces more than there is room for, or than any image has.
    pub fn of(response: Response, url: &'a str, free: u64) -> Result<Body<'a>, Failure> {
        let total = web::length(&response);
        if let Some(failure) = total.and_then(|total| too_much(total, free)) {
            return Err(failure);
        }
        let pace = Pace { since: Instant::now(), from: 0 };
        Ok(Body { response, url, total, done: 0, free, sum: Sum::default(), pace })
    }

    /// The next piece; `None` at its end.
    ///
    /// # Errors
    /// When it breaks off, comes too slowly, or is longer than announced or than there is room for.
    pub async fn next(&mut self) -> Result<Option<Bytes>, Failure> {
        let piece = match tokio::time::timeout(PIECE, self.response.chunk()).await {
            Ok(Ok(Some(piece))) => piece,
            Ok(Ok(None)) => return Ok(None),
            Ok(Err(e)) => return Err(self.again(&web::cause(&e))),
            Err(_) => return Err(self.again(&format!("nothing came for {} s", PIECE.as_secs()))),
        };
        self.done += piece.len() as u64;
        // Also of a server that announces nothing, or less than it sends.
        if let Some(failure) = too_much(self.done, self.free) {
            return Err(failure);
        }
        if self.total.is_some_and(|total| self.done > total) {
            return Err(self.again("more came than was announced"));
        }
        if let Some(bytes) = self.pace.too_little(self.done, Instant::now()) {
            return Err(self.again(&format!("only {} came within {} s", size(bytes), PIECE.as_secs())));
        }
        self.sum.update(&piece);
        Ok(Some(piece))
    }

    /// SHA-256 of all that has come, in lower-case hexadecimal digits.
    pub fn sha256(self) -> String {
        self.sum.text()
    }

    fn again(&self, why: &str) -> Failure {
        Failure::retryable(
            format!("fetch {}: {why}", self.url),
            "cozyup fetches it again; if it stays so, name a mirror in the plan",
        )
    }
}

/// Notices a body that goes on for ever and brings hardly anything.
struct Pace {
    since: Instant,
    from: u64,
}

impl Pace {
    /// The bytes of the last [`PIECE`], when it is over and brought less than [`LEAST`].
    fn too_little(&mut self, done: u64, now: Instant) -> Option<u64> {
        if now.duration_since(self.since) < PIECE {
            return None;
        }
        let came = done.saturating_sub(self.from);
        *self = Pace { since: now, from: done };
        (came < LEAST).then_some(came)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// harm.md S9
    #[test]
    fn what_is_longer_than_any_image_or_does_not_fit_is_refused() {
        assert!(too_much(LONGEST, u64::MAX).is_none());
        assert!(too_much(LONGEST + 1, u64::MAX).unwrap().what.contains("no Talos image"));
        assert!(too_much(1 << 30, 3 << 29).unwrap().what.contains("only 1.5 GiB are free"));
    }

    #[test]
    fn a_body_that_brings_a_byte_now_and_then_is_given_up_and_a_slow_one_is_not() {
        let began = Instant::now();
        let mut pace = Pace { since: began, from: 0 };
        assert_eq!(pace.too_little(100, began + PIECE / 2), None);
        assert_eq!(pace.too_little(120, began + PIECE), Some(120));
        assert_eq!(pace.too_little(120 + LEAST, began + PIECE * 2), None);
        assert_eq!(pace.too_little(121 + LEAST, began + PIECE * 3), Some(1));
    }
}
